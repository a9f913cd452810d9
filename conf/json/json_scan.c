#include "conf/json/json_scan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/arena.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/base/utf8.h"

const struct json_limits json_limits_document = {
    .bytes = (size_t)16 * 1024 * 1024,
    .depth = JSON_DEPTH_MAX,
    .values = 2000000,
    .objects = 500000, /* 100,000 routes are 300,000 */
};

const struct json_limits json_limits_resource = {
    .bytes = (size_t)1024 * 1024,
    .depth = JSON_DEPTH_MAX,
    .values = 200000,
    .objects = 50000,
};

enum {
    NUMBER_LEN_MAX = 40,  /* cJSON copies at most 63 bytes of a number */
    FOREIGN_LEN_MAX = 60, /* likewise; 2^128 has 39 digits */
    KEYS_LINEAR_MAX = 16, /* objects of more members are checked by hashing */
};

#define INTEGER_MAX 9007199254740992ULL /* 2^53: beyond it doubles skip integers */

/* A key of an object that is still open, as it reads after unescaping. */
struct scan_key {
    struct slice name;
    size_t offset;
};

struct scan {
    const char *text;
    char *blank; /* the same bytes when they may be overwritten, else NULL */
    size_t len;
    size_t at;
    enum json_syntax syntax;
    const struct json_limits *limits;
    struct json_error *error;
    uint32_t depth;
    uint32_t values;
    uint32_t objects;
    struct scan_key *keys; /* of all open objects, the innermost last */
    size_t key_count;
    size_t key_capacity;
    struct arena arena; /* keys that had escapes */
};

static bool value_at(struct scan *s);

static bool fail(struct scan *s, size_t offset, const char *fmt, ...) LB_PRINTF(3, 4);

static bool fail(struct scan *s, size_t offset, const char *fmt, ...)
{
    s->error->offset = offset;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(s->error->text, sizeof s->error->text, fmt, args);
    va_end(args);
    return false;
}

static bool fail_large(struct scan *s, size_t offset, const char *what, size_t max)
{
    s->error->too_large = true;
    return fail(s, offset, "must hold at most %zu %s", max, what);
}

/* "must be X, not Y", where Y is what stands at the cursor. */
static bool fail_here(struct scan *s, const char *must)
{
    if (s->at >= s->len) {
        return fail(s, s->len, "must %s, not the end of the text", must);
    }
    unsigned char c = (unsigned char)s->text[s->at];
    if (c > 0x20 && c < 0x7f) {
        return fail(s, s->at, "must %s, not '%c'", must, c);
    }
    return fail(s, s->at, "must %s, not the byte 0x%02x", must, c);
}

static void blank_out(struct scan *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (s->blank[i] != '\n' && s->blank[i] != '\r') {
            s->blank[i] = ' ';
        }
    }
}

/* The cursor stands on '/'. */
static bool skip_comment(struct scan *s)
{
    size_t start = s->at;
    if (s->syntax != JSON_COMMENTS) {
        return fail(s, start, "comments are not allowed here");
    }
    if (start + 1 < s->len && s->text[start + 1] == '/') {
        const char *end = memchr(s->text + start, '\n', s->len - start);
        s->at = end == NULL ? s->len : (size_t)(end - s->text);
    } else if (start + 1 < s->len && s->text[start + 1] == '*') {
        const char *end = memmem(s->text + start + 2, s->len - start - 2, "*/", 2);
        if (end == NULL) {
            return fail(s, start, "this comment has no end");
        }
        s->at = (size_t)(end - s->text) + 2;
    } else {
        return fail(s, start, "must be '//' or '/*' to begin a comment");
    }
    blank_out(s, start, s->at);
    return true;
}

