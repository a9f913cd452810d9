/*
 * requests - a question to all workers about the requests that they keep: those that failed or were
 * slow.
 *
 *     requests_ask --message--> each worker: stats/recent --message--> all have answered: done()
 *
 * A worker looks at no more than RECENT_ENTRIES and copies at most `limit` of them.
 *
 * Memory: freed after done(). Threads: control; the parts travel to the workers and back.
 */
#ifndef LBD_WORKER_REQUESTS_H
#define LBD_WORKER_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/slice.h"
#include "lbd/stats/recent.h"
#include "lbd/worker/worker.h"

/* Which are meant: those that fit every part that is given. */
struct requests_query {
    struct slice id; /* empty: any; as all texts here */
    struct slice listener;
    struct slice route;
    struct slice pool;
    struct slice server;
    const struct addr_small *client; /* without its port; NULL: any */
    bool has_reason;
    enum close_reason reason;
    uint16_t status; /* 0: any; 1 to 5: the hundred */
    uint64_t min_us; /* took at least so long */
    uint32_t limit;  /* at most so many, the newest */
};

struct requests_answer {
    uint64_t total; /* that fit */
    uint32_t count;
    const struct recent_entry **entries; /* the newest first */
};

/* done() runs on control, once; what it is given lives as long as the call. */
void requests_ask(struct workers *workers, const struct requests_query *query,
                  void (*done)(const struct requests_answer *answer, void *arg), void *arg);

#endif
