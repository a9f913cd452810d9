#include "ctl/sse.h"

#include <string.h>

void sse_init(struct sse *sse, sse_event_fn *on_event, void *user)
{
    *sse = (struct sse){.on_event = on_event, .user = user};
    buf_init(&sse->line, SSE_LINE_MAX);
    buf_init(&sse->data, SSE_DATA_MAX);
}

void sse_fini(struct sse *sse)
{
    buf_fini(&sse->line);
    buf_fini(&sse->data);
}

void sse_reset(struct sse *sse)
{
    buf_clear(&sse->line);
    buf_clear(&sse->data);
    sse->type[0] = '\0';
    memcpy(sse->next_id, sse->id, sizeof(sse->id));
    sse->has_data = false;
    sse->skip_newline = false;
    sse->has_begun = false;
    sse->is_broken = false;
}

static bool break_off(struct sse *sse)
{
    sse->is_broken = true;
    return false;
}

static bool copy_word(char out[SSE_WORD_MAX + 1], struct slice word)
{
    if (word.len > SSE_WORD_MAX) {
        return false;
    }
    if (word.len != 0) {
        memcpy(out, word.ptr, word.len);
    }
    out[word.len] = '\0';
    return true;
}

/* An id goes into a header: no control characters, whatever the stream says. */
static bool id_is_clean(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        if ((unsigned char)id.ptr[i] < ' ' || id.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The empty line. */
static bool dispatch(struct sse *sse)
{
    bool go_on = true;
    memcpy(sse->id, sse->next_id, sizeof(sse->id));
    if (sse->has_data) {
        const struct sse_event event = {.type = sse->type[0] != '\0' ? slice_from(sse->type)
                                                                     : SLICE("message"),
                                        .data = buf_slice(&sse->data)};
        go_on = sse->on_event(sse->user, &event);
    }
    buf_clear(&sse->data);
    sse->type[0] = '\0';
    sse->has_data = false;
    return go_on;
}

static bool take_field(struct sse *sse, struct slice name, struct slice value)
{
    if (slice_eq(name, SLICE("data"))) {
        if (sse->has_data && !buf_append_char(&sse->data, '\n')) {
            return break_off(sse);
        }
        sse->has_data = true;
        return buf_append_slice(&sse->data, value) || break_off(sse);
    }
    if (slice_eq(name, SLICE("event"))) {
        return copy_word(sse->type, value) || break_off(sse);
    }
    if (slice_eq(name, SLICE("id")) && id_is_clean(value)) {
        return copy_word(sse->next_id, value) || break_off(sse);
    }
    return true; /* "retry", and what we do not know */
}

static bool take_line(struct sse *sse)
{
    struct slice value = buf_slice(&sse->line);
    struct slice name;
    if (!sse->has_begun) {
        sse->has_begun = true;
        if (slice_starts(value, SLICE("\xef\xbb\xbf"))) {
            value = slice_from_at(value, 3);
        }
    }
    if (value.len == 0) {
        return dispatch(sse);
    }
    if (value.ptr[0] == ':') { /* a comment: somebody is still there */
        return true;
    }
    (void)slice_split(&value, ':', &name);
    if (slice_starts(value, SLICE(" "))) {
        value = slice_from_at(value, 1);
    }
    return take_field(sse, name, value);
}

/* Bytes up to the end of a line. */
static size_t line_length(struct slice bytes)
{
    size_t len = 0;
    while (len < bytes.len && bytes.ptr[len] != '\n' && bytes.ptr[len] != '\r') {
        len++;
    }
    return len;
}

bool sse_feed(struct sse *sse, struct slice bytes)
{
    while (bytes.len != 0) {
        if (sse->skip_newline) {
            sse->skip_newline = false;
            bytes = slice_from_at(bytes, bytes.ptr[0] == '\n' ? 1 : 0);
            continue;
        }
        size_t len = line_length(bytes);
        if (!buf_append(&sse->line, bytes.ptr, len)) {
            return break_off(sse);
        }
        if (len == bytes.len) {
            break;
        }
        sse->skip_newline = bytes.ptr[len] == '\r';
        bytes = slice_from_at(bytes, len + 1);
        if (!take_line(sse)) {
            return false;
        }
        buf_clear(&sse->line);
    }
    return true;
}
