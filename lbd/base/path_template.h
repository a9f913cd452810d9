/*
 * path_template - paths with variables: "/users/{id}/posts/{post}", "/files/{rest*}".
 *
 *     {name}     one whole segment, not empty
 *     {name*}    at the end: all that is left behind the '/', also nothing, also more segments
 *
 * A name is a-z, 0-9 and '_', and begins with a letter. What stands between the slashes is either a
 * variable or itself.
 *
 * Its *shape* says at which segments variables stand. Two templates of one shape that differ can
 * not match the same path, so among those of one shape a path is found by a look-up: its own text
 * with "{}" in place of the variables' segments, path_template_key. There is no regular expression
 * in it.
 *
 * Templates give values too: path_template_fill writes a path with the values of another's
 * variables.
 *
 * Limits: PATH_TEMPLATE_SEGMENTS_MAX segments. Memory: points into the text. Threads: any.
 */
#ifndef LBD_BASE_PATH_TEMPLATE_H
#define LBD_BASE_PATH_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define PATH_TEMPLATE_SEGMENTS_MAX 32U
#define PATH_TEMPLATE_NAME_MAX     32U

struct path_template_shape {
    uint32_t variables; /* bit n: segment n is one; of a rest, too */
    uint8_t count;      /* segments, a rest counts as one */
    bool has_rest;      /* the last one is a rest */
};

struct path_template {
    struct slice text;
    struct path_template_shape shape;
};

/* A value with its name. */
struct path_template_value {
    struct slice name;
    struct slice value;
};

/* Reads a template; *problem says what is wrong with it when false. */
bool path_template_read(struct slice text, struct path_template *out, const char **problem);
/* Which goes first when both match a path: <0, 0, >0. At the first segment where they differ what
 * stands for itself goes before a variable, and that before a rest. */
int path_template_compare(const struct path_template_shape *a, const struct path_template_shape *b);
/* Writes the text under which a template of this shape that matches `path` is found: at most
 * path.len + 3 bytes for each segment. Its length, or SIZE_MAX when no template of this shape can
 * match the path or `max` bytes are too few. Of a template's own text it makes the same. */
size_t path_template_key(const struct path_template_shape *shape, struct slice path, char *out,
                         size_t max);
/* Does it match? Fills the values of its variables, in order, and *count. */
bool path_template_match(const struct path_template *template, struct slice path,
                         struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX],
                         uint32_t *count);

/* -- filling in -- */

/* The next piece of a text with variables: text up to a '{', or the name in "{name}". False at the
 * end, or with *problem when braces do not pair or hold no name (digits are names here). */
struct path_template_piece {
    struct slice text;
    bool is_name;
};
bool path_template_next(struct slice *rest, struct path_template_piece *piece,
                        const char **problem);
/* `text` with the values; its length, or SIZE_MAX when `max` bytes are too few. A name without a
 * value gives nothing. */
size_t path_template_fill(struct slice text, const struct path_template_value *values,
                          uint32_t count, char *out, size_t max);

#endif
