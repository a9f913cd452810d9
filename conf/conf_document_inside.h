/*
 * conf_document_inside - what the files of conf_document share and nobody else sees.
 *
 *     conf_document.c        texts, looking        conf_document_edit.c   edits, one or many
 *     conf_owner.c           everything of one owner
 *
 * Threads: control.
 */
#ifndef CONF_CONF_DOCUMENT_INSIDE_H
#define CONF_CONF_DOCUMENT_INSIDE_H

#include "conf/conf_document.h"
#include "conf/conf_part.h"

enum { CONF_DOCUMENT_TOKENS_MAX = 4 }; /* /pools/api/servers/a */

struct conf_document {
    _Atomic uint32_t refs;
    struct conf_part *root; /* its value is the struct conf */
};

extern const struct conf_path conf_document_root_path;

/* A pointer taken apart. */
struct conf_document_target {
    struct slice tokens[CONF_DOCUMENT_TOKENS_MAX];
    uint32_t count;
    struct arena arena;
};

/* False: no resource can have this pointer. */
bool conf_document_target_init(struct conf_document_target *target, struct slice pointer);
void conf_document_target_fini(struct conf_document_target *target);
/* Takes out what is no part of the configuration. */
void conf_document_drop_foreign(struct json *json);
void conf_document_refuse_daemon(struct conf_builder *builder, struct json *json);
/* Checks a finished tree as a whole. Keeps `root`; NULL when something was wrong. */
struct conf_document *conf_document_finish(struct conf_builder *builder, struct conf_part *root);

#endif
