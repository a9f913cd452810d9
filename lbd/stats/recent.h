/*
 * recent - the last requests of a worker that failed or were slow, each with what led to its end.
 *
 *     worker: recent_put(entry) --> ring --> recent_each: newest first, for those who ask why
 *
 * An entry is copied whole, texts and all; the oldest make room. What goes well and fast never
 * comes here. Whoever asks does it on the worker's thread (lbd/worker/requests) and takes copies
 * home.
 *
 * Limits: RECENT_ENTRIES and RECENT_BYTES, whichever is reached first; longer texts are cut, the
 * path at RECENT_PATH. Memory: RECENT_BYTES from the first entry on, nothing before. Threads: the
 * worker's.
 */
#ifndef LBD_STATS_RECENT_H
#define LBD_STATS_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/stats/access_record.h"

#define RECENT_ENTRIES    512U
#define RECENT_BYTES      (256U * 1024)
#define RECENT_PATH       1024U
#define RECENT_TEXT       256U /* of any other text */
#define RECENT_TRIES      8U
#define RECENT_CANDIDATES 16U
#define RECENT_POLICIES   16U

/* An attempt at a server. */
struct recent_try {
    struct slice server;
    enum close_reason reason; /* CLOSE_OK: its answer was used */
    uint16_t status;          /* of an answer that was tried again; 0: none came, or it was used */
    bool reused;              /* over a connection that had served before */
    uint64_t began_us;        /* since the request began */
    uint64_t took_us;
};

/* A server that could have got the request, or not. */
struct recent_candidate {
    struct slice server;
    const char *state; /* a literal: "usable", "full", "drain", "maint", "down", "no_address" */
};

/* A policy that was asked. */
struct recent_policy {
    struct slice name;
    const char *decision; /* a literal: "passed", "refused", "would_refuse" (in shadow mode) */
};

struct recent_entry {
    struct access_record record;
    uint32_t try_count; /* at most RECENT_TRIES: the first ones, and the last */
    uint32_t candidate_count;
    uint32_t candidate_total; /* servers of the pool, those left out, too */
    const struct recent_try *tries;
    const struct recent_candidate *candidates;
    const struct recent_policy *policies;
    uint32_t policy_count; /* at most RECENT_POLICIES */
};

struct recent {
    char *bytes; /* NULL: nothing was put so far */
    uint32_t at; /* where the next one goes */
    uint32_t first;
    uint32_t count;
    uint32_t offsets[RECENT_ENTRIES]; /* from `first` on, round and round */
};

/* A zeroed one is empty. */
void recent_fini(struct recent *recent);
void recent_put(struct recent *recent, const struct recent_entry *entry);
/* Newest first, until `visit` says false. What it is shown is borrowed for the call. */
void recent_each(const struct recent *recent,
                 bool (*visit)(const struct recent_entry *entry, void *arg), void *arg);

/* A copy in one block, to be freed by free(). */
struct recent_entry *recent_copy(const struct recent_entry *entry);

#endif
