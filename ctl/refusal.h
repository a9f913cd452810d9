/*
 * refusal - a problem document (RFC 9457) as sentences for a person, and as an exit code.
 *
 *     lbctl: not applied: 2 errors in shop.json; nothing was changed
 *       shop.json:14:21: /pools/api/servers/a/adress: 'adress' is not a known key; did you mean
 *       'address'?
 *
 * When what was sent came from a file, each error is found again in that file as the person wrote
 * it, comments and all.
 *
 * Memory: keeps nothing. Threads: one.
 */
#ifndef CTL_REFUSAL_H
#define CTL_REFUSAL_H

#include "ctl/ctl.h"
#include "ctl/rest_reply.h"
#include "lbd/base/slice.h"

/* What the refused change was about. */
struct refusal_source {
    const char *name;    /* as lines name it: the file, or "stdin"; NULL: it came from no file */
    const char *verdict; /* "not valid"; NULL: "not applied" */
    struct slice text;   /* of the file: JSONC */
    struct slice root;   /* where its root is in the document: "/pools/web"; empty: it is the whole.
                          * Warnings about other parts of the document are left out */
};

enum {
    REFUSAL_ENTRIES_MAX = 128,
    REFUSAL_WARNINGS_SHOWN = 10, /* beside something else */
};

/* One error or warning. */
struct refusal_entry {
    struct slice pointer; /* "/pools/a"; empty: none */
    struct slice detail;
    struct slice suggestion;
    struct slice file; /* lbd's own, that it read; empty: none */
    uint32_t line;     /* 0: not known */
    uint32_t column;
};

/* Fills `entries` from the list of errors or warnings of an answer, with their places in the source
 * (which may be NULL). Returns how many. They borrow from `list`. */
uint32_t refusal_read(const struct json *list, const struct refusal_source *source,
                      struct refusal_entry entries[REFUSAL_ENTRIES_MAX]);
/* Writes "detail; did you mean 'suggestion'?" */
void refusal_append(struct buf *text, const struct refusal_entry *entry);

/* Prints why, and returns how to end. `source` may be NULL. */
enum ctl_exit refusal_print(struct ctl *ctl, const struct rest_reply *reply,
                            const struct refusal_source *source);
/* Prints the warnings of an answer, when it has any, and how many are left of them after `most`. */
void refusal_print_warnings(struct ctl *ctl, const struct json *answer,
                            const struct refusal_source *source, uint32_t most);

#endif
