/*
 * retry - when may a request be tried again, and how often in all.
 *
 * Budget per worker and pool: retries never exceed max(10/s, 20 % of the requests) for long. In
 * each second a worker earns tokens for its part of the 10/s or for 20 % of the requests it has
 * seen in that second, whichever is more; a retry costs one. What is not used is kept for up to ten
 * such seconds, so the requests that a dying server takes with it can be tried again.
 *
 * Memory: a zeroed budget is a full one. Threads: worker.
 */
#ifndef LBD_UPSTREAM_RETRY_H
#define LBD_UPSTREAM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

struct retry_budget {
    uint64_t window_us;          /* when the current second began */
    uint32_t millitokens;        /* to spend */
    uint32_t window_requests;    /* seen in the current second */
    uint32_t window_earned;      /* millitokens of the current second */
    uint32_t last_window_earned; /* of the second before it */
};

enum retry_failure {
    RETRY_CONNECT,     /* no byte of the request was sent */
    RETRY_REUSED_DIED, /* a reused connection ended before any byte of an answer */
    RETRY_FRESH_DIED,  /* a fresh one did */
};

struct retry_facts {
    bool safe_method; /* GET, HEAD, OPTIONS */
    bool has_body;
    bool answer_began;
    uint32_t tries; /* so far, >= 1 */
    uint32_t retries_allowed;
};

/* Counts a request. */
void retry_budget_note(struct retry_budget *budget, uint64_t now_us, uint32_t workers);
/* May it be tried again? Any request on connect failure; a safe method without a body on any lost
 * connection before the first byte of an answer. Takes a token when yes. `*no_budget` tells that
 * only the budget said no. */
LB_MUST_CHECK bool retry_take(struct retry_budget *budget, const struct retry_facts *facts,
                              enum retry_failure failure, uint64_t now_us, uint32_t workers,
                              bool *no_budget);

#endif
