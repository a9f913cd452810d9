#include <stdio.h>

#include "api/rate_limit.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000)

START_TEST(a_burst_passes_and_then_the_rate)
{
    struct rate_limit limit;
    uint32_t retry = 0;
    uint64_t now = 1000 * SECOND;
    rate_limit_init(&limit, 60, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert(rate_limit_take(&limit, SLICE("a"), now, &retry));
    }
    ck_assert(!rate_limit_take(&limit, SLICE("a"), now, &retry));
    ck_assert_uint_eq(retry, 1);
    ck_assert(!rate_limit_take(&limit, SLICE("a"), now + SECOND - 1, &retry));
    ck_assert(rate_limit_take(&limit, SLICE("b"), now, &retry)); /* each name has its own */
    ck_assert(rate_limit_take(&limit, SLICE("a"), now + SECOND, &retry));
    ck_assert(!rate_limit_take(&limit, SLICE("a"), now + SECOND, &retry));
    for (int i = 0; i < 3; i++) { /* after a while all of it is back, and no more than that */
        ck_assert(rate_limit_take(&limit, SLICE("a"), now + 100 * SECOND, &retry));
    }
    ck_assert(!rate_limit_take(&limit, SLICE("a"), now + 100 * SECOND, &retry));
    rate_limit_fini(&limit);
}
END_TEST

START_TEST(says_when_to_come_again)
{
    struct rate_limit limit;
    uint32_t retry = 0;
    rate_limit_init(&limit, 5, 5);
    for (int i = 0; i < 5; i++) {
        ck_assert(rate_limit_take(&limit, SLICE("a"), SECOND, &retry));
    }
    ck_assert(!rate_limit_take(&limit, SLICE("a"), SECOND, &retry));
    ck_assert_uint_eq(retry, 12);
    ck_assert(rate_limit_take(&limit, SLICE("a"), 13 * SECOND, &retry));
    rate_limit_fini(&limit);
}
END_TEST

START_TEST(no_limit_is_no_limit)
{
    struct rate_limit limit;
    uint32_t retry = 0;
    rate_limit_init(&limit, 0, 1);
    for (int i = 0; i < 10000; i++) {
        ck_assert(rate_limit_take(&limit, SLICE("a"), SECOND, &retry));
    }
    ck_assert_uint_eq(limit.full_at_us.count, 0);
    rate_limit_fini(&limit);
}
END_TEST

START_TEST(strangers_do_not_fill_the_memory)
{
    struct rate_limit limit;
    uint32_t retry = 0;
    char name[16];
    rate_limit_init(&limit, 1, 1);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        ck_assert(rate_limit_take(&limit, slice_from(name), SECOND, &retry));
    }
    ck_assert_uint_le(limit.full_at_us.count, RATE_LIMIT_NAMES_MAX);
    ck_assert(!rate_limit_take(&limit, SLICE("19999"), SECOND, &retry));
    /* once all buckets are full, nothing is kept of them */
    ck_assert(rate_limit_take(&limit, SLICE("x"), 100 * SECOND, &retry));
    ck_assert_uint_eq(limit.full_at_us.count, 1);
    rate_limit_fini(&limit);
}
END_TEST

UNIT_TESTS("rate_limit", a_burst_passes_and_then_the_rate, says_when_to_come_again,
           no_limit_is_no_limit, strangers_do_not_fill_the_memory)
