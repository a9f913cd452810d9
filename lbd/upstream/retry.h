/*
 * retry - when may a request be tried again, and how often in all.
 *
 * Budget per worker and pool: a token bucket filled by 20 % of the requests and by 10 tokens a second (split over the
 * workers), at most 10 s worth of the latter; a retry costs one token. So retries never exceed max(10/s, 20 %) for long.
 *
 * Threads: worker.
 */
#ifndef LBD_UPSTREAM_RETRY_H
#define LBD_UPSTREAM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_budget {
    uint64_t filled_us;  /* time of the last filling */
    uint32_t millitokens;
};

enum retry_failure {
    RETRY_CONNECT,      /* no byte of the request was sent */
    RETRY_REUSED_DIED,  /* a reused connection ended before any byte of an answer */
    RETRY_FRESH_DIED,   /* a fresh one did */
};

struct retry_facts {
    bool safe_method;  /* GET, HEAD, OPTIONS */
    bool has_body;
    bool answer_began;
    uint32_t tries; /* so far, >= 1 */
    uint32_t retries_allowed;
};

/* Counts a request. */
void retry_budget_note(struct retry_budget *budget, uint64_t now_us, uint32_t workers);
/* May it be tried again? Any request on connect failure; a safe method without a body on any lost connection before the first byte
 * of an answer. Takes a token when yes. `*no_budget` tells that only the budget said no. */
bool retry_take(struct retry_budget *budget, const struct retry_facts *facts, enum retry_failure failure,
                uint64_t now_us, uint32_t workers, bool *no_budget);

#endif
