/*
 * conf_errors - everything that is wrong with a document, at once.
 *
 * The readers and checks of this room add to it and go on; `lbd -t`, the API and lbctl show the
 * list. Each entry says where (JSON pointer, and line and column when the text is known), which
 * kind of mistake (a code that never changes its spelling) and what must be different; often also
 * what was probably meant.
 *
 * Limits: CONF_ERRORS_MAX errors and as many warnings are kept; `truncated` says that there were
 * more. Memory: the list owns its texts. Threads: control.
 */
#ifndef CONF_CONF_ERRORS_H
#define CONF_CONF_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json_scan.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define CONF_ERRORS_MAX 100

/* Where a reader stands: a chain of names on the stack, turned into a pointer only when needed. */
struct conf_path {
    const struct conf_path *parent; /* NULL: the root, whose key is not part of the pointer */
    struct slice key;               /* a member, when ptr is not NULL */
    uint32_t index;                 /* else an element */
};

struct conf_error {
    struct slice pointer;    /* "/pools/api/servers/a/adress"; "" for the whole document */
    struct slice code;       /* "unknown-key", "syntax", ... */
    struct slice detail;     /* "'adress' is not a known key" */
    struct slice suggestion; /* "address", or empty */
    struct slice file;       /* path of the file it is in; empty: there is no file, or but one */
    uint32_t line;           /* from 1; 0: not known */
    uint32_t column;         /* from 1, in characters */
    uint32_t operation;      /* of a batch, from 1; 0: none to name */
};

struct conf_errors {
    struct arena arena;
    struct conf_error errors[CONF_ERRORS_MAX];
    struct conf_error warnings[CONF_ERRORS_MAX];
    uint32_t error_count;
    uint32_t warning_count;
    bool truncated;
    uint32_t operation; /* what entries get that are added from here on */
};

void conf_errors_init(struct conf_errors *errors);
void conf_errors_fini(struct conf_errors *errors);
/* Forgets all entries. */
void conf_errors_clear(struct conf_errors *errors);

/* Was this place told of already? Then what follows from that need not be. */
bool conf_errors_has(const struct conf_errors *errors, const struct conf_path *path);
/* ... or of anything below it. */
bool conf_errors_has_below(const struct conf_errors *errors, const struct conf_path *path);
/* No more errors are kept: what is dear to find out need not be. */
bool conf_errors_full(const struct conf_errors *errors);

/* Adds one; `suggestion` may be empty. */
void conf_errors_add(struct conf_errors *errors, const struct conf_path *path, const char *code,
                     struct slice suggestion, const char *fmt, ...) LB_PRINTF(5, 6);
void conf_errors_warn(struct conf_errors *errors, const struct conf_path *path, const char *code,
                      const char *fmt, ...) LB_PRINTF(4, 5);
/* The same with a ready pointer. */
void conf_errors_add_at(struct conf_errors *errors, struct slice pointer, const char *code,
                        struct slice suggestion, const char *fmt, ...) LB_PRINTF(5, 6);
void conf_errors_warn_at(struct conf_errors *errors, struct slice pointer, const char *code,
                         const char *fmt, ...) LB_PRINTF(4, 5);
/* A text that is not JSON: code "syntax" (or "too-large"), with line and column. */
void conf_errors_add_syntax(struct conf_errors *errors, const struct json_error *error);

/* Finds line and column of every entry in `text`, whose root stands at `prefix` ("" for a document,
 * "/pools/a" for the body of one pool). Entries outside of it stay without. */
void conf_errors_locate(struct conf_errors *errors, struct slice text, struct slice prefix);

/* Entries that have no file yet are in `file`. */
void conf_errors_name_file(struct conf_errors *errors, struct slice file);
/* The same as _locate with a prefix of "", for the entries that are in `file`, whose text it is. */
void conf_errors_locate_file(struct conf_errors *errors, struct slice file, struct slice text);

/* One line for people: "14:21: /pools/a/adress: 'adress' is not a known key; did you mean
 * 'address'?", after "FILE:" when `file` is not empty. No newline. */
void conf_errors_describe(const struct conf_error *error, struct slice file, struct buf *out);
/* "2 errors, 1 warning" */
void conf_errors_summary(const struct conf_errors *errors, struct buf *out);

/* Appends the JSON pointer of `path`. */
void conf_errors_pointer(const struct conf_path *path, struct buf *out);

#endif
