#include "lbd/base/compiler.h"
#include "lbd/http/h2_guard.h"
#include "tests/unit/unit.h"

#define START_US  1000000000ULL
#define WINDOW_US ((uint64_t)H2_GUARD_WINDOW_MS * 1000)

/* How many of a kind pass at once. */
static unsigned passing(struct h2_guard *guard, enum h2_guard_kind kind, uint64_t now_us)
{
    unsigned count = 0;
    while (count < 1000000 && h2_guard_note(guard, kind, now_us)) {
        count++;
    }
    return count;
}

static const struct {
    enum h2_guard_kind kind;
    unsigned want;
} fresh[] = {
    {H2_GUARD_RESET, 100},      {H2_GUARD_PING, 200},           {H2_GUARD_SETTINGS, 20},
    {H2_GUARD_PRIORITY, 200},   {H2_GUARD_WINDOW_UPDATE, 1000}, {H2_GUARD_EMPTY_DATA, 100},
    {H2_GUARD_TINY_DATA, 2000}, {H2_GUARD_UNKNOWN, 200},
};

START_TEST(every_kind_has_an_allowance_per_window)
{
    ck_assert_uint_eq(ARRAY_LEN(fresh), H2_GUARD_KIND_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
        struct h2_guard guard = {0};
        ck_assert_uint_eq(passing(&guard, fresh[i].kind, START_US), fresh[i].want);
        ck_assert(!h2_guard_note(&guard, fresh[i].kind, START_US + WINDOW_US - 1));
        /* the next window has its own */
        ck_assert_uint_eq(passing(&guard, fresh[i].kind, START_US + WINDOW_US), fresh[i].want);
    }
}
END_TEST

/* R1: max(100, 50 % of the streams that were served) */
START_TEST(half_of_the_served_streams_may_be_reset)
{
    struct h2_guard guard = {0};
    for (int i = 0; i < 1000; i++) {
        h2_guard_earn_stream(&guard, START_US);
    }
    ck_assert_uint_eq(passing(&guard, H2_GUARD_RESET, START_US), 500);
    /* what was earned fades from window to window */
    ck_assert_uint_eq(passing(&guard, H2_GUARD_RESET, START_US + WINDOW_US), 250);
    ck_assert_uint_eq(passing(&guard, H2_GUARD_RESET, START_US + 4 * WINDOW_US), 100);
}
END_TEST

START_TEST(data_that_was_sent_earns_windows_and_pings)
{
    struct h2_guard guard = {0};
    ck_assert(h2_guard_note(&guard, H2_GUARD_PING, START_US));
    for (int i = 0; i < 1000; i++) {
        h2_guard_earn_frame(&guard);
    }
    ck_assert_uint_eq(passing(&guard, H2_GUARD_PING, START_US), 200 + 1000 - 1);
    ck_assert_uint_eq(passing(&guard, H2_GUARD_WINDOW_UPDATE, START_US), 1000 + 8000);
    ck_assert_uint_eq(passing(&guard, H2_GUARD_SETTINGS, START_US), 20);
}
END_TEST

START_TEST(a_server_has_more)
{
    struct h2_guard guard = {.factor = H2_GUARD_SERVER_FACTOR};
    ck_assert_uint_eq(passing(&guard, H2_GUARD_UNKNOWN, START_US), 200 * H2_GUARD_SERVER_FACTOR);
}
END_TEST

/* What was under way to a stream that we reset. */
START_TEST(our_resets_are_paid_by_us)
{
    struct h2_guard guard = {0};
    ck_assert(h2_guard_note(&guard, H2_GUARD_UNKNOWN, START_US));
    for (int i = 0; i < 10; i++) {
        h2_guard_earn_reset(&guard);
    }
    ck_assert_uint_eq(passing(&guard, H2_GUARD_UNKNOWN, START_US), 200 + 640 - 1);
    ck_assert_uint_eq(passing(&guard, H2_GUARD_RESET, START_US), 100);
}
END_TEST

START_TEST(a_header_block_is_bounded_while_it_arrives)
{
    ck_assert(h2_guard_block(H2_GUARD_BLOCK_BYTES, H2_GUARD_CONTINUATIONS));
    ck_assert(!h2_guard_block(H2_GUARD_BLOCK_BYTES + 1, 1));
    ck_assert(!h2_guard_block(1, H2_GUARD_CONTINUATIONS + 1));
}
END_TEST

UNIT_TESTS("h2_guard", every_kind_has_an_allowance_per_window,
           half_of_the_served_streams_may_be_reset, data_that_was_sent_earns_windows_and_pings,
           a_server_has_more, our_resets_are_paid_by_us, a_header_block_is_bounded_while_it_arrives)
