#include "conf/json/json_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/base/utf8.h"

void json_write_init(struct json_write *w, struct buf *out, enum json_layout layout)
{
    *w = (struct json_write){.out = out, .layout = layout};
}

static void put(struct json_write *w, struct slice text)
{
    (void)buf_append_slice(w->out, text);
}

static void new_line(struct json_write *w)
{
    if (w->layout == JSON_PRETTY) {
        (void)buf_append_char(w->out, '\n');
        for (uint32_t i = 0; i < w->depth; i++) {
            put(w, SLICE("  "));
        }
    }
}

/* What must stand between the last thing and the next. */
static void separate(struct json_write *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) {
        return;
    }
    uint64_t here = UINT64_C(1) << (w->depth - 1);
    if ((w->started & here) != 0) {
        (void)buf_append_char(w->out, ',');
    }
    w->started |= here;
    new_line(w);
}

static void open_container(struct json_write *w, char c)
{
    separate(w);
    (void)buf_append_char(w->out, c);
    assert(w->depth < JSON_WRITE_DEPTH_MAX);
    w->started &= ~(UINT64_C(1) << w->depth);
    w->depth++;
}

static void close_container(struct json_write *w, char c)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    if ((w->started & (UINT64_C(1) << w->depth)) != 0) {
        new_line(w);
    }
    (void)buf_append_char(w->out, c);
}

void json_write_object_begin(struct json_write *w)
{
    open_container(w, '{');
}

void json_write_object_end(struct json_write *w)
{
    close_container(w, '}');
}

void json_write_array_begin(struct json_write *w)
{
    open_container(w, '[');
}

void json_write_array_end(struct json_write *w)
{
    close_container(w, ']');
}

/* RFC 8259 7: quotation mark, reverse solidus and the control characters. */
static void put_escaped(struct buf *out, struct slice text)
{
    static const char hex[] = "0123456789abcdef";
    size_t plain_from = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        (void)buf_append(out, text.ptr + plain_from, i - plain_from);
        plain_from = i + 1;
        char escape[6] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};
        size_t len = 2;
        switch (c) {
        case '"':
        case '\\':
            break;
        case '\b':
            escape[1] = 'b';
            break;
        case '\f':
            escape[1] = 'f';
            break;
        case '\n':
            escape[1] = 'n';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        case '\t':
            escape[1] = 't';
            break;
        default:
            escape[1] = 'u';
            len = 6;
            break;
        }
        (void)buf_append(out, escape, len);
    }
    if (plain_from < text.len) {
        (void)buf_append(out, text.ptr + plain_from, text.len - plain_from);
    }
}

/* Printable ASCII without '"' and '\\': nearly every string. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void put_quoted(struct json_write *w, struct slice text)
{
    (void)buf_append_char(w->out, '"');
    if (is_plain(text)) {
        put(w, text);
        (void)buf_append_char(w->out, '"');
        return;
    }
    size_t invalid = text.len > 0 ? utf8_first_invalid(text) : SIZE_MAX;
    while (invalid != SIZE_MAX) {
        put_escaped(w->out, slice_of(text.ptr, invalid));
        put(w, SLICE("\xef\xbf\xbd"));
        text = slice_from_at(text, invalid + 1);
        invalid = utf8_first_invalid(text);
    }
    put_escaped(w->out, text);
    (void)buf_append_char(w->out, '"');
}

static void put_colon(struct json_write *w)
{
    put(w, w->layout == JSON_PRETTY ? SLICE(": ") : SLICE(":"));
    w->after_key = true;
}

void json_write_key_slice(struct json_write *w, struct slice key)
{
    assert(!w->after_key);
    separate(w);
    put_quoted(w, key);
    put_colon(w);
}

void json_write_key(struct json_write *w, const char *key)
{
    json_write_key_slice(w, slice_from(key));
}

void json_write_string(struct json_write *w, struct slice value)
{
    separate(w);
    put_quoted(w, value);
}

void json_write_text(struct json_write *w, const char *value)
{
    if (value == NULL) {
        json_write_null(w);
    } else {
        json_write_string(w, slice_from(value));
    }
}

void json_write_u64(struct json_write *w, uint64_t value)
{
    separate(w);
    (void)buf_append_u64(w->out, value);
}

void json_write_i64(struct json_write *w, int64_t value)
{
    separate(w);
    if (value < 0) {
        (void)buf_append_char(w->out, '-');
        (void)buf_append_u64(w->out, ~(uint64_t)value + 1);
    } else {
        (void)buf_append_u64(w->out, (uint64_t)value);
    }
}

void json_write_double(struct json_write *w, double value)
{
    if (!isfinite(value)) {
        json_write_null(w);
        return;
    }
    if (fabs(value) <= 9007199254740992.0 && !(value < floor(value)) && !(value > floor(value))) {
        json_write_i64(w, (int64_t)value);
        return;
    }
    separate(w);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (!(back < value) && !(back > value)) {
            break;
        }
    }
    put(w, slice_from(text));
    if (strpbrk(text, ".e") == NULL) {
        put(w, SLICE(".0")); /* beyond 2^53 a bare integer would be refused by json_scan */
    }
}

void json_write_bool(struct json_write *w, bool value)
{
    separate(w);
    put(w, value ? SLICE("true") : SLICE("false"));
}

void json_write_null(struct json_write *w)
{
    separate(w);
    put(w, SLICE("null"));
}

void json_write_member_string(struct json_write *w, const char *key, struct slice value)
{
    json_write_key(w, key);
    json_write_string(w, value);
}

