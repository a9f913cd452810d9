#include "lbd/upstream/retry.h"
#include "tests/unit/unit.h"

#define SECOND_US UINT64_C(1000000)
static const uint64_t start_us = 50 * SECOND_US;

static const struct {
    const char *what;
    enum retry_failure failure;
    struct retry_facts facts;
    bool want;
} rules[] = {
    {"connect failure of a POST", RETRY_CONNECT, {false, true, false, 1, 1}, true},
    {"connect failure of a GET", RETRY_CONNECT, {true, false, false, 1, 1}, true},
    {"no retries allowed", RETRY_CONNECT, {true, false, false, 1, 0}, false},
    {"all retries used", RETRY_CONNECT, {true, false, false, 2, 1}, false},
    {"second of two", RETRY_CONNECT, {true, false, false, 2, 2}, true},
    {"GET on a reused connection", RETRY_REUSED_DIED, {true, false, false, 1, 1}, true},
    {"GET on a fresh connection", RETRY_FRESH_DIED, {true, false, false, 1, 1}, true},
    {"GET with a body", RETRY_REUSED_DIED, {true, true, false, 1, 1}, false},
    {"POST on a reused connection", RETRY_REUSED_DIED, {false, false, false, 1, 1}, false},
    {"POST on a fresh connection", RETRY_FRESH_DIED, {false, true, false, 1, 1}, false},
    {"GET whose answer began", RETRY_FRESH_DIED, {true, false, true, 1, 1}, false},
};

START_TEST(rules_say_what_may_be_repeated)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct retry_budget budget = {0};
        bool no_budget = true;
        bool got = retry_take(&budget, &rules[i].facts, rules[i].failure, start_us, 1, &no_budget);
        ck_assert_msg(got == rules[i].want && !no_budget, "%s", rules[i].what);
    }
}
END_TEST

static const struct retry_facts repeatable = {true, false, false, 1, 3};

static uint32_t take_all(struct retry_budget *budget, uint64_t now_us, uint32_t workers)
{
    uint32_t taken = 0;
    bool no_budget = false;
    while (retry_take(budget, &repeatable, RETRY_CONNECT, now_us, workers, &no_budget)) {
        taken++;
        ck_assert_uint_lt(taken, 1000000);
    }
    ck_assert(no_budget);
    return taken;
}

START_TEST(a_fresh_budget_is_full_and_ends)
{
    struct retry_budget budget = {0};
    ck_assert_uint_eq(take_all(&budget, start_us, 1), 100); /* 10 s of 10/s */
    ck_assert_uint_eq(take_all(&budget, start_us, 1), 0);
}
END_TEST

START_TEST(ten_a_second_come_back_without_requests)
{
    struct retry_budget budget = {0};
    (void)take_all(&budget, start_us, 1);
    uint32_t taken = 0;
    for (uint32_t tenth = 1; tenth <= 100; tenth++) {
        taken += take_all(&budget, start_us + tenth * SECOND_US / 10, 1);
    }
    ck_assert_uint_ge(taken, 99);
    ck_assert_uint_le(taken, 101);
    ck_assert_uint_eq(take_all(&budget, start_us + 1000 * SECOND_US, 1), 100);
}
END_TEST

START_TEST(workers_share_the_ten_a_second)
{
    struct retry_budget budgets[4] = {{0}};
    uint32_t taken = 0;
    for (uint32_t worker = 0; worker < 4; worker++) {
        (void)take_all(&budgets[worker], start_us, 4);
        for (uint32_t second = 1; second <= 10; second++) {
            taken += take_all(&budgets[worker], start_us + second * SECOND_US, 4);
        }
    }
    ck_assert_uint_ge(taken, 96);
    ck_assert_uint_le(taken, 100);
}
END_TEST

/* `rate` requests a second for 30 s, each of which asks for a retry. */
static uint32_t retries_at(uint32_t rate)
{
    struct retry_budget budget = {0};
    bool no_budget;
    uint32_t taken = 0;
    (void)take_all(&budget, start_us, 1);
    for (uint64_t i = 1; i <= UINT64_C(30) * rate; i++) {
        uint64_t now_us = start_us + i * SECOND_US / rate;
        retry_budget_note(&budget, now_us, 1);
        taken += retry_take(&budget, &repeatable, RETRY_CONNECT, now_us, 1, &no_budget);
    }
    return taken;
}

START_TEST(the_larger_of_ten_a_second_and_a_fifth_counts)
{
    static const struct {
        uint32_t rate;
        uint32_t want; /* in 30 s */
    } cases[] = {{5, 150}, {20, 300}, {50, 300}, {100, 600}, {1000, 6000}, {3000, 18000}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t got = retries_at(cases[i].rate);
        ck_assert_msg(got >= cases[i].want * 96 / 100 && got <= cases[i].want * 104 / 100,
                      "%u req/s: %u retries, wanted about %u", cases[i].rate, got, cases[i].want);
    }
}
END_TEST

START_TEST(a_busy_worker_saves_for_a_burst)
{
    struct retry_budget budget = {0};
    for (uint64_t i = 1; i <= 30000; i++) { /* 3,000 a second */
        retry_budget_note(&budget, start_us + i * SECOND_US / 3000, 1);
    }
    uint32_t taken = take_all(&budget, start_us + 10 * SECOND_US, 1);
    ck_assert_uint_ge(taken, 5000); /* up to ten seconds of 600 */
    ck_assert_uint_le(taken, 6000);
}
END_TEST

START_TEST(time_that_stands_still_or_goes_back_earns_nothing)
{
    struct retry_budget budget = {0};
    (void)take_all(&budget, start_us, 1);
    ck_assert_uint_eq(take_all(&budget, start_us - SECOND_US, 1), 0);
    ck_assert_uint_eq(take_all(&budget, start_us, 1), 0);
}
END_TEST

UNIT_TESTS("retry", rules_say_what_may_be_repeated, a_fresh_budget_is_full_and_ends,
           ten_a_second_come_back_without_requests, workers_share_the_ten_a_second,
           the_larger_of_ten_a_second_and_a_fifth_counts, a_busy_worker_saves_for_a_burst,
           time_that_stands_still_or_goes_back_earns_nothing)
