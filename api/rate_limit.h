/*
 * rate_limit - so many per minute and so many at once, for each of many names.
 *
 * A bucket of `burst` that fills at `per_minute`, kept as one number for each name: the time at
 * which the bucket is full again (GCRA). A name whose bucket is full is forgotten.
 *
 * Limits: 4,096 names; when all of them are in use, the oldest is forgotten.
 * Memory: owns the names. Threads: one owner.
 */
#ifndef API_RATE_LIMIT_H
#define API_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/map.h"
#include "lbd/base/slice.h"

#define RATE_LIMIT_NAMES_MAX 4096U

struct rate_limit {
    struct map full_at_us; /* name -> the time, as a pointer */
    uint64_t interval_us;  /* of one; 0: no limit */
    uint64_t burst_us;     /* of a whole bucket */
};

/* `per_minute` 0: no limit. */
void rate_limit_init(struct rate_limit *limit, uint64_t per_minute, uint32_t burst);
void rate_limit_fini(struct rate_limit *limit);
/* Takes one. False: there is none; *retry_s (at least 1) says when there will be. */
bool rate_limit_take(struct rate_limit *limit, struct slice name, uint64_t now_us,
                     uint32_t *retry_s);

#endif
