/*
 * snapshot_retire - the end of a snapshot, and how long it took.
 *
 *     published --successor adopted by all--> snapshot_retire_binds (sockets nobody listens on any
 *               more close now, not when the last slow download ends)
 *               --last lease released-------> snapshot_retire (freed)
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_RETIRE_H
#define LBD_SNAPSHOT_SNAPSHOT_RETIRE_H

#include <stdint.h>

#include "lbd/snapshot/snapshot.h"

struct snapshot_retired {
    uint64_t count;   /* freed so far */
    uint64_t last_us; /* from publication of the last one to its end */
    uint64_t max_us;
};

/* Drops the references on listening sockets; workers read them only while they adopt. */
void snapshot_retire_binds(struct snapshot *snapshot);
/* Nobody reads it any more: notes how long it lived and frees it. */
void snapshot_retire(struct snapshot *snapshot, uint64_t now_us, struct snapshot_retired *retired);
/* The same for one that was never published. NULL is fine. */
void snapshot_free(struct snapshot *snapshot);

#endif
