#include "lbd/http/cookie_strip.h"

#include <string.h>

#include "lbd/http/request_value.h"

/* "name=value" of this name, with white space around it? */
static bool is_of(struct slice pair, struct slice name)
{
    size_t equals = slice_find(pair, '=');
    return equals != SIZE_MAX && slice_eq(slice_trim(slice_of(pair.ptr, equals)), name);
}

size_t cookie_strip_text(struct slice text, struct slice name, char *out)
{
    struct slice rest = text;
    struct slice pair;
    size_t len = 0;
    bool took = false;
    bool is_first = true;
    while (slice_split(&rest, ';', &pair)) {
        if (is_of(pair, name)) {
            took = true;
            continue;
        }
        if (!is_first) {
            out[len++] = ';';
        }
        while (is_first && took && pair.len > 0 && (pair.ptr[0] == ' ' || pair.ptr[0] == '\t')) {
            pair = slice_from_at(pair, 1); /* it stood behind the one that went */
        }
        if (pair.len > 0) {
            memcpy(out + len, pair.ptr, pair.len);
            len += pair.len;
        }
        is_first = false;
    }
    return len;
}

bool cookie_strip_is_all(struct slice text, const struct slice *names, size_t count)
{
    struct slice pair;
    while (slice_split(&text, ';', &pair)) {
        bool is_one = slice_trim(pair).len == 0;
        for (size_t i = 0; i < count && !is_one; i++) {
            is_one = names[i].len != 0 && is_of(pair, names[i]);
        }
        if (!is_one) {
            return false;
        }
    }
    return true;
}

static bool is_cookie(const struct header_extra *extra)
{
    return slice_eq_nocase(extra->name, SLICE("Cookie"));
}

/* Appends what stays of a field to the one that is made. */
static size_t append(struct slice text, struct slice name, char *out, size_t len)
{
    size_t seam = len > 0 ? 2 : 0;
    size_t stayed = cookie_strip_text(text, name, out + len + seam);
    if (stayed == 0) {
        return len;
    }
    memcpy(out + len, "; ", seam);
    return len + seam + stayed;
}

bool cookie_strip(struct message *request, struct slice name, struct arena *arena)
{
    struct headers *headers = &request->headers;
    struct slice value;
    size_t room = 0;
    size_t len = 0;
    uint32_t extras = 0;
    if (!request_value_cookie(request, name, &value)) {
        return false;
    }
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *field = &headers->list[i];
        room += field->id == HEADER_COOKIE && field->dropped == 0 ? field->value_len + 2U : 0;
    }
    for (uint32_t i = 0; i < request->extra_count; i++) {
        room += is_cookie(&request->extras[i]) ? request->extras[i].value.len + 2U : 0;
    }
    char *out = arena_alloc(arena, room);
    for (uint32_t i = 0; i < headers->count; i++) {
        struct header *field = &headers->list[i];
        if (field->id != HEADER_COOKIE || field->dropped != 0) {
            continue;
        }
        len = append(header_value(headers, field), name, out, len);
        field->dropped = 1;
    }
    for (uint32_t i = 0; i < request->extra_count; i++) { /* another one was taken out before */
        if (is_cookie(&request->extras[i])) {
            len = append(request->extras[i].value, name, out, len);
        } else {
            request->extras[extras++] = request->extras[i];
        }
    }
    request->extra_count = extras;
    if (len > 0) {
        message_add(request, SLICE("Cookie"), slice_of(out, len));
    }
    return true;
}
