#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/upstream/outlier.h"
#include "tests/unit/unit.h"

static const struct outlier_rules rules = {
    .stdev_percent = 190,
    .latency_percent = 300,
    .min_servers = 3,
    .min_requests = 100,
    .eject_ms = 30000,
    .eject_max_ms = 300000,
    .max_ejected = 50,
};

enum { MOST = 6 };

/* Each: requests, failures, mean latency in us; what is said of it: '.' nothing, 'r' its success
 * rate, 'l' its latency; '-' it does not count. */
static const struct {
    const char *what;
    const char *want;
    uint32_t servers[MOST][3];
} cases[] = {
    {"all well", "....", {{500, 0, 900}, {500, 0, 1000}, {500, 1, 1100}, {500, 0, 950}}},
    {"one fails",
     "...r..",
     {{500, 5, 900}, {500, 3, 900}, {500, 4, 900}, {500, 400, 900}, {500, 0, 900}, {500, 2, 900}}},
    {"one of three fails", ".r.", {{500, 0, 900}, {500, 250, 900}, {500, 0, 900}}},
    {"one of four fails", "...r", {{500, 0, 900}, {500, 5, 900}, {500, 1, 900}, {500, 400, 900}}},
    {"two of six fail",
     ".r..r.",
     {{500, 0, 900},
      {500, 500, 900},
      {500, 0, 900},
      {500, 2, 900},
      {500, 500, 900},
      {500, 0, 900}}},
    {"two failures of fifty are chance", "...", {{100, 0, 900}, {100, 4, 900}, {100, 0, 900}}},
    {"others that differ leave room",
     "....",
     {{500, 0, 900}, {500, 200, 900}, {500, 100, 900}, {500, 250, 900}}},
    {"all fail alike",
     "....",
     {{500, 250, 900}, {500, 251, 900}, {500, 249, 900}, {500, 250, 900}}},
    {"a hair below is noise",
     "....",
     {{1000, 0, 900}, {1000, 0, 900}, {1000, 0, 900}, {1000, 8, 900}}},
    {"too few servers", "..", {{500, 0, 900}, {500, 500, 90000}}},
    {"too few requests", "....", {{500, 0, 900}, {500, 0, 900}, {500, 0, 900}, {99, 99, 90000}}},
    {"one is slow", "..l.", {{500, 0, 2000}, {500, 0, 3000}, {500, 0, 9001}, {500, 0, 3000}}},
    {"slow, but three times is allowed",
     "....",
     {{500, 0, 2000}, {500, 0, 3000}, {500, 0, 8999}, {500, 0, 3000}}},
    {"microseconds are noise", "...", {{500, 0, 100}, {500, 0, 100}, {500, 0, 900}}},
    {"fails and is slow: told once",
     "...r..",
     {{500, 0, 900},
      {500, 0, 900},
      {500, 0, 900},
      {500, 400, 90000},
      {500, 0, 900},
      {500, 0, 900}}},
    {"who does not count is not compared",
     "-.-..",
     {{500, 500, 900}, {500, 2, 900}, {500, 500, 900}, {500, 1, 900}, {500, 3, 900}}},
    {"more failures than requests",
     "....r.",
     {{500, 0, 9}, {500, 0, 9}, {500, 0, 9}, {500, 0, 9}, {500, 900, 9}, {500, 0, 9}}},
    {"nobody", "", {{0}}},
};

START_TEST(who_does_worse_than_the_others_is_told)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outlier_sample samples[MOST];
        char got[MOST + 1] = "";
        uint32_t count = (uint32_t)strlen(cases[i].want);
        for (uint32_t s = 0; s < count; s++) {
            const uint32_t *server = cases[i].servers[s];
            samples[s] = (struct outlier_sample){
                .requests = server[0],
                .failures = server[1],
                .answers = server[0],
                .answers_us = (uint64_t)server[0] * server[2],
                .counts = cases[i].want[s] != '-',
            };
        }
        outlier_judge(&rules, samples, count);
        for (uint32_t s = 0; s < count; s++) {
            static const char letters[] = {
                [OUTLIER_NONE] = '.', [OUTLIER_SUCCESS_RATE] = 'r', [OUTLIER_LATENCY] = 'l'};
            got[s] = samples[s].counts ? letters[samples[s].why] : '-';
            ck_assert(samples[s].counts || samples[s].why == OUTLIER_NONE);
        }
        ck_assert_msg(strcmp(got, cases[i].want) == 0, "%s: %s, wanted %s", cases[i].what, got,
                      cases[i].want);
    }
}
END_TEST

START_TEST(what_is_off_is_not_looked_at)
{
    struct outlier_rules off = rules;
    struct outlier_sample samples[3] = {{500, 0, 500, 1, true, 0, 0, 0},
                                        {500, 0, 500, 1, true, 0, 0, 0},
                                        {500, 500, 500, 500000000, true, 0, 0, 0}};
    off.stdev_percent = 0;
    off.latency_percent = 0;
    outlier_judge(&off, samples, 3);
    ck_assert_int_eq(samples[2].why, OUTLIER_NONE);
    off.latency_percent = 100;
    outlier_judge(&off, samples, 3);
    ck_assert_int_eq(samples[2].why, OUTLIER_LATENCY);
}
END_TEST

START_TEST(who_comes_back_and_fails_again_rests_longer)
{
    ck_assert_uint_eq(outlier_eject_ms(&rules, 0), 30000);
    ck_assert_uint_eq(outlier_eject_ms(&rules, 1), 30000);
    ck_assert_uint_eq(outlier_eject_ms(&rules, 3), 90000);
    ck_assert_uint_eq(outlier_eject_ms(&rules, 10), 300000);
    ck_assert_uint_eq(outlier_eject_ms(&rules, UINT32_MAX), 300000);
    struct outlier_rules odd = rules;
    odd.eject_max_ms = 1;
    ck_assert_uint_eq(outlier_eject_ms(&odd, 5), 30000);
}
END_TEST

START_TEST(not_all_are_ejected_and_never_the_last)
{
    static const struct {
        uint32_t count, ejected, others, percent;
        bool may;
    } limits[] = {
        {1, 0, 0, 100, false}, {2, 0, 1, 50, true},  {2, 1, 0, 100, false}, {2, 1, 1, 50, false},
        {4, 1, 2, 50, true},   {4, 2, 1, 50, false}, {4, 2, 1, 100, true},  {4, 3, 0, 100, false},
        {10, 0, 9, 1, true},   {10, 1, 8, 1, false}, {3, 0, 2, 0, true},    {3, 0, 0, 50, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct outlier_rules capped = rules;
        capped.max_ejected = limits[i].percent;
        ck_assert_msg(outlier_may_eject(&capped, limits[i].count, limits[i].ejected,
                                        limits[i].others) == limits[i].may,
                      "case %zu", i);
    }
}
END_TEST

UNIT_TESTS("outlier", who_does_worse_than_the_others_is_told, what_is_off_is_not_looked_at,
           who_comes_back_and_fails_again_rests_longer, not_all_are_ejected_and_never_the_last)
