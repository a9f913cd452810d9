/*
 * rate_buckets - so many in a time and so many at once, for each of many keys, over all workers.
 *
 * A bucket of `burst` that fills evenly, kept as one number: the time at which it is full again
 * (GCRA, ITU-T I.371). There are no windows whose edges let twice as many through. A key that finds
 * no free place goes on with the bucket of its set that is the fullest, in the state that one is
 * in: whoever is forgotten has nothing of it, and a flood of new keys refills nobody's bucket.
 *
 * Memory: the table is the owner's. Threads: any; each says what time it is.
 */
#ifndef LBD_FILTER_RATE_BUCKETS_H
#define LBD_FILTER_RATE_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/filter/key_table.h"
#include "lbd/filter/rate_epochs.h"

struct rate {
    uint64_t interval_ns;      /* of one */
    uint64_t burst_ns;         /* of a whole bucket */
    struct rate_epochs epochs; /* of the table; zeroed: it has known no other rate */
};

struct rate_taken {
    uint64_t wait_ns; /* refused: until there is one; else 0 */
    uint32_t left;    /* in the bucket now */
    uint64_t full_ns; /* until it is full */
    enum key_table_change change;
    bool is_eviction; /* the place was that of a bucket which was not full */
};

/* `count` and `burst` at least 1; `period_ms` as long as it takes `count`. Leaves out the epochs.
 */
void rate_init(struct rate *rate, uint32_t count, uint32_t period_ms, uint32_t burst);
/* Takes one. False: there is none. */
bool rate_take(struct key_table *table, const struct rate *rate, uint64_t key, uint64_t now_ns,
               struct rate_taken *taken);
/* How many are taken of a bucket that stands in the table as `value`; *is_full: the next is
 * refused.
 */
uint64_t rate_used(const struct rate *rate, uint64_t value, uint64_t now_ns, bool *is_full);

#endif
