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

/* Where the refused text came from. */
struct refusal_source {
    const char *name;  /* as lines name it: the file, or "stdin" */
    struct slice text; /* JSONC; its root is the root of the document */
};

/* Prints why, and returns how to end. `source` may be NULL. */
enum ctl_exit refusal_print(struct ctl *ctl, const struct rest_reply *reply,
                            const struct refusal_source *source);
/* Prints the warnings of an answer, when it has any. */
void refusal_print_warnings(struct ctl *ctl, const struct json *answer,
                            const struct refusal_source *source);

#endif
