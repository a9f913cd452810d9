/* imap_lines - see imap_lines.h. */
#include "lbd/mail/imap_lines.h"

#include <assert.h>
#include <string.h>

#define LITERAL_DIGITS_MAX 15U

enum { BETWEEN, FIRST_LINE, LITERAL, LATER_LINE, LOST };

/* -- what a line begins with -- */

bool imap_lines_is_tag_char(char c)
{
    return c > ' ' && c < 0x7F && strchr("(){%*\"\\+", c) == NULL;
}

/* The word that `text` begins with, ended by a space or the line's end. */
static enum imap_lines_word word_of(struct slice text)
{
    static const struct slice words[] = {
        [IMAP_LINES_OK] = SLICE_INIT("OK"),           [IMAP_LINES_NO] = SLICE_INIT("NO"),
        [IMAP_LINES_BAD_WORD] = SLICE_INIT("BAD"),    [IMAP_LINES_BYE] = SLICE_INIT("BYE"),
        [IMAP_LINES_PREAUTH] = SLICE_INIT("PREAUTH"),
    };
    size_t len = 0;
    while (len < text.len && text.ptr[len] != ' ' && text.ptr[len] != '\r' &&
           text.ptr[len] != '\n') {
        len++;
    }
    if (len == text.len) {
        return IMAP_LINES_OTHER;
    }
    for (int i = 0; i < IMAP_LINES_OTHER; i++) {
        if (slice_eq_nocase(slice_of(text.ptr, len), words[i])) {
            return (enum imap_lines_word)i;
        }
    }
    return IMAP_LINES_OTHER;
}

/* False: no response begins so. */
static bool read_head(struct slice head, struct imap_lines_response *response)
{
    size_t len = 0;
    response->tag = SLICE_NONE;
    response->word = IMAP_LINES_OTHER;
    if (head.len >= 2 && head.ptr[0] == '*' && head.ptr[1] == ' ') {
        response->kind = IMAP_LINES_UNTAGGED;
        response->word = word_of(slice_from_at(head, 2));
        return true;
    }
    if (head.len >= 2 && head.ptr[0] == '+') {
        response->kind = IMAP_LINES_CONTINUE;
        return head.ptr[1] == ' ' || head.ptr[1] == '\r' || head.ptr[1] == '\n';
    }
    while (len < head.len && len < IMAP_LINES_TAG_MAX && imap_lines_is_tag_char(head.ptr[len])) {
        len++;
    }
    if (len == 0 || len == head.len || head.ptr[len] != ' ') {
        return false;
    }
    response->kind = IMAP_LINES_TAGGED;
    response->tag = slice_of(head.ptr, len);
    response->word = word_of(slice_from_at(head, len + 1));
    return response->word <= IMAP_LINES_BAD_WORD;
}

/* -- what a line ends with -- */

enum tail { TAIL_PLAIN, TAIL_LITERAL, TAIL_DOUBTFUL };

static enum tail read_tail(struct slice tail, uint64_t *literal)
{
    size_t at = tail.len - 1; /* the LF */
    uint64_t value = 0;
    uint64_t scale = 1;
    unsigned digits = 0;
    if (at > 0 && tail.ptr[at - 1] == '\r') {
        at--;
    }
    if (at == 0 || tail.ptr[at - 1] != '}') {
        return TAIL_PLAIN;
    }
    at--;
    bool is_plus = at > 0 && tail.ptr[at - 1] == '+';
    at -= is_plus ? 1 : 0;
    while (at > 0 && digits < LITERAL_DIGITS_MAX && tail.ptr[at - 1] >= '0' &&
           tail.ptr[at - 1] <= '9') {
        value += scale * (uint64_t)(tail.ptr[at - 1] - '0');
        scale *= 10;
        digits++;
        at--;
    }
    if (digits == LITERAL_DIGITS_MAX && at > 0 && tail.ptr[at - 1] >= '0' &&
        tail.ptr[at - 1] <= '9') {
        return TAIL_DOUBTFUL; /* perhaps a literal of more than can be */
    }
    if (digits == 0 || at == 0 || tail.ptr[at - 1] != '{') {
        return TAIL_PLAIN;
    }
    at--;
    if (is_plus || at == 0 || strchr(" (~", tail.ptr[at - 1]) == NULL) {
        return TAIL_DOUBTFUL;
    }
    *literal = value;
    return TAIL_LITERAL;
}

/* -- lines -- */

