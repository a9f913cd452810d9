/*
 * conf_part - one object of a document: what was written, what it means, and its named members.
 *
 * A document is a tree of parts that never change. An edit makes new parts from the touched one up
 * to the root and shares all others by counted references, so changing one server of ten thousand
 * reads one server.
 *
 *     root -+- listeners: [web]
 *           +- routes:    [api, shop]
 *           +- pools:     [api, web] -- servers: [a, b, c]      each [] a struct conf_list,
 *           +- health_checks: [alive]                           each name a struct conf_part
 *
 * A list holds its parts sorted by name and, beside them, their values as one array: that is what
 * struct conf points to. Canonical text is kept for each part without its lists.
 *
 * conf_document and conf_owner are the only callers.
 *
 * Memory: counted references, which any thread may take and drop. Threads: a tree is made by one
 * thread at a time (control, or the one that compiles for it) and may share parts of another.
 */
#ifndef CONF_CONF_PART_H
#define CONF_CONF_PART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_errors.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

struct conf_part;

struct conf_list {
    _Atomic uint32_t refs;
    uint32_t count;
    const struct conf_object *object; /* of the members */
    struct conf_part **parts;         /* sorted by name; a reference each */
    char *values;                     /* count * object->size, in the same order */
    size_t bytes;                     /* of the canonical text */
};

struct conf_part {
    _Atomic uint32_t refs;
    const struct conf_object *object;
    struct slice name;
    struct slice text; /* "{...}" canonical, without the lists */
    void *value;       /* a struct of `object`; its arrays of members belong to the lists */
    struct conf_list *lists[CONF_SCHEMA_MAPS_MAX]; /* by the order of MAP fields; NULL: never set */
    size_t bytes;                                  /* of the canonical text with the lists */
    size_t name_bytes;                             /* of the name in that text: with quotes */
    struct arena arena;
};

/* What an edit carries through the tree. */
struct conf_builder {
    struct conf_errors *errors;
    struct buf scratch;
    bool ok; /* nothing was wrong so far */
};

void conf_part_builder_init(struct conf_builder *builder, struct conf_errors *errors);
void conf_part_builder_fini(struct conf_builder *builder);

/* All of the following return a new reference, never NULL, and note mistakes in the builder: what
 * they made is then only good for finding further mistakes. `json` and `patch` are borrowed but may
 * be taken apart. */

/* A part from its JSON. When `old` (may be NULL) is the same, it is `old` again. */
struct conf_part *conf_part_build(struct conf_builder *builder, const struct conf_object *object,
                                  struct slice name, struct json *json, struct conf_part *old,
                                  const struct conf_path *path);
/* `old` after an RFC 7396 merge patch. */
struct conf_part *conf_part_merge(struct conf_builder *builder, struct conf_part *old,
                                  struct json *patch, const struct conf_path *path);
/* `old` with another list (a reference is kept; NULL: never set) in place `index`. */
struct conf_part *conf_part_with_list(struct conf_builder *builder, struct conf_part *old,
                                      uint32_t index, struct conf_list *list,
                                      const struct conf_path *path);

struct conf_list *conf_part_list_build(struct conf_builder *builder, const struct conf_field *field,
                                       struct json *json, struct conf_list *old,
                                       const struct conf_path *path);
/* `old` may be NULL. */
struct conf_list *conf_part_list_merge(struct conf_builder *builder, const struct conf_field *field,
                                       struct conf_list *old, struct json *patch,
                                       const struct conf_path *path);
/* `old` (may be NULL) with `part` (a reference is kept) under its name, or with NULL without
 * `name`. */
struct conf_list *conf_part_list_with(const struct conf_field *field, struct conf_list *old,
                                      struct slice name, struct conf_part *part);

/* The members of `old` (may be NULL) that `fresh` does not name and for which owner_of() is not
 * `owner`. */
struct conf_list *conf_part_list_filter(const struct conf_field *field, const struct conf_list *old,
                                        const struct conf_list *fresh,
                                        struct slice (*owner_of)(const struct conf_part *part),
                                        struct slice owner);
/* The members of both, which have no name in common; `old` (may be NULL) again when it has the
 * same. */
struct conf_list *conf_part_list_join(const struct conf_field *field, const struct conf_list *a,
                                      const struct conf_list *b, struct conf_list *old);

/* Notes a mistake when the last key of `path` is no name. */
void conf_part_check_name(struct conf_builder *builder, const struct conf_field *field,
                          const struct conf_path *path);

struct conf_part *conf_part_ref(struct conf_part *part);
void conf_part_unref(struct conf_part *part); /* NULL is fine */
void conf_part_list_unref(struct conf_list *list);

/* The MAP field called `key` and the number of its list; NULL: there is none. */
const struct conf_field *conf_part_map(const struct conf_object *object, struct slice key,
                                       uint32_t *index);
/* NULL: no such member; `list` may be NULL. */
struct conf_part *conf_part_find(const struct conf_list *list, struct slice name);
/* Same content? */
bool conf_part_same(const struct conf_part *a, const struct conf_part *b);
/* Append canonical text. A list that was never set is "{}". */
void conf_part_write(const struct conf_part *part, struct buf *out);
void conf_part_list_write(const struct conf_list *list, struct buf *out);

#endif
