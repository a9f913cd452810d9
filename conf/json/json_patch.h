/*
 * json_patch - change a tree: merge patch (RFC 7396) and pointers (RFC 6901).
 *
 * Our own, because cJSON_Utils has had its share of memory bugs.
 *
 * Limits: depth 32 from json_scan bounds the recursion. Memory: results belong to the tree that is
 * changed. Threads: any, one owner per tree.
 */
#ifndef CONF_JSON_JSON_PATCH_H
#define CONF_JSON_JSON_PATCH_H

#include <stdbool.h>

#include "conf/json/json.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* Applies `patch` (borrowed) and returns the result: `target` changed in place, or something new
 * when the patch is not an object (`target` is freed then). `target` may be NULL: nothing there
 * yet. */
LB_MUST_CHECK struct json *json_patch_merge(struct json *target, const struct json *patch);

/* The merge patch that makes `after` of `before`; an object without members when they are the same.
 * Exact when no object in `after` holds null, which a merge patch cannot say. The caller owns it.
 */
LB_MUST_CHECK struct json *json_patch_make(const struct json *before, const struct json *after);
/* Would two merge patches of the same value get in each other's way: do both change one place, to
 * different things? Appends the pointer of the first such place to `pointer`. */
bool json_patch_overlap(const struct json *a, const struct json *b, struct buf *pointer);

/* Valid pointers are "" and those that begin with '/', hold '~' only as "~0" or "~1" and no zero
 * byte. */
bool json_patch_pointer_valid(struct slice pointer);
/* Takes the next token off the front of *rest, unescaped into `token` (cleared first). False: at
 * the end, or the pointer is not valid. */
bool json_patch_token(struct slice *rest, struct buf *token);
/* Appends "/" and the token, escaped. */
void json_patch_append_token(struct buf *pointer, struct slice token);
/* NULL: leads nowhere. */
struct json *json_patch_get(struct json *root, struct slice pointer);
/* Puts `value` (kept, freed on failure) at the pointer; its parent must exist. "-" appends to an
 * array. False: no such parent, or the pointer is "". */
bool json_patch_set(struct json *root, struct slice pointer, struct json *value);
/* False: there was nothing. */
bool json_patch_remove(struct json *root, struct slice pointer);

#endif
