/* From what is used to a stage, and back. */
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/proxy/pressure.h"
#include "tests/unit/unit.h"

#define START_US UINT64_C(5000000000)
#define MS       UINT64_C(1000)

/* Of a limit of 1000: what is used, one look after the other, and the stage behind each. */
static const struct {
    enum pressure_kind kind;
    struct {
        uint32_t used;
        uint8_t stage;
    } looks[8];
} walks[] = {
    {PRESSURE_CONNECTIONS, {{849, 0}, {850, 1}, {849, 1}, {800, 1}, {799, 0}, {849, 0}}},
    {PRESSURE_CONNECTIONS, {{1000, 2}, {950, 2}, {949, 1}, {999, 1}, {1000, 2}, {0, 0}}},
    {PRESSURE_BUFFERS, {{799, 0}, {800, 1}, {899, 1}, {900, 2}, {950, 3}, {900, 3}, {899, 2}}},
    {PRESSURE_BUFFERS, {{2000, 3}, {849, 1}, {750, 1}, {749, 0}}}, /* over several at once */
    {PRESSURE_MEMORY, {{899, 0}, {900, 1}, {950, 2}, {999, 2}, {1000, 3}, {950, 3}, {949, 2}}},
    {PRESSURE_MEMORY, {{5000, 3}, {899, 1}, {850, 1}, {849, 0}, {899, 0}}},
};

START_TEST(a_stage_is_left_below_where_it_was_entered)
{
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        uint8_t stage = 0;
        for (size_t j = 0; j < ARRAY_LEN(walks[i].looks); j++) {
            stage = pressure_stage(walks[i].kind, stage, walks[i].looks[j].used, 1000);
            ck_assert_msg(stage == walks[i].looks[j].stage, "walk %zu, look %zu: %u", i, j, stage);
        }
    }
}
END_TEST

START_TEST(without_a_limit_nothing_is_near_it)
{
    for (unsigned kind = 0; kind < PRESSURE_LAG; kind++) {
        ck_assert_uint_eq(pressure_stage((enum pressure_kind)kind, 3, UINT32_MAX, 0), 0);
    }
}
END_TEST

START_TEST(large_limits_do_not_wrap)
{
    uint64_t limit = UINT64_C(1) << 50U;
    ck_assert_uint_eq(pressure_stage(PRESSURE_MEMORY, 0, limit / 100 * 89, limit), 0);
    ck_assert_uint_eq(pressure_stage(PRESSURE_MEMORY, 0, limit / 100 * 96, limit), 2);
    ck_assert_uint_eq(pressure_goal(PRESSURE_MEMORY, 1000), 850);
    ck_assert_uint_eq(pressure_goal(PRESSURE_CONNECTIONS, 1000), 800);
}
END_TEST

/* Steps: 'L' a pass of 30 ms, 's' one of 1 ms, '_' a second goes by, '.' half of it; the limit is
 * 20 ms. */
static const struct {
    const char *steps;
    uint8_t stage;
} lags[] = {
    {"sss", 0},     {"L", 0},        {"LL", 0},     {"LLL", 1},  {"LsLsL", 1}, /* within a second is
                                                                                  enough */
    {"LL_L", 0},    {"L_L_L_L", 0},  {"LL_LLL", 1}, {"LLLs", 1}, {"LLL.s", 1}, {"LLL.L.s", 1},
    {"LLL_s", 0},                    /* a second without one */
    {"LLL_sLL", 0}, {"LLL_sLLL", 1}, /* counted anew */
};

START_TEST(three_long_passes_within_a_second)
{
    for (size_t i = 0; i < ARRAY_LEN(lags); i++) {
        struct pressure_lag lag = {0};
        uint64_t now_us = START_US;
        uint8_t stage = 0;
        for (const char *at = lags[i].steps; *at != '\0'; at++) {
            uint64_t pass_us = *at == 'L' ? 30 * MS : *at == 's' ? MS : 0;
            now_us += pass_us != 0 ? pass_us : *at == '_' ? 1000 * MS : 500 * MS;
            if (pass_us != 0) {
                stage = pressure_lag_note(&lag, pass_us, 20 * MS, now_us);
            }
        }
        ck_assert_msg(stage == lags[i].stage, "%s: %u", lags[i].steps, stage);
        ck_assert_uint_eq(pressure_lag_note(&lag, 30 * MS, 0, now_us), 0); /* off */
    }
}
END_TEST

START_TEST(every_stage_has_its_words)
{
    static const uint8_t last[PRESSURE_KINDS] = {PRESSURE_CONNECTIONS_FULL,
                                                 PRESSURE_BUFFERS_CRITICAL, PRESSURE_MEMORY_FULL,
                                                 PRESSURE_LAG_SHEDDING};
    for (unsigned i = 0; i < PRESSURE_KINDS; i++) {
        enum pressure_kind kind = (enum pressure_kind)i;
        ck_assert_str_eq(pressure_stage_word(kind, 0), "normal");
        ck_assert_int_ne(pressure_kind_word(kind)[0], '\0');
        ck_assert_int_eq(pressure_setting(kind)[0], '/');
        for (uint8_t stage = 0; stage <= last[i]; stage++) {
            ck_assert_int_ne(pressure_stage_word(kind, stage)[0], '\0');
            ck_assert_uint_lt(strlen(pressure_stage_means(kind, stage)), 120);
        }
    }
}
END_TEST

UNIT_TESTS("pressure", a_stage_is_left_below_where_it_was_entered,
           without_a_limit_nothing_is_near_it, large_limits_do_not_wrap,
           three_long_passes_within_a_second, every_stage_has_its_words)
