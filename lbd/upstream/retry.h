/*
 * retry - when may a request be tried again, and how often in all.
 *
 * Budget per worker and pool: retries never exceed max(budget_per_s, budget_percent of the
 * requests) for long. In each second a worker earns tokens for its part of the former or for the
 * requests it has seen in that second, whichever is more; a retry costs one. What is not used is
 * kept for up to ten such seconds, so the requests that a dying server takes with it can be tried
 * again.
 *
 * Memory: a zeroed budget is a full one. Threads: worker; a policy is frozen with its pool.
 */
#ifndef LBD_UPSTREAM_RETRY_H
#define LBD_UPSTREAM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

#define RETRY_STATUS_FIRST 400U
#define RETRY_STATUS_COUNT 200U

/* What a pool allows. */
struct retry_policy {
    uint32_t retries; /* further tries */
    bool on_connect;
    bool on_reset;
    bool on_timeout;
    bool non_idempotent;     /* whatever the method */
    uint32_t per_try_ms;     /* 0: no limit of its own */
    uint32_t backoff_ms;     /* before the second try at the same server, at most */
    uint32_t budget_percent; /* of the requests */
    uint32_t budget_per_s;   /* over all workers */
    uint64_t statuses[(RETRY_STATUS_COUNT + 63) / 64];
};

struct retry_budget {
    uint64_t window_us;          /* when the current second began */
    uint32_t millitokens;        /* to spend */
    uint32_t window_requests;    /* seen in the current second */
    uint32_t window_earned;      /* millitokens of the current second */
    uint32_t last_window_earned; /* of the second before it */
};

enum retry_failure {
    RETRY_CONNECT,     /* no byte of the request was sent */
    RETRY_LATE,        /* likewise: there was no connection in the time of a try */
    RETRY_REFUSED,     /* the server says that it did nothing with it (RFC 9113 8.7) */
    RETRY_REUSED_DIED, /* a reused connection ended before any byte of an answer */
    RETRY_FRESH_DIED,  /* a fresh one did */
    RETRY_TIMEOUT,     /* no answer in time */
    RETRY_STATUS,      /* an answer whose status is one of the policy's */
};

struct retry_facts {
    bool safe_method; /* GET, HEAD, OPTIONS */
    bool body_gone;   /* some of its body is not at hand any more */
    bool answer_began;
    uint32_t tries;  /* so far, >= 1 */
    bool is_counted; /* the last was a retry and still counts among those under way */
};

/* What a pool does that says nothing: connect and reset, 20 %, 10 a second. */
void retry_policy_init(struct retry_policy *policy, uint32_t retries);
void retry_policy_add_status(struct retry_policy *policy, uint32_t status); /* 400 to 599 */
static inline bool retry_is_status(const struct retry_policy *policy, uint32_t status)
{
    uint32_t at = status - RETRY_STATUS_FIRST;
    return status >= RETRY_STATUS_FIRST && at < RETRY_STATUS_COUNT &&
           (policy->statuses[at / 64] >> at % 64 & 1) != 0;
}
/* How long to wait at most before the same server is asked once more. */
uint32_t retry_backoff_ms(const struct retry_policy *policy, uint32_t tries);

/* Counts a request. */
void retry_budget_note(struct retry_budget *budget, const struct retry_policy *policy,
                       uint64_t now_us, uint32_t workers);
/* May it be tried again? Where the policy has the kind of failure: any request on connect failure;
 * a refused one while all of its body is still at hand; after all others only what may be done
 * twice, which is a safe method or what the policy takes for one. */
LB_MUST_CHECK bool retry_is_allowed(const struct retry_policy *policy,
                                    const struct retry_facts *facts, enum retry_failure failure);
/* Takes a token. False: there is none. */
LB_MUST_CHECK bool retry_take(struct retry_budget *budget, const struct retry_policy *policy,
                              uint64_t now_us, uint32_t workers);

#endif
