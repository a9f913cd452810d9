/*
 * rate_epochs - what the times that a key_table holds mean after the rate was changed.
 *
 * Buckets are kept as the time at which they are full again, or empty (rate_buckets,
 * filter_bandwidth): a time at the rate of the day. Each rate is an epoch, whose number stands in
 * the lowest bits of what is written. A time of an earlier epoch is read as what is left of it at
 * the rate that holds now: who used half of what he might has used half of it afterwards.
 *
 *     10 a minute, 30 s to wait --PATCH: 10 a second--> 0.5 s to wait
 *
 * Limits: times are multiples of RATE_EPOCHS_COUNT ns, rounded up. Who was not seen during as many
 * changes is read as if he had been seen since the last. Memory: in place, zeroed: none. Threads:
 * begun on control, in the state of a policy; each filter has a frozen copy.
 */
#ifndef LBD_FILTER_RATE_EPOCHS_H
#define LBD_FILTER_RATE_EPOCHS_H

#include <stdint.h>

#include "lbd/base/compiler.h"

#define RATE_EPOCHS_COUNT 8U /* a power of two */

struct rate_epoch {
    uint64_t unit_ns;  /* of one: any one, the same in all epochs */
    uint64_t most_ns;  /* that can be to wait when it begins */
    uint64_t since_ns; /* when it began */
};

struct rate_epochs {
    struct rate_epoch list[RATE_EPOCHS_COUNT];
    uint32_t now; /* which of them */
};

/* From now on this is the rate; nothing when it is so already. `unit_ns` at least 1. */
void rate_epochs_begin(struct rate_epochs *epochs, uint64_t unit_ns, uint64_t most_ns,
                       uint64_t now_ns);
/* Of a value of another epoch. */
uint64_t rate_epochs_convert(const struct rate_epochs *epochs, uint64_t value);

/* The time that a value of the table is. */
static inline uint64_t rate_epochs_read(const struct rate_epochs *epochs, uint64_t value)
{
    return LB_LIKELY(value % RATE_EPOCHS_COUNT == epochs->now) ? value - epochs->now
                                                               : rate_epochs_convert(epochs, value);
}

/* The value of a time, which may be that many ns later: nobody gains by it. */
static inline uint64_t rate_epochs_write(const struct rate_epochs *epochs, uint64_t time_ns)
{
    return (time_ns + RATE_EPOCHS_COUNT - 1) / RATE_EPOCHS_COUNT * RATE_EPOCHS_COUNT + epochs->now;
}

#endif
