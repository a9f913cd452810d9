/* Who is too slow, and who is not. */
#include "lbd/net/pace.h"
#include "tests/unit/unit.h"

#define START_US UINT64_C(5000000000)
#define S        UINT64_C(1000000)

static const struct pace_rule rule = {.bytes_per_s = 1000, .grace_ms = 10000, .idle_ms = 30000};

/* Steps: 'w' a second of waiting, 'b' 1,000 bytes come, '.' a single byte comes, 'p' a minute in
 * which the peer waits for us, '|' it is asked. */
static const struct {
    const char *steps;
    bool keeps;
} paces[] = {
    {"b", true},
    {"wwwwwwwwww.", true},   /* the grace */
    {"wwwwwwwwwww.", false}, /* ... is over */
    {"wwwwwwwwwwwb", true},
    {"w.w.w.w.w.w.w.w.w.w.w.", false}, /* a trickle */
    {"wbwbwbwbwbwbwbwbwbwbwbwbwbwb", true},
    {"wwbwwbwwbwwbwwbwwbwwbwwbwwbwwb", true},     /* half the rate: the grace pays ... */
    {"wwbwwbwwbwwbwwbwwbwwbwwbwwbwwbwwb", false}, /* ... for ten */
    {"p.p.p.p.p.p.", true},                       /* it waits for us */
    {"wwwwwwp.wwwwwp.", false},                   /* what was waited before and after counts */
    {"bbbbbbbbbbwwwwwwwwwwwwwwwwwwwww.", false},  /* ten ahead and the grace are twenty */
    {"bbbbbbbbbbwwwwwwwwwwwwwwwwwwww.", true},
};

static bool goes(const char *steps)
{
    struct pace pace = {0};
    uint64_t now_us = START_US;
    bool keeps = true;
    pace_wait(&pace, now_us);
    for (const char *at = steps; *at != '\0'; at++) {
        switch (*at) {
        case 'w':
            now_us += S;
            break;
        case 'p':
            keeps = pace_note(&pace, &rule, now_us, 0) && keeps;
            pace_rest(&pace);
            now_us += 60 * S;
            pace_wait(&pace, now_us);
            break;
        case 'b':
            keeps = pace_note(&pace, &rule, now_us, 1000) && keeps;
            break;
        default:
            keeps = pace_note(&pace, &rule, now_us, 1) && keeps;
            break;
        }
    }
    return keeps;
}

START_TEST(waiting_puts_behind_and_bytes_bring_forward)
{
    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
        ck_assert_msg(goes(paces[i].steps) == paces[i].keeps, "%s", paces[i].steps);
    }
}
END_TEST

START_TEST(one_is_ahead_by_the_idle_limit_at_most)
{
    struct pace pace = {0};
    pace_wait(&pace, START_US);
    ck_assert(pace_note(&pace, &rule, START_US, UINT64_MAX));
    ck_assert(pace_note(&pace, &rule, START_US, 1000000000));
    ck_assert(pace_note(&pace, &rule, START_US + 40 * S, 1));
    ck_assert(!pace_note(&pace, &rule, START_US + 41 * S, 1));
}
END_TEST

START_TEST(without_a_rate_nobody_is_slow)
{
    const struct pace_rule none = {.idle_ms = 30000};
    struct pace pace = {0};
    pace_wait(&pace, START_US);
    ck_assert(pace_note(&pace, &none, START_US + 3600 * S, 1));
    ck_assert(pace_note(&pace, &none, UINT64_MAX, 0));
}
END_TEST

/* 100,000 bytes were handed to the kernel when 50,000 more had to wait. */
START_TEST(an_output_that_stands_still_is_idle)
{
    struct pace_output output = {0};
    pace_output_wait(&output, START_US, 50000);
    ck_assert_uint_eq(pace_output_delay_ms(&output, &rule, START_US), 10000);
    for (uint64_t s = 10; s < 30; s += 10) {
        ck_assert_int_eq(pace_output_look(&output, &rule, START_US + s * S, 50000, 40000),
                         PACE_GO_ON);
    }
    ck_assert_uint_eq(pace_output_delay_ms(&output, &rule, START_US + 25 * S), 5000);
    ck_assert_int_eq(pace_output_look(&output, &rule, START_US + 30 * S, 50000, 40000), PACE_IDLE);
}
END_TEST

START_TEST(an_output_that_trickles_is_slow)
{
    static const struct {
        uint64_t bytes_per_look;
        bool in_kernel;
        bool keeps;
    } cases[] = {{10000, true, true},
                 {1, true, false},
                 {5000, true, false},
                 {10000, false, true},
                 {1, false, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pace_output output = {0};
        enum pace_verdict verdict = PACE_GO_ON;
        size_t waiting = 1000000;
        uint64_t taken = 0;
        pace_output_wait(&output, START_US, waiting);
        for (uint64_t s = 10; s < 600 && verdict == PACE_GO_ON; s += 10) {
            taken += cases[i].bytes_per_look;
            waiting -= cases[i].in_kernel ? 0 : (size_t)cases[i].bytes_per_look;
            verdict = pace_output_look(&output, &rule, START_US + s * S, waiting, taken);
        }
        ck_assert_msg(verdict == (cases[i].keeps ? PACE_GO_ON : PACE_SLOW), "case %zu", i);
    }
}
END_TEST

/* Blocked again and again, for a while each time. */
START_TEST(what_was_behind_is_remembered_from_one_waiting_to_the_next)
{
    struct pace_output output = {0};
    enum pace_verdict verdict = PACE_GO_ON;
    uint64_t now_us = START_US;
    uint64_t taken = 0;
    unsigned turns = 0;
    while (verdict == PACE_GO_ON && turns < 100) {
        pace_output_wait(&output, now_us, 100);
        ck_assert(!pace_output_is_long(&output, now_us));
        now_us += 5 * S;
        ck_assert(pace_output_is_long(&output, now_us));
        taken += 2500; /* half of what is asked */
        verdict = pace_output_look(&output, &rule, now_us, 0, taken);
        pace_output_rest(&output);
        now_us += 100 * S;
        turns++;
    }
    ck_assert_int_eq(verdict, PACE_SLOW);
    ck_assert_uint_eq(turns, 5); /* 2.5 s each; more than the grace of 10 s needs the fifth */
}
END_TEST

UNIT_TESTS("pace", waiting_puts_behind_and_bytes_bring_forward,
           one_is_ahead_by_the_idle_limit_at_most, without_a_rate_nobody_is_slow,
           an_output_that_stands_still_is_idle, an_output_that_trickles_is_slow,
           what_was_behind_is_remembered_from_one_waiting_to_the_next)
