#include "lbd/upstream/retry.h"

enum {
    TOKEN = 1000,                 /* millitokens a retry costs */
    EARN_PER_S = 10 * TOKEN,      /* over all workers */
    EARN_PER_REQUEST = TOKEN / 5, /* 20 % */
    WINDOW_US = 1000 * 1000,
    KEEP_WINDOWS = 10,
};

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
static void refill(struct retry_budget *budget, uint64_t now_us, uint32_t workers)
{
    uint32_t per_s = EARN_PER_S / workers;
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
    earn(budget, (uint64_t)budget->window_requests * EARN_PER_REQUEST);
    cap(budget, per_s);
}

void retry_budget_note(struct retry_budget *budget, uint64_t now_us, uint32_t workers)
{
    if (budget->window_requests != UINT32_MAX) {
        budget->window_requests++;
    }
    refill(budget, now_us, workers);
}

static bool is_allowed(const struct retry_facts *facts, enum retry_failure failure)
{
    if (facts->answer_began || facts->tries > facts->retries_allowed) {
        return false;
    }
    switch (failure) {
    case RETRY_CONNECT:
        return true;
    case RETRY_REUSED_DIED:
    case RETRY_FRESH_DIED: /* the server may have seen it: only what may be repeated */
        return facts->safe_method && !facts->has_body;
    }
    return false;
}

bool retry_take(struct retry_budget *budget, const struct retry_facts *facts,
                enum retry_failure failure, uint64_t now_us, uint32_t workers, bool *no_budget)
{
    *no_budget = false;
    if (!is_allowed(facts, failure)) {
        return false;
    }
    refill(budget, now_us, workers);
    if (budget->millitokens < TOKEN) {
        *no_budget = true;
        return false;
    }
    budget->millitokens -= TOKEN;
    return true;
}
