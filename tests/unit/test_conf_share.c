#include <string.h>

#include "conf/conf_share.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

/* Weights: numbers, or shares below 0. */
static const struct {
    int weights[6];
    uint64_t scaled[6];
    uint32_t numbers[6];
} cases[] = {
    {{100, 50}, {100, 50}, {100, 50}},
    {{100, 100, 100, -25}, {7500, 7500, 7500, 7500}, {100, 100, 100, 100}},
    {{100, 100, -5}, {9500, 9500, 1000}, {100, 100, 11}}, /* 1000 of 20000 */
    {{1, 1, -5}, {95, 95, 10}, {1, 1, 1}},                /* exact, as small as numbers may be */
    {{100, -50, -25}, {2500, 5000, 2500}, {100, 200, 100}},
    {{1, -99}, {1, 99}, {1, 99}},
    {{-70, -30}, {70, 30}, {70, 30}},
    {{-100}, {100}, {100}},
};

START_TEST(shares_are_exact_whatever_stands_beside_them)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_server servers[6];
        struct conf_pool pool = {.servers = servers};
        struct conf_share_sums sums;
        memset(servers, 0, sizeof(servers));
        for (; pool.server_count < 6 && cases[i].weights[pool.server_count] != 0;
             pool.server_count++) {
            int weight = cases[i].weights[pool.server_count];
            servers[pool.server_count].weight = weight > 0 ? (uint32_t)weight : 0;
            servers[pool.server_count].weight_percent = weight < 0 ? (uint32_t)-weight : 0;
        }
        conf_share_add_up(&pool, &sums);
        uint64_t all = 0;
        for (uint32_t k = 0; k < pool.server_count; k++) {
            uint64_t scaled = conf_share_scaled(&sums, &servers[k]);
            uint32_t number = conf_share_number(&pool, &servers[k]);
            ck_assert_msg(scaled == cases[i].scaled[k], "case %zu, %u: %llu", i, k,
                          (unsigned long long)scaled);
            ck_assert_msg(number == cases[i].numbers[k], "case %zu, %u: %u", i, k, number);
            all += scaled;
        }
        for (uint32_t k = 0; k < pool.server_count; k++) {
            if (servers[k].weight_percent != 0) {
                ck_assert_uint_eq(conf_share_scaled(&sums, &servers[k]) * 100,
                                  all * servers[k].weight_percent);
            }
        }
        uint64_t most = conf_share_most(&sums, &servers[0]);
        ck_assert(most == 0 || most == all);
    }
}
END_TEST

START_TEST(each_priority_has_shares_of_its_own)
{
    struct conf_server servers[4] = {{.weight = 10},
                                     {.weight_percent = 50},
                                     {.weight = 10, .priority = 15},
                                     {.weight_percent = 20, .priority = 15}};
    const struct conf_pool pool = {.servers = servers, .server_count = 4};
    struct conf_share_sums sums;
    conf_share_add_up(&pool, &sums);
    ck_assert_uint_eq(conf_share_scale(&sums, &servers[0]), 50);
    ck_assert_uint_eq(conf_share_scale(&sums, &servers[2]), 80);
    ck_assert_uint_eq(conf_share_scaled(&sums, &servers[1]), 500);
    ck_assert_uint_eq(conf_share_scaled(&sums, &servers[3]), 200);
}
END_TEST

START_TEST(what_was_refused_divides_by_nothing)
{
    struct conf_server servers[3] = {{.weight_percent = 60}, {.weight_percent = 70}, {.weight = 1}};
    const struct conf_pool pool = {.servers = servers, .server_count = 3};
    ck_assert_uint_eq(conf_share_number(&pool, &servers[0]), 60);
    ck_assert_uint_eq(conf_share_number(&pool, &servers[2]), 1);
}
END_TEST

START_TEST(a_part_of_a_weight_is_never_nothing)
{
    ck_assert_uint_eq(conf_share_of(100, 50), 50);
    ck_assert_uint_eq(conf_share_of(1, 1), 1);
    ck_assert_uint_eq(conf_share_of(33, 50), 17);
    ck_assert_uint_eq(conf_share_of(UINT32_MAX, 100000), UINT32_MAX);
}
END_TEST

UNIT_TESTS("conf_share", shares_are_exact_whatever_stands_beside_them,
           each_priority_has_shares_of_its_own, what_was_refused_divides_by_nothing,
           a_part_of_a_weight_is_never_nothing)
