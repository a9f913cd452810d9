#include "lbd/upstream/retry.h"
#include "tests/unit/unit.h"

#define SECOND_US UINT64_C(1000000)
static const uint64_t start_us = 50 * SECOND_US;

/* What a case allows beside connect and reset. */
enum { ANY_METHOD = 1, ON_TIMEOUT = 2, NOT_CONNECT = 4, NOT_RESET = 8 };

static const struct {
    const char *what;
    enum retry_failure failure;
    struct retry_facts facts;
    uint32_t retries;
    unsigned allows;
    bool want;
} rules[] = {
    {"connect failure of a POST", RETRY_CONNECT, {false, true, false, 1, false}, 1, 0, true},
    {"connect failure of a GET", RETRY_CONNECT, {true, false, false, 1, false}, 1, 0, true},
    {"connect failures are not for it",
     RETRY_CONNECT,
     {true, false, false, 1, false},
     1,
     NOT_CONNECT,
     false},
    {"no retries allowed", RETRY_CONNECT, {true, false, false, 1, false}, 0, 0, false},
    {"all retries used", RETRY_CONNECT, {true, false, false, 2, false}, 1, 0, false},
    {"second of two", RETRY_CONNECT, {true, false, false, 2, false}, 2, 0, true},
    {"GET on a reused connection", RETRY_REUSED_DIED, {true, false, false, 1, false}, 1, 0, true},
    {"GET on a fresh connection", RETRY_FRESH_DIED, {true, false, false, 1, false}, 1, 0, true},
    {"resets are not for it",
     RETRY_FRESH_DIED,
     {true, false, false, 1, false},
     1,
     NOT_RESET,
     false},
    {"GET whose body is gone", RETRY_REUSED_DIED, {true, true, false, 1, false}, 1, 0, false},
    {"POST on a reused connection",
     RETRY_REUSED_DIED,
     {false, false, false, 1, false},
     1,
     0,
     false},
    {"POST on a fresh connection", RETRY_FRESH_DIED, {false, true, false, 1, false}, 1, 0, false},
    {"POST that may be repeated",
     RETRY_FRESH_DIED,
     {false, false, false, 1, false},
     1,
     ANY_METHOD,
     true},
    {"... but its body is gone",
     RETRY_FRESH_DIED,
     {false, true, false, 1, false},
     1,
     ANY_METHOD,
     false},
    {"POST that the server refused", RETRY_REFUSED, {false, false, false, 1, false}, 1, 0, true},
    {"no connection in the time of a try", RETRY_LATE, {false, true, false, 1, false}, 1, 0, true},
    {"... where that is as late as an answer",
     RETRY_LATE,
     {false, true, false, 1, false},
     1,
     NOT_CONNECT | ON_TIMEOUT,
     true},
    {"... or neither", RETRY_LATE, {true, false, false, 1, false}, 1, NOT_CONNECT, false},
    {"refused, which is as not connected",
     RETRY_REFUSED,
     {true, false, false, 1, false},
     1,
     NOT_CONNECT,
     false},
    {"refused when some of its body is gone",
     RETRY_REFUSED,
     {true, true, false, 1, false},
     1,
     0,
     false},
    {"GET whose answer began", RETRY_FRESH_DIED, {true, false, true, 1, false}, 1, 0, false},
    {"GET that was not answered in time",
     RETRY_TIMEOUT,
     {true, false, false, 1, false},
     1,
     0,
     false},
    {"... and that is for it", RETRY_TIMEOUT, {true, false, false, 1, false}, 1, ON_TIMEOUT, true},
    {"POST that was not", RETRY_TIMEOUT, {false, false, false, 1, false}, 1, ON_TIMEOUT, false},
    {"GET whose answer is a failure", RETRY_STATUS, {true, false, false, 1, false}, 1, 0, true},
    {"POST whose answer is", RETRY_STATUS, {false, false, false, 1, false}, 1, 0, false},
};

