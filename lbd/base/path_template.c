#include "lbd/base/path_template.h"

static const struct slice any_segment = SLICE_INIT("{}");
static const struct slice any_rest = SLICE_INIT("{*}");

/* Takes a segment off the front, "/seg"; false at the end, or when it begins with no '/'. */
static bool next_segment(struct slice *rest, struct slice *segment)
{
    if (rest->len == 0 || rest->ptr[0] != '/') {
        return false;
    }
    size_t end = 1;
    while (end < rest->len && rest->ptr[end] != '/') {
        end++;
    }
    *segment = slice_of(rest->ptr + 1, end - 1);
    *rest = slice_from_at(*rest, end);
    return true;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(struct slice name)
{
    if (name.len == 0 || name.len > PATH_TEMPLATE_NAME_MAX || !is_lower(name.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_lower(name.ptr[i]) && !is_digit(name.ptr[i]) && name.ptr[i] != '_') {
            return false;
        }
    }
    return true;
}

/* "{name}" or "{name*}" */
static bool is_variable(struct slice segment, struct slice *name, bool *is_rest)
{
    if (segment.len < 2 || segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}') {
        return false;
    }
    *name = slice_of(segment.ptr + 1, segment.len - 2);
    *is_rest = slice_ends(*name, SLICE("*"));
    name->len -= *is_rest ? 1 : 0;
    return true;
}

static bool is_named_before(struct slice text, const char *end, struct slice name)
{
    struct slice rest = slice_of(text.ptr, (size_t)(end - text.ptr));
    struct slice segment;
    struct slice other;
    bool is_rest = false;
    while (next_segment(&rest, &segment)) {
        if (is_variable(segment, &other, &is_rest) && slice_eq(other, name)) {
            return true;
        }
    }
    return false;
}

bool path_template_read(struct slice text, struct path_template *out, const char **problem)
{
    struct slice rest = text;
    struct slice segment;
    struct slice name;
    *out = (struct path_template){.text = text};
    struct path_template_shape *shape = &out->shape;
    if (text.len == 0 || text.ptr[0] != '/') {
        *problem = "must begin with '/'";
        return false;
    }
    while (next_segment(&rest, &segment)) {
        bool is_rest = false;
        if (shape->count == PATH_TEMPLATE_SEGMENTS_MAX) {
            *problem = "must have at most 32 segments";
            return false;
        }
        if (is_variable(segment, &name, &is_rest)) {
            if (!is_name(name)) {
                *problem = "must name its variables with a-z, 0-9 and '_', at most 32 bytes, a "
                           "letter first";
                return false;
            }
            if (is_rest && rest.len != 0) {
                *problem = "must have a variable with '*' at its end only";
                return false;
            }
            if (is_named_before(text, segment.ptr - 1, name)) {
                *problem = "must not name two variables the same";
                return false;
            }
            shape->variables |= 1U << shape->count;
            shape->has_rest = is_rest;
        } else if (slice_find(segment, '{') != SIZE_MAX || slice_find(segment, '}') != SIZE_MAX) {
            *problem = "must have variables that are whole segments, such as \"/users/{id}\"";
            return false;
        }
        shape->count++;
    }
    if (shape->variables == 0) {
        *problem = "must have a variable such as \"{id}\": without one it is a path";
        return false;
    }
    return true;
}

/* 0: itself, 1: a variable, 2: a rest. */
static int rank(const struct path_template_shape *shape, uint32_t segment)
{
    if (shape->has_rest && segment + 1 == shape->count) {
        return 2;
    }
    return (int)(shape->variables >> segment & 1);
}

int path_template_compare(const struct path_template_shape *a, const struct path_template_shape *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (rank(a, i) != rank(b, i)) {
            return rank(a, i) - rank(b, i);
        }
    }
    return (int)b->count - (int)a->count;
}

static bool put(char *out, size_t max, size_t *len, struct slice text)
{
    if (text.len > max - *len) {
        return false;
    }
    if (text.len != 0) {
        memcpy(out + *len, text.ptr, text.len);
        *len += text.len;
    }
    return true;
}

size_t path_template_key(const struct path_template_shape *shape, struct slice path, char *out,
                         size_t max)
{
    size_t len = 0;
    struct slice segment;
    for (uint32_t i = 0; i < shape->count; i++) {
        bool is_any = (shape->variables >> i & 1) != 0;
        if (shape->has_rest && i + 1 == shape->count) {
            bool is_there = path.len != 0 && path.ptr[0] == '/';
            return is_there && put(out, max, &len, SLICE("/")) && put(out, max, &len, any_rest)
                       ? len
                       : SIZE_MAX;
        }
        if (!next_segment(&path, &segment) || (is_any && segment.len == 0) ||
            !put(out, max, &len, SLICE("/")) ||
            !put(out, max, &len, is_any ? any_segment : segment)) {
            return SIZE_MAX;
        }
    }
    return path.len == 0 ? len : SIZE_MAX;
}

bool path_template_match(const struct path_template *template, struct slice path,
                         struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX],
                         uint32_t *count)
{
    struct slice pattern = template->text;
    struct slice wanted;
    struct slice segment;
    *count = 0;
    while (next_segment(&pattern, &wanted)) {
        struct slice name;
        bool is_rest = false;
        bool is_any = is_variable(wanted, &name, &is_rest);
        if (is_rest) {
            if (path.len == 0 || path.ptr[0] != '/') {
                return false;
            }
            values[(*count)++] = (struct path_template_value){name, slice_from_at(path, 1)};
            return true;
        }
        if (!next_segment(&path, &segment) ||
            (is_any ? segment.len == 0 : !slice_eq(segment, wanted))) {
            return false;
        }
        if (is_any) {
            values[(*count)++] = (struct path_template_value){name, segment};
        }
    }
    return path.len == 0;
}

bool path_template_next(struct slice *rest, struct path_template_piece *piece, const char **problem)
{
    if (rest->len == 0) {
        return false;
    }
    if (rest->ptr[0] != '{') {
        size_t end = slice_find(*rest, '{');
        *piece = (struct path_template_piece){
            .text = slice_of(rest->ptr, end == SIZE_MAX ? rest->len : end)};
        *rest = slice_from_at(*rest, piece->text.len);
        if (slice_find(piece->text, '}') != SIZE_MAX) {
            *problem = "must not hold '}' but behind the name of a variable";
            return false;
        }
        return true;
    }
    size_t end = slice_find(*rest, '}');
    if (end == SIZE_MAX || end < 2 || end - 1 > PATH_TEMPLATE_NAME_MAX) {
        *problem = "must hold '{' only before the name of a variable and '}'";
        return false;
    }
    *piece =
        (struct path_template_piece){.text = slice_of(rest->ptr + 1, end - 1), .is_name = true};
    *rest = slice_from_at(*rest, end + 1);
    return true;
}

static struct slice value_of(struct slice name, const struct path_template_value *values,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(values[i].name, name)) {
            return values[i].value;
        }
    }
    return SLICE_NONE;
}

size_t path_template_fill(struct slice text, const struct path_template_value *values,
                          uint32_t count, char *out, size_t max)
{
    struct path_template_piece piece;
    const char *problem = NULL;
    size_t len = 0;
    while (path_template_next(&text, &piece, &problem)) {
        struct slice part = piece.is_name ? value_of(piece.text, values, count) : piece.text;
        if (!put(out, max, &len, part)) {
            return SIZE_MAX;
        }
    }
    return len;
}
