/* mail_line - see mail_line.h. */
#include "lbd/mail/mail_line.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"
#include "lbd/mail/mail_protocol.h"

/* As buf_reserve, but what lay in the old memory is wiped. */
static void make_room(struct buf *line, size_t len)
{
    enum { FIRST = 256 };
    size_t need = line->len + len;
    if (line->data != NULL && need <= line->capacity) {
        return;
    }
    size_t capacity = line->capacity != 0 ? line->capacity : FIRST;
    while (capacity < need) {
        capacity *= 2;
    }
    char *data = mem_alloc(capacity + 1);
    if (line->len > 0) {
        memcpy(data, line->data, line->len);
        mem_wipe(line->data, line->len);
    }
    free(line->data);
    line->data = data;
    line->capacity = capacity;
}

static void append(struct buf *line, const char *bytes, size_t len)
{
    make_room(line, len);
    if (len > 0) {
        memcpy(line->data + line->len, bytes, len);
    }
    line->len += len;
    line->data[line->len] = '\0';
}

size_t mail_line_take(struct buf *line, size_t max, const char *bytes, size_t len,
                      enum mail_line_end *end)
{
    size_t room = line->len < max + 2 ? max + 2 - line->len : 0;
    size_t look = len < room ? len : room;
    const char *lf = look > 0 ? memchr(bytes, '\n', look) : NULL;
    size_t text = lf != NULL ? (size_t)(lf - bytes) : look;
    if (text > 0 && memchr(bytes, '\0', text) != NULL) {
        *end = MAIL_LINE_NUL;
        return text;
    }
    append(line, bytes, text);
    if (lf == NULL) {
        *end = line->len > max + 1 || room == 0 ? MAIL_LINE_TOO_LONG : MAIL_LINE_MORE;
        return text;
    }
    *end = MAIL_LINE_BARE_LF;
    if (line->len > 0 && line->data[line->len - 1] == '\r') {
        line->data[--line->len] = '\0';
        *end = MAIL_LINE_WHOLE;
    }
    if (line->len > max) {
        *end = MAIL_LINE_TOO_LONG;
    }
    return text + 1;
}

void mail_line_join(struct buf *line)
{
    append(line, "\n", 1);
}

size_t mail_line_take_literal(struct buf *line, const char *bytes, size_t len, uint32_t *left)
{
    size_t take = len < *left ? len : *left;
    append(line, bytes, take);
    *left -= (uint32_t)take;
    return take;
}

void mail_line_wipe(struct buf *line)
{
    if (line->len > 0) {
        mem_wipe(line->data, line->len);
    }
    buf_clear(line);
}

void mail_line_fini(struct buf *line)
{
    if (line->data != NULL) {
        mem_wipe(line->data, line->capacity);
    }
    buf_fini(line);
}

bool mail_literal_read(struct slice line, struct mail_literal *literal)
{
    size_t at = line.len;
    if (at == 0 || line.ptr[--at] != '}') {
        return false;
    }
    bool is_waiting = true;
    if (at > 0 && line.ptr[at - 1] == '+') {
        is_waiting = false;
        at--;
    }
    size_t digits_end = at;
    while (at > 0 && line.ptr[at - 1] >= '0' && line.ptr[at - 1] <= '9') {
        at--;
    }
    if (at == digits_end || at == 0 || line.ptr[at - 1] != '{' ||
        (at > 1 && strchr(" (~", line.ptr[at - 2]) == NULL)) {
        return false;
    }
    uint64_t bytes = 0;
    for (size_t i = at; i < digits_end; i++) {
        if (__builtin_mul_overflow(bytes, 10U, &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(line.ptr[i] - '0'), &bytes)) {
            bytes = UINT64_MAX;
            break;
        }
    }
    *literal = (struct mail_literal){
        .bytes = bytes, .is_waiting = is_waiting, .text_len = line.len - (at - 1)};
    return true;
}

bool mail_words_char(struct mail_words *words, char c)
{
    if (words->at == words->end || *words->at != c) {
        return false;
    }
    words->at++;
    return true;
}

bool mail_words_spaces(struct mail_words *words)
{
    bool is_any = false;
    while (mail_words_char(words, ' ')) {
        is_any = true;
    }
    return is_any;
}

static bool is_atom(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte > ' ' && byte != 0x7f && strchr("\"(){", c) == NULL;
}

