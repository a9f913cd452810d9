#include "lbd/filter/rate_buckets.h"

#include <stddef.h>

struct taking {
    const struct rate *rate;
    uint64_t now_ns;
    uint64_t full_at_ns; /* of the bucket, afterwards; refused: before */
    struct rate_taken *taken;
};

void rate_init(struct rate *rate, uint32_t count, uint32_t period_ms, uint32_t burst)
{
    uint64_t period_ns = (uint64_t)period_ms * 1000000U;
    rate->interval_ns = (period_ns + count - 1) / count;
    rate->interval_ns += (0 - rate->interval_ns) % RATE_EPOCHS_COUNT; /* sums of it are exact */
    rate->burst_ns = rate->interval_ns * burst;
}

static bool take_own(void *arg, uint64_t value, uint64_t *to)
{
    struct taking *taking = arg;
    const struct rate *rate = taking->rate;
    uint64_t now_ns = taking->now_ns;
    uint64_t full_at_ns = rate_epochs_read(&rate->epochs, value);
    uint64_t start_ns = full_at_ns > now_ns ? full_at_ns : now_ns;
    uint64_t most_ns = now_ns + rate->burst_ns;
    uint64_t end_ns = start_ns + rate->interval_ns;
    taking->taken->wait_ns = end_ns > most_ns ? end_ns - most_ns : 0;
    taking->full_at_ns = end_ns > most_ns ? start_ns : end_ns;
    *to = rate_epochs_write(&rate->epochs, end_ns);
    return end_ns <= most_ns;
}

static bool take_place(void *arg, uint64_t value, uint64_t *to)
{
    struct taking *taking = arg;
    taking->taken->is_eviction = rate_epochs_read(&taking->rate->epochs, value) > taking->now_ns;
    return take_own(arg, value, to);
}

bool rate_take(struct key_table *table, const struct rate *rate, uint64_t key, uint64_t now_ns,
               struct rate_taken *taken)
{
    static const struct key_table_rule rule = {.own = take_own, .take = take_place};
    struct taking taking = {.rate = rate, .now_ns = now_ns, .taken = taken};
    *taken = (struct rate_taken){0};
    bool ok = key_table_update(table, key, &rule, &taking, &taken->change) != NULL;
    uint64_t spent_ns = taking.full_at_ns - now_ns;
    taken->full_ns = spent_ns;
    taken->left =
        spent_ns < rate->burst_ns ? (uint32_t)((rate->burst_ns - spent_ns) / rate->interval_ns) : 0;
    taken->is_eviction = taken->is_eviction && taken->change == KEY_TABLE_REPLACED;
    return ok;
}

uint64_t rate_used(const struct rate *rate, uint64_t value, uint64_t now_ns, bool *is_full)
{
    uint64_t full_at_ns = rate_epochs_read(&rate->epochs, value);
    uint64_t spent_ns = full_at_ns > now_ns ? full_at_ns - now_ns : 0;
    uint64_t used = (spent_ns + rate->interval_ns - 1) / rate->interval_ns;
    uint64_t limit = rate->burst_ns / rate->interval_ns;
    *is_full = spent_ns + rate->interval_ns > rate->burst_ns;
    return used < limit ? used : limit; /* clocks of workers differ */
}