static bool skip_space(struct scan *s)
{
    while (s->at < s->len) {
        char c = s->text[s->at];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            s->at++;
        } else if (c == '/') {
            if (!skip_comment(s)) {
                return false;
            }
        } else {
            break;
        }
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Four hexadecimal digits at `offset`, or UINT32_MAX. */
static uint32_t hex4(struct slice text, size_t offset)
{
    if (offset + 4 > text.len) {
        return UINT32_MAX;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text.ptr[offset + i]);
        if (digit < 0) {
            return UINT32_MAX;
        }
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

static bool is_high_surrogate(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* The cursor stands on "\u". RFC 8259 7; an unpaired half has no meaning (RFC 8259 8.2). */
static bool unicode_escape(struct scan *s)
{
    struct slice text = slice_of(s->text, s->len);
    uint32_t unit = hex4(text, s->at + 2);
    if (unit == UINT32_MAX) {
        return fail(s, s->at, "\\u must be followed by four hexadecimal digits");
    }
    if (unit == 0) {
        return fail(s, s->at, "a string must not hold \\u0000");
    }
    if (is_low_surrogate(unit)) {
        return fail(s, s->at, "this half of a surrogate pair has no first half");
    }
    if (is_high_surrogate(unit)) {
        bool paired = s->at + 12 <= s->len && s->text[s->at + 6] == '\\' &&
                      s->text[s->at + 7] == 'u' && is_low_surrogate(hex4(text, s->at + 8));
        if (!paired) {
            return fail(s, s->at, "this half of a surrogate pair has no second half");
        }
        s->at += 6;
    }
    s->at += 6;
    return true;
}

/* The cursor stands on '"'; afterwards behind the closing one. UTF-8 has been checked. */
static bool string_at(struct scan *s, struct slice *quoted, bool *has_escapes)
{
    size_t start = s->at++;
    *has_escapes = false;
    for (;;) {
        while (s->at < s->len && (unsigned char)s->text[s->at] >= 0x20 && s->text[s->at] != '"' &&
               s->text[s->at] != '\\') {
            s->at++;
        }
        if (s->at >= s->len) {
            return fail(s, start, "this string has no end");
        }
        char c = s->text[s->at];
        if (c == '"') {
            *quoted = slice_of(s->text + start + 1, s->at - start - 1);
            s->at++;
            return true;
        }
        if (c != '\\') {
            if (c == '\n' || c == '\r') {
                return fail(s, start, "this string has no end on its line");
            }
            return fail(s, s->at, "a string must not hold the control character 0x%02x as it is",
                        (unsigned char)c);
        }
        *has_escapes = true;
        char escaped = s->at + 1 < s->len ? s->text[s->at + 1] : '\0';
        if (escaped == 'u') {
            if (!unicode_escape(s)) {
                return false;
            }
        } else if (escaped != '\0' && strchr("\"\\/bfnrt", escaped) != NULL) {
            s->at += 2;
        } else {
            return fail(s, s->at, "must be one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        }
    }
}

static size_t skip_digits(struct scan *s)
{
    size_t start = s->at;
    while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        s->at++;
    }
    return s->at - start;
}

/* RFC 8259 6 */
static bool number_at(struct scan *s)
{
    size_t start = s->at;
    bool is_integer = true;
    if (s->text[s->at] == '-') {
        s->at++;
    }
    size_t digits_at = s->at;
    size_t digits = skip_digits(s);
    if (digits == 0) {
        return fail_here(s, "be a digit");
    }
    if (digits > 1 && s->text[digits_at] == '0') {
        return fail(s, start, "a number must not begin with a needless 0");
    }
    if (s->at < s->len && s->text[s->at] == '.') {
        is_integer = false;
        s->at++;
        if (skip_digits(s) == 0) {
            return fail_here(s, "be a digit behind the point");
        }
    }
    if (s->at < s->len && (s->text[s->at] == 'e' || s->text[s->at] == 'E')) {
        is_integer = false;
        s->at++;
        if (s->at < s->len && (s->text[s->at] == '+' || s->text[s->at] == '-')) {
            s->at++;
        }
        if (skip_digits(s) == 0) {
            return fail_here(s, "be a digit of the exponent");
        }
    }

    bool is_foreign = s->syntax == JSON_FOREIGN;
    if (is_integer && !is_foreign) {
        uint64_t value = 0;
        if (!num_parse_u64(slice_of(s->text + digits_at, digits), &value) || value > INTEGER_MAX) {
            return fail(s, start, "an integer must be within 2^53");
        }
        return true;
    }
    int len_max = is_foreign ? FOREIGN_LEN_MAX : NUMBER_LEN_MAX;
    if (s->at - start > (size_t)len_max) {
        return fail(s, start, "a number must not be longer than %d characters", len_max);
    }
    char copy[FOREIGN_LEN_MAX + 1];
    memcpy(copy, s->text + start, s->at - start);
    copy[s->at - start] = '\0';
    if (!isfinite(strtod(copy, NULL))) {
        return fail(s, start, "this number is too large");
    }
    return true;
}

static bool word_at(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if (s->len - s->at < len || memcmp(s->text + s->at, word, len) != 0) {
        return fail_here(s, "be a value");
    }
    s->at += len;
    return true;
}

static bool fail_duplicate(struct scan *s, const struct scan_key *key)
{
    return fail(s, key->offset, "'%.*s' is set twice in the same object",
                key->name.len > 80 ? 80 : (int)key->name.len, key->name.ptr);
}

/* Notes a key of the innermost object, whose keys begin at `first`. While the object is small it is
 * compared with those before it. */
static bool note_key(struct scan *s, size_t first, struct slice quoted, bool has_escapes,
                     size_t offset)
{
    if (s->key_count == s->key_capacity) {
        s->key_capacity = s->key_capacity == 0 ? 64 : s->key_capacity * 2;
        s->keys = mem_resize(s->keys, s->key_capacity * sizeof *s->keys);
    }
    struct scan_key *key = &s->keys[s->key_count];
    key->offset = offset;
    key->name = quoted;
    if (has_escapes) {
        struct buf plain;
        buf_init(&plain, quoted.len);
        json_scan_unescape(quoted, &plain);
        key->name = arena_copy(&s->arena, buf_slice(&plain));
        buf_fini(&plain);
    }
    s->key_count++;
    if (s->key_count - first > KEYS_LINEAR_MAX) {
        return true;
    }
    for (size_t i = first; i + 1 < s->key_count; i++) {
        if (slice_eq(s->keys[i].name, key->name)) {
            return fail_duplicate(s, key);
        }
    }
    return true;
}

/* The same for a large object, once all its keys are known. */
static bool large_keys_differ(struct scan *s, size_t first)
{
    size_t count = s->key_count - first;
    if (count <= KEYS_LINEAR_MAX) {
        return true;
    }
    size_t slots = 64;
    while (slots < count * 2) {
        slots *= 2;
    }
    const uint64_t *seed = hash_process_key();
    uint32_t *table = mem_zero(slots, sizeof *table); /* index + 1 */
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        const struct scan_key *key = &s->keys[first + i];
        size_t slot = (size_t)hash_sip(key->name, seed) & (slots - 1);
        while (table[slot] != 0) {
            if (slice_eq(s->keys[first + table[slot] - 1].name, key->name)) {
                ok = fail_duplicate(s, key);
                break;
            }
            slot = (slot + 1) & (slots - 1);
        }
        table[slot] = (uint32_t)i + 1;
    }
    free(table);
    return ok;
}

static bool member_at(struct scan *s, size_t first_key)
{
    if (s->at >= s->len || s->text[s->at] != '"') {
        return fail_here(s, "be a key in double quotes");
    }
    size_t key_at = s->at;
    struct slice quoted;
    bool has_escapes = false;
    if (!string_at(s, &quoted, &has_escapes) ||
        !note_key(s, first_key, quoted, has_escapes, key_at) || !skip_space(s)) {
        return false;
    }
    if (s->at >= s->len || s->text[s->at] != ':') {
        return fail_here(s, "be ':'");
    }
    s->at++;
    return value_at(s);
}

/* The cursor stands behind '{' or '['. Reads up to and with `close`. */
static bool items_at(struct scan *s, char close, size_t first_key)
{
    size_t comma = SIZE_MAX;
    for (;;) {
        if (!skip_space(s)) {
            return false;
        }
        if (s->at < s->len && s->text[s->at] == close) {
            if (comma != SIZE_MAX) {
                if (s->syntax != JSON_COMMENTS) {
                    return fail(s, comma, "a comma must not stand before '%c'", close);
                }
                s->blank[comma] = ' ';
            }
            s->at++;
            return true;
        }
        bool ok = close == '}' ? member_at(s, first_key) : value_at(s);
        if (!ok || !skip_space(s)) {
            return false;
        }
        if (s->at < s->len && s->text[s->at] == ',') {
            comma = s->at++;
        } else if (s->at < s->len && s->text[s->at] == close) {
            comma = SIZE_MAX;
        } else {
            return fail_here(s, close == '}' ? "be ',' or '}'" : "be ',' or ']'");
        }
    }
}

static bool container_at(struct scan *s, char open)
{
    if (++s->depth > s->limits->depth) {
        return fail(s, s->at, "must not be nested deeper than %u", s->limits->depth);
    }
    size_t start = s->at++;
    bool ok = false;
    if (open == '[') {
        ok = items_at(s, ']', 0);
    } else if (++s->objects > s->limits->objects) {
        ok = fail_large(s, start, "objects", s->limits->objects);
    } else {
        size_t first_key = s->key_count;
        ok = items_at(s, '}', first_key) && large_keys_differ(s, first_key);
        s->key_count = first_key;
    }
    s->depth--;
    return ok;
}

static bool value_at(struct scan *s)
{
    if (!skip_space(s)) {
        return false;
    }
    if (s->at >= s->len) {
        return fail_here(s, "be a value");
    }
    if (++s->values > s->limits->values) {
        return fail_large(s, s->at, "values", s->limits->values);
    }
    char c = s->text[s->at];
    switch (c) {
    case '{':
    case '[':
        return container_at(s, c);
    case '"': {
        struct slice quoted;
        bool has_escapes = false;
        return string_at(s, &quoted, &has_escapes);
    }
    case 't':
        return word_at(s, "true");
    case 'f':
        return word_at(s, "false");
    case 'n':
        return word_at(s, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9')) {
            return number_at(s);
        }
        return fail_here(s, "be a value");
    }
}

static bool scan_text(struct scan *s)
{
    if (s->len > s->limits->bytes) {
        return fail_large(s, 0, "bytes", s->limits->bytes);
    }
    size_t invalid = utf8_first_invalid(slice_of(s->text, s->len));
    if (invalid != SIZE_MAX) {
        return fail(s, invalid, "must be UTF-8, which the byte 0x%02x here is not",
                    (unsigned char)s->text[invalid]);
    }
    if (s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0) {
        if (s->syntax != JSON_COMMENTS) {
            return fail(s, 0, "must not begin with a byte order mark"); /* RFC 8259 8.1 */
        }
        blank_out(s, 0, 3);
    }
    if (!value_at(s) || !skip_space(s)) {
        return false;
    }
    if (s->at < s->len) {
        return fail_here(s, "be the end of the text");
    }
    return true;
}

static bool scan_with(struct scan *s)
{
    assert(s->limits->depth <= JSON_DEPTH_MAX);
    *s->error = (struct json_error){0};
    arena_init(&s->arena, NULL, 0);
    bool ok = scan_text(s);
    if (!ok) {
        json_scan_position(slice_of(s->text, s->len), s->error->offset, &s->error->line,
                           &s->error->column);
    }
    arena_fini(&s->arena);
    free(s->keys);
    return ok;
}

bool json_scan(char *text, size_t len, enum json_syntax syntax, const struct json_limits *limits,
               struct json_error *error)
{
    struct scan scan = {.text = text,
                        .blank = text,
                        .len = len,
                        .syntax = syntax,
                        .limits = limits,
                        .error = error};
    return scan_with(&scan);
}

static bool scan_only(struct slice text, enum json_syntax syntax, const struct json_limits *limits,
                      struct json_error *error)
{
    struct scan scan = {
        .text = text.ptr, .len = text.len, .syntax = syntax, .limits = limits, .error = error};
    return scan_with(&scan);
}

bool json_scan_strict(struct slice text, const struct json_limits *limits, struct json_error *error)
{
    return scan_only(text, JSON_STRICT, limits, error);
}

bool json_scan_foreign(struct slice text, const struct json_limits *limits,
                       struct json_error *error)
{
    return scan_only(text, JSON_FOREIGN, limits, error);
}

/* Returns how many bytes of `rest` the escape takes. */
static size_t unescape_one(struct slice rest, struct buf *out)
{
    char c = rest.len > 1 ? rest.ptr[1] : '\\';
    switch (c) {
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u': {
        size_t used = 6;
        uint32_t code = hex4(rest, 2);
        uint32_t low = is_high_surrogate(code) ? hex4(rest, 8) : UINT32_MAX;
        if (is_low_surrogate(low)) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            used = 12;
        }
        char bytes[4];
        size_t len = utf8_write(bytes, code);
        (void)buf_append(out, bytes, len);
        return used < rest.len ? used : rest.len;
    }
    default:
        break;
    }
    (void)buf_append_char(out, c);
    return rest.len > 1 ? 2 : 1;
}

void json_scan_unescape(struct slice quoted, struct buf *out)
{
    while (quoted.len > 0) {
        size_t plain = slice_find(quoted, '\\');
        if (plain == SIZE_MAX) {
            (void)buf_append_slice(out, quoted);
            return;
        }
        (void)buf_append(out, quoted.ptr, plain);
        quoted = slice_from_at(quoted, plain);
        quoted = slice_from_at(quoted, unescape_one(quoted, out));
    }
}

void json_scan_position(struct slice text, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            (*line)++;
            *column = 1;
        } else if ((c & 0xc0) != 0x80) {
            (*column)++;
        }
    }
}