START_TEST(rules_say_what_may_be_repeated)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct retry_policy policy;
        retry_policy_init(&policy, rules[i].retries);
        policy.non_idempotent = (rules[i].allows & ANY_METHOD) != 0;
        policy.on_timeout = (rules[i].allows & ON_TIMEOUT) != 0;
        policy.on_connect = (rules[i].allows & NOT_CONNECT) == 0;
        policy.on_reset = (rules[i].allows & NOT_RESET) == 0;
        bool got = retry_is_allowed(&policy, &rules[i].facts, rules[i].failure);
        ck_assert_msg(got == rules[i].want, "%s", rules[i].what);
    }
}
END_TEST

START_TEST(a_policy_knows_its_statuses)
{
    struct retry_policy policy;
    retry_policy_init(&policy, 1);
    retry_policy_add_status(&policy, 400);
    retry_policy_add_status(&policy, 503);
    retry_policy_add_status(&policy, 599);
    for (uint32_t status = 0; status < 1000; status++) {
        bool want = status == 400 || status == 503 || status == 599;
        ck_assert_msg(retry_is_status(&policy, status) == want, "%u", status);
    }
}
END_TEST

START_TEST(each_further_try_at_one_server_may_wait_twice_as_long)
{
    const struct retry_policy policy = {.backoff_ms = 25};
    static const uint32_t want[] = {25, 50, 100, 200, 400, 800, 1600, 1600, 1600};
    for (uint32_t tries = 1; tries <= ARRAY_LEN(want); tries++) {
        ck_assert_uint_eq(retry_backoff_ms(&policy, tries), want[tries - 1]);
    }
}
END_TEST

static const struct retry_policy usual = {
    .retries = 3, .on_connect = true, .budget_percent = 20, .budget_per_s = 10};

static uint32_t take_all(struct retry_budget *budget, uint64_t now_us, uint32_t workers)
{
    uint32_t taken = 0;
    while (retry_take(budget, &usual, now_us, workers)) {
        taken++;
        ck_assert_uint_lt(taken, 1000000);
    }
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
    uint32_t taken = 0;
    (void)take_all(&budget, start_us, 1);
    for (uint64_t i = 1; i <= UINT64_C(30) * rate; i++) {
        uint64_t now_us = start_us + i * SECOND_US / rate;
        retry_budget_note(&budget, &usual, now_us, 1);
        taken += retry_take(&budget, &usual, now_us, 1) ? 1 : 0;
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
        retry_budget_note(&budget, &usual, start_us + i * SECOND_US / 3000, 1);
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

START_TEST(a_budget_may_be_of_requests_alone_or_of_nothing)
{
    static const struct {
        uint32_t percent;
        uint32_t per_s;
        uint32_t want; /* of 1,000 requests in a second */
    } cases[] = {{20, 0, 200}, {100, 0, 1000}, {1, 0, 10}, {0, 0, 0}, {0, 7, 77}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct retry_budget budget = {0};
        struct retry_policy policy = usual;
        uint32_t taken = 0;
        policy.budget_percent = cases[i].percent;
        policy.budget_per_s = cases[i].per_s;
        for (uint64_t n = 0; n < 1000; n++) {
            retry_budget_note(&budget, &policy, start_us + n * 999, 1);
        }
        while (retry_take(&budget, &policy, start_us + SECOND_US, 1)) {
            taken++;
        }
        ck_assert_msg(taken + 7 >= cases[i].want && taken <= cases[i].want + 7, "%u %%, %u/s: %u",
                      cases[i].percent, cases[i].per_s, taken);
    }
}
END_TEST

UNIT_TESTS("retry", rules_say_what_may_be_repeated, a_policy_knows_its_statuses,
           each_further_try_at_one_server_may_wait_twice_as_long,
           a_budget_may_be_of_requests_alone_or_of_nothing, a_fresh_budget_is_full_and_ends,
           ten_a_second_come_back_without_requests, workers_share_the_ten_a_second,
           the_larger_of_ten_a_second_and_a_fifth_counts, a_busy_worker_saves_for_a_burst,
           time_that_stands_still_or_goes_back_earns_nothing)
