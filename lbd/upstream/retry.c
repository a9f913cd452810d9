#include "lbd/upstream/retry.h"

#include <assert.h>

enum {
    TOKEN = 1000, /* millitokens a retry costs */
    WINDOW_US = 1000 * 1000,
    KEEP_WINDOWS = 10,
    BACKOFF_DOUBLINGS = 6,
};

void retry_policy_init(struct retry_policy *policy, uint32_t retries)
{
    *policy = (struct retry_policy){
        .retries = retries,
        .on_connect = true,
        .on_reset = true,
        .budget_percent = 20,
        .budget_per_s = 10,
    };
}

void retry_policy_add_status(struct retry_policy *policy, uint32_t status)
{
    uint32_t at = status - RETRY_STATUS_FIRST;
    assert(at < RETRY_STATUS_COUNT);
    policy->statuses[at / 64] |= UINT64_C(1) << at % 64;
}

uint32_t retry_backoff_ms(const struct retry_policy *policy, uint32_t tries)
{
    uint32_t doublings = tries > BACKOFF_DOUBLINGS ? BACKOFF_DOUBLINGS : tries - 1;
    return policy->backoff_ms << doublings;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint64_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

/* Raises what this second has earned to `earned`; the difference can be spent. */
static void earn(struct retry_budget *budget, uint64_t earned)
{
    uint32_t capped = min_u32(earned, UINT32_MAX / (2 * KEEP_WINDOWS));
    if (capped > budget->window_earned) {
        budget->millitokens += capped - budget->window_earned;
        budget->window_earned = capped;
    }
}

static void cap(struct retry_budget *budget, uint32_t per_s)
{
    uint32_t best = max_u32(per_s, max_u32(budget->window_earned, budget->last_window_earned));
    budget->millitokens = min_u32(budget->millitokens, best * KEEP_WINDOWS);
}

/* Brings the budget to `now_us`. */
static void refill(struct retry_budget *budget, const struct retry_policy *policy, uint64_t now_us,
                   uint32_t workers)
{
    uint32_t per_s = policy->budget_per_s * TOKEN / workers;
    uint64_t elapsed_us = now_us > budget->window_us ? now_us - budget->window_us : 0;
    if (elapsed_us >= WINDOW_US) {
        earn(budget, per_s); /* the rest of the second that ended */
        uint64_t idle_s = elapsed_us / WINDOW_US - 1;
        budget->last_window_earned = idle_s == 0 ? budget->window_earned : per_s;
        budget->millitokens += per_s * min_u32(idle_s, KEEP_WINDOWS);
        budget->window_us = now_us - elapsed_us % WINDOW_US;
        budget->window_requests = 0;
        budget->window_earned = 0;
        elapsed_us %= WINDOW_US;
    }
    earn(budget, per_s * elapsed_us / WINDOW_US);
    earn(budget, (uint64_t)budget->window_requests * policy->budget_percent * (TOKEN / 100));
    cap(budget, per_s);
}

void retry_budget_note(struct retry_budget *budget, const struct retry_policy *policy,
                       uint64_t now_us, uint32_t workers)
{
    if (budget->window_requests != UINT32_MAX) {
        budget->window_requests++;
    }
    refill(budget, policy, now_us, workers);
}

/* The server may have seen it: only what may be repeated. */
static bool may_repeat(const struct retry_policy *policy, const struct retry_facts *facts)
{
    return (facts->safe_method || policy->non_idempotent) && !facts->body_gone;
}

bool retry_is_allowed(const struct retry_policy *policy, const struct retry_facts *facts,
                      enum retry_failure failure)
{
    if (facts->answer_began || facts->tries > policy->retries) {
        return false;
    }
    switch (failure) {
    case RETRY_CONNECT:
        return policy->on_connect;
    case RETRY_LATE:
        return policy->on_connect || policy->on_timeout;
    case RETRY_REFUSED:
        return policy->on_connect && !facts->body_gone;
    case RETRY_REUSED_DIED:
    case RETRY_FRESH_DIED:
        return policy->on_reset && may_repeat(policy, facts);
    case RETRY_TIMEOUT:
        return policy->on_timeout && may_repeat(policy, facts);
    case RETRY_STATUS:
        return may_repeat(policy, facts);
    }
    return false;
}

bool retry_take(struct retry_budget *budget, const struct retry_policy *policy, uint64_t now_us,
                uint32_t workers)
{
    refill(budget, policy, now_us, workers);
    if (budget->millitokens < TOKEN) {
        return false;
    }
    budget->millitokens -= TOKEN;
    return true;
}