void json_write_member_text(struct json_write *w, const char *key, const char *value)
{
    json_write_key(w, key);
    json_write_text(w, value);
}

void json_write_member_u64(struct json_write *w, const char *key, uint64_t value)
{
    json_write_key(w, key);
    json_write_u64(w, value);
}

void json_write_member_i64(struct json_write *w, const char *key, int64_t value)
{
    json_write_key(w, key);
    json_write_i64(w, value);
}

void json_write_member_double(struct json_write *w, const char *key, double value)
{
    json_write_key(w, key);
    json_write_double(w, value);
}

void json_write_member_bool(struct json_write *w, const char *key, bool value)
{
    json_write_key(w, key);
    json_write_bool(w, value);
}

static int compare_keys(const void *a, const void *b)
{
    const struct json *const *left = a;
    const struct json *const *right = b;
    return slice_compare(json_key(*left), json_key(*right));
}

static void write_tree(struct json_write *w, const struct json *json, bool sorted);

static void write_sorted_members(struct json_write *w, const struct json *object)
{
    enum { ON_STACK = 16 };
    const struct json *few[ON_STACK];
    uint32_t count = json_count(object);
    const struct json **members = few;
    const struct json **many = NULL;
    if (count > ON_STACK) {
        many = mem_alloc(count * sizeof(*many));
        members = many;
    }
    size_t filled = 0;
    const struct json *member = NULL;
    json_for_each(member, object)
    {
        /* Short objects are put in their place at once, long ones sorted afterwards. */
        size_t place = filled++;
        while (many == NULL && place > 0 &&
               slice_compare(json_key(members[place - 1]), json_key(member)) > 0) {
            members[place] = members[place - 1];
            place--;
        }
        members[place] = member;
    }
    if (many != NULL) {
        qsort(members, count, sizeof(*members), compare_keys);
    }
    for (size_t i = 0; i < filled; i++) {
        json_write_key_slice(w, json_key(members[i]));
        write_tree(w, members[i], true);
    }
    free(many);
}

static void write_object(struct json_write *w, const struct json *object, bool sorted)
{
    json_write_object_begin(w);
    if (sorted) {
        write_sorted_members(w, object);
    } else {
        const struct json *member = NULL;
        json_for_each(member, object)
        {
            json_write_key_slice(w, json_key(member));
            write_tree(w, member, false);
        }
    }
    json_write_object_end(w);
}

static void write_array(struct json_write *w, const struct json *array, bool sorted)
{
    json_write_array_begin(w);
    const struct json *item = NULL;
    json_for_each(item, array)
    {
        write_tree(w, item, sorted);
    }
    json_write_array_end(w);
}

static void write_tree(struct json_write *w, const struct json *json, bool sorted)
{
    if (json == NULL) {
        json_write_null(w);
        return;
    }
    switch (json_type(json)) {
    case JSON_NULL:
        json_write_null(w);
        break;
    case JSON_BOOL:
        json_write_bool(w, json_bool(json));
        break;
    case JSON_NUMBER:
        json_write_double(w, json_number(json));
        break;
    case JSON_STRING:
        json_write_string(w, json_string(json));
        break;
    case JSON_ARRAY:
        write_array(w, json, sorted);
        break;
    case JSON_OBJECT:
        write_object(w, json, sorted);
        break;
    }
}

void json_write_json(struct json_write *w, const struct json *json)
{
    write_tree(w, json, false);
}

void json_write_canonical(struct json_write *w, const struct json *json)
{
    write_tree(w, json, true);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Length of the string, number or word at the front of `text`. */
static size_t token_len(struct slice text)
{
    size_t i = 1;
    if (text.ptr[0] == '"') {
        while (i < text.len && text.ptr[i] != '"') {
            i += text.ptr[i] == '\\' ? 2 : 1;
        }
        return i < text.len ? i + 1 : text.len;
    }
    while (i < text.len && !is_space(text.ptr[i]) && strchr(",:[]{}\"", text.ptr[i]) == NULL) {
        i++;
    }
    return i;
}

void json_write_raw(struct json_write *w, struct slice json_text)
{
    struct slice rest = json_text;
    while (rest.len > 0) {
        char c = rest.ptr[0];
        size_t len = 1;
        if (c == '{' || c == '[') {
            open_container(w, c);
        } else if (c == '}' || c == ']') {
            close_container(w, c);
        } else if (c == ':') {
            put_colon(w);
        } else if (c != ',' && !is_space(c)) {
            len = token_len(rest);
            separate(w);
            put(w, slice_of(rest.ptr, len));
        }
        rest = slice_from_at(rest, len);
    }
}

/* -- for people -- */

/* Bytes of a character or of an escape, which is not to be cut. */
static size_t unit_len(struct slice text, size_t at)
{
    size_t len = 1;
    if (text.ptr[at] == '\\') {
        return at + 1 < text.len && text.ptr[at + 1] == 'u' ? 6 : 2;
    }
    while (at + len < text.len && ((unsigned char)text.ptr[at + len] & 0xc0) == 0x80) {
        len++;
    }
    return len;
}

void json_write_beginning(struct buf *out, struct slice json_text, size_t max)
{
    if (json_text.len <= max) {
        (void)buf_append_slice(out, json_text);
        return;
    }
    size_t len = 0;
    for (size_t next = 0; next <= max; next += unit_len(json_text, next)) {
        len = next;
    }
    (void)buf_append(out, json_text.ptr, len);
    (void)buf_append_text(out, slice_starts(json_text, SLICE("\"")) ? "...\"" : "...");
}
