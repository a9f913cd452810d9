/*
 * conf_document - one accepted configuration: what was written, and what it means.
 *
 * A document never changes. It is made from a text or from another document and an edit, and either
 * it is valid altogether or it is not made at all. Nothing is stored twice and nothing is read
 * twice: documents share the parts (conf_part.h) that an edit did not touch, down to the single
 * server.
 *
 *     text ---conf_document_from_text---+
 *                                       +--> document --> struct conf     (compiled for workers)
 *     document + edit + body -----------+             --> canonical text  (GET, ETag, saving, diff)
 *
 * Canonical text is compact JSON that holds exactly what was set, no defaults: settings in order of
 * their bytes, then the named members (servers, pools, ...), likewise. Equal configurations have
 * equal texts; the ETag of a resource is made from the text that conf_document_text gives for it.
 *
 * Pointers name resources: "" (all), "/pools", "/pools/api", "/pools/api/servers",
 * "/pools/api/servers/a", and so on for listeners, routes and health_checks.
 *
 * Limits: json_limits_document for whole texts, json_limits_resource for resources but address sets.
 * Memory: counted references; a document lives until its last _unref. Threads: any may hold one,
 * read it and make another from it: nothing in it ever changes.
 */
#ifndef CONF_CONF_DOCUMENT_H
#define CONF_CONF_DOCUMENT_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/conf_errors.h"
#include "conf/json/json_write.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

struct conf_document;

enum conf_edit {
    CONF_EDIT_PUT,   /* create or replace */
    CONF_EDIT_MERGE, /* RFC 7396 merge patch of something that exists */
    CONF_EDIT_DELETE /* of something that exists and that nothing refers to */
};

/* The empty document: no listener, no pool. */
LB_MUST_CHECK struct conf_document *conf_document_new(void);
/* Strict JSON, as the API takes it. The key "daemon" is an error. NULL: *errors says all that is
 * wrong; warnings are there on success too. */
LB_MUST_CHECK struct conf_document *conf_document_from_text(struct slice text,
                                                            struct conf_errors *errors);
/* The same for a text that a document gave, whatever it has grown to. */
LB_MUST_CHECK struct conf_document *conf_document_from_saved_text(struct slice text,
                                                                  struct conf_errors *errors);
/* A file: JSONC, and "daemon" is read too. On success both are the caller's; `daemon` may be NULL
 * when it is not wanted (it is checked all the same). */
LB_MUST_CHECK bool conf_document_from_file_text(struct slice text, struct conf_document **document,
                                                struct conf_daemon **daemon,
                                                struct conf_errors *errors);
/* The same for a main file (the first) and those beside it (conf_files.h): every entry of *errors
 * says which one it is in. */
struct conf_file_text;
LB_MUST_CHECK bool conf_document_from_files(const struct conf_file_text *files, uint32_t count,
                                            struct conf_document **document,
                                            struct conf_daemon **daemon,
                                            struct conf_errors *errors);

/* The document that comes out of an edit of `document` (borrowed, never changed). `body` is strict
 * JSON: the new value or the patch; ignored by DELETE. An edit that changes nothing gives
 * `document` itself, with one more reference. NULL: err->kind says how it failed.
 *
 *     ERR_NOT_FOUND   no such resource (or none that should hold it), or no such pointer
 *     ERR_MALFORMED   the body is not JSON
 *     ERR_TOO_LARGE   the body is over a limit
 *     ERR_CONFLICT    DELETE of something in use; *errors lists who refers to it (code "in-use")
 *     ERR_INVALID     the result would not be valid; *errors has the entries with absolute
 *                     pointers, and with line and column of the body where they lie in it
 */
LB_MUST_CHECK struct conf_document *conf_document_edit(struct conf_document *document,
                                                       enum conf_edit edit, struct slice pointer,
                                                       struct slice body,
                                                       struct conf_errors *errors, struct err *err);

struct conf_operation {
    enum conf_edit edit;
    struct slice pointer;
    struct slice body;
    bool missing_is_fine; /* DELETE of what is not there */
};

/* All of these edits or none, one after the other; only what comes out at the end must be valid.
 * Failures as with conf_document_edit; *failed is then the index of the operation to blame, or
 * `count` when no single one is. Entries of *errors name theirs (conf_error.operation). Bodies are
 * not located: entries have neither line nor column. */
LB_MUST_CHECK struct conf_document *conf_document_edit_many(struct conf_document *document,
                                                            const struct conf_operation *operations,
                                                            uint32_t count,
                                                            struct conf_errors *errors,
                                                            struct err *err, uint32_t *failed);

/* Returns its argument. */
struct conf_document *conf_document_ref(struct conf_document *document);
void conf_document_unref(struct conf_document *document); /* NULL is fine */

/* Borrowed; lives as long as the document. */
const struct conf *conf_document_conf(const struct conf_document *document);
/* Does a pointer lead to a resource (or to "" or a collection, which always exist in what exists)?
 */
bool conf_document_has(const struct conf_document *document, struct slice pointer);
/* Appends the canonical text of a resource; false: there is none. A collection that was never set
 * is "{}". */
LB_MUST_CHECK bool conf_document_text(const struct conf_document *document, struct slice pointer,
                                      struct buf *out);
/* Writes a resource with all its defaults ("effective" values); false: there is none. */
LB_MUST_CHECK bool conf_document_write_effective(const struct conf_document *document,
                                                 struct slice pointer, struct json_write *w);
/* Same configuration? Cheap for documents made from each other. */
bool conf_document_same(const struct conf_document *a, const struct conf_document *b);
/* Of the canonical text. */
size_t conf_document_bytes(const struct conf_document *document);
/* For conf_diff: the tree itself. */
struct conf_part;
const struct conf_part *conf_document_root(const struct conf_document *document);

#endif