bool mail_words_atom(struct mail_words *words, struct slice *word)
{
    char *from = words->at;
    while (words->at < words->end && is_atom(*words->at)) {
        words->at++;
    }
    *word = slice_of(from, (size_t)(words->at - from));
    return word->len > 0;
}

static bool take_quoted(struct mail_words *words, struct slice *text)
{
    char *to = words->at + 1;
    for (char *at = to; at < words->end; at++) {
        if (*at == '"') {
            *text = slice_of(words->at + 1, (size_t)(to - words->at - 1));
            words->at = at + 1;
            return true;
        }
        if (*at == '\\' && ++at == words->end) {
            return false;
        }
        if (*at == '\n' || *at == '\r') {
            return false;
        }
        *to++ = *at;
    }
    return false;
}

static bool take_literal(struct mail_words *words, struct slice *text)
{
    char *lf = memchr(words->at, '\n', (size_t)(words->end - words->at));
    struct mail_literal literal;
    if (lf == NULL || !mail_literal_read(slice_of(words->at, (size_t)(lf - words->at)), &literal) ||
        literal.text_len != (size_t)(lf - words->at) ||
        literal.bytes > (size_t)(words->end - lf - 1)) {
        return false;
    }
    *text = slice_of(lf + 1, (size_t)literal.bytes);
    words->at = lf + 1 + literal.bytes;
    return true;
}

bool mail_words_string(struct mail_words *words, struct slice *text)
{
    if (words->at == words->end) {
        return false;
    }
    switch (*words->at) {
    case '"':
        return take_quoted(words, text);
    case '{':
        return take_literal(words, text);
    default:
        return false;
    }
}

bool mail_words_astring(struct mail_words *words, struct slice *text)
{
    return mail_words_string(words, text) || mail_words_atom(words, text);
}

struct slice mail_words_until_space(struct mail_words *words)
{
    char *from = words->at;
    while (words->at < words->end && *words->at != ' ') {
        words->at++;
    }
    return slice_of(from, (size_t)(words->at - from));
}

void mail_quoted_append(struct buf *out, struct slice text)
{
    size_t from = 0; /* of what is not appended yet */
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            buf_append(out, text.ptr + from, i - from);
            buf_append_char(out, '\\');
            from = i;
        }
    }
    buf_append(out, text.ptr + from, text.len - from);
    buf_append_char(out, '"');
}

void mail_text_append(struct buf *out, struct slice text)
{
    size_t len = text.len < MAIL_TEXT_MAX ? text.len : MAIL_TEXT_MAX;
    size_t plain = 0; /* the usual: all of it */
    while (plain < len && text.ptr[plain] >= ' ' && text.ptr[plain] < 0x7f) {
        plain++;
    }
    if (plain > 0) {
        buf_append(out, text.ptr, plain);
    }
    for (size_t i = plain; i < len;) {
        size_t bytes = utf8_length(slice_of(text.ptr + i, len - i));
        bool is_text = bytes > 0 && (unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 0x7f;
        buf_append(out, is_text ? text.ptr + i : "?", is_text ? bytes : 1);
        i += bytes > 0 ? bytes : 1;
    }
}

bool mail_word_next(struct slice *rest, struct slice *word)
{
    size_t begin = 0;
    while (begin < rest->len && rest->ptr[begin] == ' ') {
        begin++;
    }
    size_t end = begin;
    if (begin < rest->len) {
        const char *space = memchr(rest->ptr + begin, ' ', rest->len - begin);
        end = space != NULL ? (size_t)(space - rest->ptr) : rest->len;
    }
    *word = end > begin ? slice_of(rest->ptr + begin, end - begin) : SLICE_NONE;
    *rest = end > 0 ? slice_of(rest->ptr + end, rest->len - end) : *rest;
    return word->len > 0;
}

bool mail_word_in(struct slice list, struct slice word)
{
    while (list.len > 0) {
        const char *space = memchr(list.ptr, ' ', list.len);
        size_t len = space != NULL ? (size_t)(space - list.ptr) : list.len;
        if (len == word.len && len > 0 && slice_eq_nocase(slice_of(list.ptr, len), word)) {
            return true;
        }
        list = slice_from_at(list, len + 1);
    }
    return false;
}

void mail_line_say(struct buf *out, const char *line)
{
    buf_append_text(out, line);
    buf_append_text(out, "\r\n");
}

void mail_line_quote(struct buf *out, const char *begin, struct slice text)
{
    buf_append_text(out, begin);
    mail_text_append(out, text);
    buf_append_text(out, "\r\n");
}
