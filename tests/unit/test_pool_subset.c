#include "lbd/upstream/pool_subset.h"
#include "tests/unit/unit.h"

enum { SERVERS = 5 };

static struct pool *whole_of(enum balancer_kind kind)
{
    struct pool *pool = pool_new(SLICE("web"), 3, SERVERS);
    for (uint32_t i = 0; i < SERVERS; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "s%u", i);
        pool->members[i].server = server_new(SLICE("web"), slice_from(name), i);
        (void)server_set_health(pool->members[i].server, SERVER_UP, 1);
        ck_assert(addr_parse(SLICE("127.0.0.1:80"), &pool->members[i].address));
        pool->targets[i].weight = 100;
    }
    pool->hash_bound = 125;
    pool_build(pool, kind);
    return pool;
}

static const enum balancer_kind kinds[] = {BALANCER_LEAST_REQUEST, BALANCER_ROUND_ROBIN,
                                           BALANCER_RANDOM,        BALANCER_PEAK_EWMA,
                                           BALANCER_MAGLEV,        BALANCER_RING_HASH};

START_TEST(only_its_members_are_picked)
{
    static const uint32_t members[] = {1, 4};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct pool *whole = whole_of(kinds[k]);
        struct pool *some = pool_subset(whole, members, 2, false, POOL_SUBSET_STATE);
        struct pool_state state = {0};
        struct random random;
        uint32_t picks[2] = {0};
        enum close_reason reason;
        pool_unref(whole); /* the subset keeps it */
        random_seed_with(&random, 1);
        for (uint32_t i = 0; i < 200; i++) {
            state.balancer.has_key = true;
            state.balancer.key = i * UINT64_C(0x9e3779b97f4a7c15);
            uint32_t index = pool_pick(some, &state, &random, 0, 1, NULL, 0, &reason);
            ck_assert_uint_lt(index, 2);
            picks[index]++;
            pool_release(some->members[index].server);
        }
        ck_assert_uint_gt(picks[0], 50);
        ck_assert_uint_gt(picks[1], 50);
        ck_assert_str_eq(some->members[1].server->name, "s4");
        ck_assert_uint_eq(some->id, 3);
        ck_assert_uint_eq(some->state_id, POOL_SUBSET_STATE);
        pool_unref(some);
    }
}
END_TEST

START_TEST(nobody_is_a_subset_too)
{
    struct pool *whole = whole_of(BALANCER_ROUND_ROBIN);
    struct pool *none = pool_subset(whole, NULL, 0, true, POOL_SUBSET_STATE);
    struct pool_state state = {0};
    struct random random;
    enum close_reason reason = CLOSE_OK;
    random_seed_with(&random, 1);
    ck_assert_uint_eq(pool_pick(none, &state, &random, 0, 1, NULL, 0, &reason), BALANCER_NONE);
    ck_assert_int_eq(reason, CLOSE_NO_SERVER);
    ck_assert_ptr_eq(none->fallback, whole);
    pool_unref(none);
    pool_unref(whole);
}
END_TEST

START_TEST(a_group_that_stands_by_is_awake_in_a_subset_of_its_own)
{
    static const uint32_t members[] = {3, 4};
    struct pool *whole = whole_of(BALANCER_ROUND_ROBIN);
    struct pool_state state = {0};
    struct random random;
    enum close_reason reason;
    whole->targets[3].weight = whole->targets[4].weight = 0;
    whole->level_count = 2;
    struct pool *some = pool_subset(whole, members, 2, false, POOL_SUBSET_STATE);
    random_seed_with(&random, 1);
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t index = pool_pick(some, &state, &random, 0, 1, NULL, 0, &reason);
        ck_assert_uint_eq(index, i % 2);
        pool_release(some->members[index].server);
    }
    pool_unref(some);
    pool_unref(whole);
}
END_TEST

START_TEST(who_is_awake_again_has_its_weight)
{
    static const uint32_t members[] = {3, 4};
    static const struct {
        uint32_t own[2];
        uint32_t want[2];
    } cases[] = {
        {{10000, 30000}, {100, 300}},
        {{10000, 105}, {10000, 105}},
        {{TARGET_OWN_MAX, 50}, {TARGET_WEIGHT_MAX, 1}},
    };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct pool *whole = whole_of(BALANCER_ROUND_ROBIN);
        for (uint32_t i = 0; i < 2; i++) {
            whole->targets[members[i]].weight = 0;
            whole->targets[members[i]].own_weight = cases[c].own[i];
        }
        whole->level_count = 2;
        struct pool *some = pool_subset(whole, members, 2, false, POOL_SUBSET_STATE);
        ck_assert_uint_eq(some->targets[0].weight, cases[c].want[0]);
        ck_assert_uint_eq(some->targets[1].weight, cases[c].want[1]);
        pool_unref(some);
        pool_unref(whole);
    }
}
END_TEST

UNIT_TESTS("pool_subset", only_its_members_are_picked, nobody_is_a_subset_too,
           a_group_that_stands_by_is_awake_in_a_subset_of_its_own,
           who_is_awake_again_has_its_weight)