static enum imap_lines_verdict lose(struct imap_lines *lines)
{
    lines->state = LOST;
    return IMAP_LINES_LOST;
}

/* A part of a line: its first and last bytes are kept. */
static void keep(struct imap_lines *lines, const char *bytes, size_t len)
{
    size_t room = IMAP_LINES_HEAD_MAX - lines->head_len;
    size_t part = len < room ? len : room;
    memcpy(lines->head + lines->head_len, bytes, part);
    lines->head_len = (uint8_t)(lines->head_len + part);
    if (len >= IMAP_LINES_TAIL_MAX) {
        memcpy(lines->tail, bytes + len - IMAP_LINES_TAIL_MAX, IMAP_LINES_TAIL_MAX);
        lines->tail_len = IMAP_LINES_TAIL_MAX;
        return;
    }
    size_t old = IMAP_LINES_TAIL_MAX - len;
    if (lines->tail_len > old) {
        memmove(lines->tail, lines->tail + lines->tail_len - old, old);
        lines->tail_len = (uint8_t)old;
    }
    memcpy(lines->tail + lines->tail_len, bytes, len);
    lines->tail_len = (uint8_t)(lines->tail_len + len);
}

static void forget(struct imap_lines *lines)
{
    lines->head_len = 0;
    lines->tail_len = 0;
}

/* A line is whole. MORE: a literal follows. */
static enum imap_lines_verdict end_line(struct imap_lines *lines, struct slice head,
                                        struct slice tail, struct imap_lines_response *response)
{
    bool is_first = lines->state != LATER_LINE;
    enum tail what = read_tail(tail, &lines->literal_left);
    if (is_first && !read_head(head, response)) {
        return lose(lines);
    }
    if (what == TAIL_LITERAL && is_first &&
        (response->kind != IMAP_LINES_UNTAGGED || response->word != IMAP_LINES_OTHER)) {
        what = TAIL_DOUBTFUL; /* text may end so, too */
    }
    switch (what) {
    case TAIL_PLAIN:
        break;
    case TAIL_LITERAL:
        lines->state = LITERAL;
        return IMAP_LINES_MORE;
    case TAIL_DOUBTFUL:
        return lose(lines);
    }
    if (!is_first) {
        *response =
            (struct imap_lines_response){.kind = IMAP_LINES_UNTAGGED, .word = IMAP_LINES_OTHER};
    }
    lines->state = BETWEEN;
    return IMAP_LINES_DONE;
}

uint64_t imap_lines_unseen(const struct imap_lines *lines)
{
    return lines->state == LITERAL ? lines->literal_left : 0;
}

void imap_lines_skip(struct imap_lines *lines, uint64_t len)
{
    assert(len <= imap_lines_unseen(lines));
    lines->literal_left -= len;
}

enum imap_lines_verdict imap_lines_feed(struct imap_lines *lines, const char *bytes, size_t len,
                                        size_t *used, struct imap_lines_response *response)
{
    enum imap_lines_verdict verdict = IMAP_LINES_MORE;
    size_t at = 0;
    while (verdict == IMAP_LINES_MORE && lines->state != LOST) {
        if (lines->state == LITERAL) {
            size_t part = lines->literal_left < len - at ? (size_t)lines->literal_left : len - at;
            at += part;
            lines->literal_left -= part;
            if (lines->literal_left > 0) {
                break;
            }
            lines->state = LATER_LINE;
            forget(lines);
        }
        if (at == len) {
            break;
        }
        const char *from = bytes + at;
        const char *end = memchr(from, '\n', len - at);
        size_t part = end != NULL ? (size_t)(end - from) + 1 : len - at;
        at += part;
        if (end == NULL) {
            if (lines->state == BETWEEN) {
                forget(lines);
                lines->state = FIRST_LINE;
            }
            keep(lines, from, part);
        } else if (lines->state == BETWEEN) {
            size_t tail = part < IMAP_LINES_TAIL_MAX ? part : IMAP_LINES_TAIL_MAX;
            size_t head = part < IMAP_LINES_HEAD_MAX ? part : IMAP_LINES_HEAD_MAX;
            verdict =
                end_line(lines, slice_of(from, head), slice_of(from + part - tail, tail), response);
        } else {
            keep(lines, from, part);
            verdict = end_line(lines, slice_of(lines->head, lines->head_len),
                               slice_of(lines->tail, lines->tail_len), response);
        }
    }
    *used = at;
    return lines->state == LOST ? IMAP_LINES_LOST : verdict;
}
