/*
 * health_history - the last results of one server's checks, for people who ask what happened.
 *
 *     note -> [ 20 newest | the oldest falls out ] -> at(0) newest ... at(count - 1) oldest
 *
 * Limits: HEALTH_HISTORY_MAX results. Memory: about 1 KiB from the first note on, until clear or
 * fini; zeroed is empty. Threads: one owner, the control thread.
 */
#ifndef LBD_UPSTREAM_HEALTH_HISTORY_H
#define LBD_UPSTREAM_HEALTH_HISTORY_H

#include <stdint.h>

#define HEALTH_HISTORY_MAX 20U

struct health_history_entry {
    uint64_t wall_us; /* when it ended */
    uint32_t duration_us;
    uint32_t result; /* enum health_probe_verdict */
    char *text;      /* owned: the verdict in words */
};

struct health_history {
    struct health_history_entry *ring; /* owned; NULL: empty */
    uint32_t count;
    uint32_t next; /* where the next one goes */
};

/* `result`: enum health_probe_verdict; the text is copied. */
void health_history_note(struct health_history *history, uint64_t wall_us, uint64_t duration_us,
                         uint32_t result, const char *text);
/* index < history->count; 0: the newest. Borrowed until the next note. */
const struct health_history_entry *health_history_at(const struct health_history *history,
                                                     uint32_t index);
/* Forgets all and gives the memory back. */
void health_history_fini(struct health_history *history);

#endif
