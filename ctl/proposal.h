/*
 * proposal - one change to the configuration on its way: rehearsed, then done.
 *
 *     proposal_rehearse:  the same write with ?dry_run=true --> all errors with their places, or
 *                         all changes, one a line
 *     (the command asks, when traffic would drop)
 *     proposal_perform:   the write --> "applied: 2 changes, revision 43 (undo: lbctl rollback 42)"
 *
 * Both carry If-Match, so that what was rehearsed is what is done; `was_overtaken` says that
 * somebody else was faster, which the command must handle: nothing was printed then.
 *
 * Memory: borrows everything but `undo`. Threads: one.
 */
#ifndef CTL_PROPOSAL_H
#define CTL_PROPOSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "ctl/refusal.h"
#include "lbd/base/buf.h"

enum { PROPOSAL_TRIES = 8 }; /* when others change the same all the time */

struct proposal {
    struct ctl *ctl;
    const char *method;
    const char *path;
    struct slice body;                   /* strict JSON; not for DELETE */
    const char *etag;                    /* If-Match; NULL or "": whatever is there */
    bool if_none;                        /* only when there is none yet */
    const struct refusal_source *source; /* of what is sent, for the places of errors; NULL: none */
    const char *done;                    /* "applied" */
    uint64_t revision_before;            /* 0: not known */
    struct buf undo;                     /* a command; empty: lbctl rollback revision_before */

    struct rest_reply
        *refusal; /* takes the answer of a refusal, which is not printed then; or NULL */

    uint64_t change_count; /* out: of the rehearsal */
    bool was_overtaken;    /* out */
};

void proposal_init(struct proposal *proposal, struct ctl *ctl, const char *method,
                   const char *path);
void proposal_fini(struct proposal *proposal);
/* Sends it as a rehearsal and prints what would change. */
enum ctl_exit proposal_rehearse(struct proposal *proposal);
/* After a rehearsal: ends a dry run with a sentence, else does it and says so. */
enum ctl_exit proposal_perform(struct proposal *proposal);

/* Whether to try once more after being overtaken, for the `tries`th time; tells it. */
bool proposal_tries_again(const struct ctl *ctl, uint32_t tries);
/* Ends a line about a change that is done: ", revision 43 (undo: ...)", how long it lasts when it
 * has to be confirmed, and the newline. */
void proposal_end_line(struct ctl *ctl, const struct rest_reply *reply, struct slice undo);

#endif
