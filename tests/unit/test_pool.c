#include <pthread.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/upstream/pool.h"
#include "tests/unit/unit.h"

struct field {
    struct pool *pool;
    struct pool_state state;
    struct random random;
};

/* `count` servers, all up with an address, not limited. */
static void field_init(struct field *field, enum balancer_kind kind, uint32_t count)
{
    *field = (struct field){.pool = pool_new(SLICE("web"), 3, count)};
    random_seed_with(&field->random, 11);
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%u", i);
        struct pool_member *member = &field->pool->members[i];
        member->server = server_new(SLICE("web"), slice_from(name), i);
        (void)server_set_health(member->server, SERVER_UP, 1);
        ck_assert(addr_parse(SLICE("127.0.0.1:80"), &member->address));
        field->pool->targets[i].weight = 100;
    }
    pool_build(field->pool, kind);
}

static void field_fini(struct field *field)
{
    for (uint32_t i = 0; i < field->pool->count; i++) {
        atomic_store(&field->pool->members[i].server->load.in_flight, 0);
    }
    pool_unref(field->pool);
}

static uint32_t pick(struct field *field, const uint32_t *tried, uint32_t tried_count,
                     enum close_reason *reason)
{
    *reason = CLOSE_OK;
    return pool_pick(field->pool, &field->state, &field->random, 0, 1, tried, tried_count, reason);
}

static void set_all(struct field *field, enum server_health health, enum server_admin admin)
{
    for (uint32_t i = 0; i < field->pool->count; i++) {
        (void)server_set_health(field->pool->members[i].server, health, 1);
        (void)server_set_admin(field->pool->members[i].server, admin, 1);
    }
}

static uint32_t in_flight(const struct field *field, uint32_t index)
{
    return target_in_flight(&field->pool->targets[index]);
}

static const enum balancer_kind kinds[] = {BALANCER_LEAST_REQUEST, BALANCER_ROUND_ROBIN,
                                           BALANCER_RANDOM,        BALANCER_PEAK_EWMA,
                                           BALANCER_MAGLEV,        BALANCER_RING_HASH};

START_TEST(a_pick_counts_as_in_flight_until_released)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        field_init(&field, kinds[k], 3);
        enum close_reason reason;
        uint32_t index = pick(&field, NULL, 0, &reason);
        ck_assert_uint_lt(index, 3);
        ck_assert_uint_eq(in_flight(&field, index), 1);
        pool_release(field.pool->members[index].server);
        ck_assert_uint_eq(in_flight(&field, index), 0);
        ck_assert_uint_eq(pool_usable_count(field.pool), 3);
        field_fini(&field);
    }
}
END_TEST

START_TEST(a_retry_goes_elsewhere_while_there_is_an_elsewhere)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        field_init(&field, kinds[k], 3);
        enum close_reason reason;
        for (uint32_t i = 0; i < 100; i++) {
            const uint32_t tried[] = {i % 3, (i + 1) % 3};
            ck_assert_uint_eq(pick(&field, tried, 2, &reason), (i + 2) % 3);
        }
        const uint32_t all[] = {0, 1, 2};
        ck_assert_uint_lt(pick(&field, all, 3, &reason), 3);
        field_fini(&field);
    }
}
END_TEST

START_TEST(more_tries_than_are_looked_at_do_no_harm)
{
    struct field field;
    field_init(&field, BALANCER_ROUND_ROBIN, 2);
    enum close_reason reason;
    uint32_t tried[40];
    for (uint32_t i = 0; i < 40; i++) {
        tried[i] = i < 20 ? 1 : 0;
    }
    ck_assert_uint_eq(pick(&field, tried, 40, &reason), 1); /* only 0 was tried lately */
    field_fini(&field);
}
END_TEST

START_TEST(limits_hold_exactly)
{
    static const uint32_t counts[] = {1, 3, 20, 100};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
            struct field field;
            field_init(&field, kinds[k], counts[c]);
            for (uint32_t i = 0; i < counts[c]; i++) {
                field.pool->targets[i].max_in_flight = 2;
            }
            enum close_reason reason;
            /* every place is found, also the last one */
            for (uint32_t i = 0; i < 2 * counts[c]; i++) {
                ck_assert_uint_ne(pick(&field, NULL, 0, &reason), BALANCER_NONE);
            }
            ck_assert_uint_eq(pick(&field, NULL, 0, &reason), BALANCER_NONE);
            ck_assert_int_eq(reason, CLOSE_SERVER_LIMIT);
            for (uint32_t i = 0; i < counts[c]; i++) {
                ck_assert_uint_eq(in_flight(&field, i), 2);
            }
            pool_release(field.pool->members[counts[c] - 1].server);
            ck_assert_uint_eq(pick(&field, NULL, 0, &reason), counts[c] - 1);
            field_fini(&field);
        }
    }
}
END_TEST

START_TEST(a_tried_one_with_room_beats_a_refusal)
{
    struct field field;
    field_init(&field, BALANCER_ROUND_ROBIN, 2);
    field.pool->targets[1].max_in_flight = 1;
    enum close_reason reason;
    const uint32_t tried[] = {0};
    ck_assert_uint_eq(pick(&field, tried, 1, &reason), 1);
    ck_assert_uint_eq(pick(&field, tried, 1, &reason), 0); /* 1 is full */
    field_fini(&field);
}
END_TEST

static void set_addresses(struct field *field, bool present)
{
    for (uint32_t i = 0; i < field->pool->count; i++) {
        field->pool->members[i].address = (struct addr){0};
        if (present) {
            ck_assert(addr_parse(SLICE("127.0.0.1:80"), &field->pool->members[i].address));
        }
    }
}

static const struct {
    const char *what;
    uint32_t count;
    enum server_health health;
    enum server_admin admin;
    bool has_address;
    bool fail_open;
    enum close_reason want; /* CLOSE_OK: somebody is picked */
} refusals[] = {
    {"no member", 0, SERVER_UP, SERVER_READY, true, false, CLOSE_NO_SERVER},
    {"no member, fail_open", 0, SERVER_UP, SERVER_READY, true, true, CLOSE_NO_SERVER},
    {"all up", 3, SERVER_UP, SERVER_READY, true, false, CLOSE_OK},
    {"all down", 3, SERVER_DOWN, SERVER_READY, true, false, CLOSE_NO_SERVER},
    {"all down, fail_open", 3, SERVER_DOWN, SERVER_READY, true, true, CLOSE_OK},
    {"all starting", 3, SERVER_STARTING, SERVER_READY, true, false, CLOSE_NO_SERVER},
    {"all starting, fail_open", 3, SERVER_STARTING, SERVER_READY, true, true, CLOSE_OK},
    {"all drained", 3, SERVER_UP, SERVER_DRAIN, true, false, CLOSE_NO_SERVER},
    {"all drained, fail_open", 3, SERVER_UP, SERVER_DRAIN, true, true, CLOSE_NO_SERVER},
    {"all in maintenance", 3, SERVER_DOWN, SERVER_MAINT, true, true, CLOSE_NO_SERVER},
    {"none resolved", 3, SERVER_UNRESOLVED, SERVER_READY, false, false, CLOSE_UNRESOLVED},
    {"none resolved, fail_open", 3, SERVER_UNRESOLVED, SERVER_READY, false, true, CLOSE_UNRESOLVED},
    {"unresolved and drained", 3, SERVER_UNRESOLVED, SERVER_DRAIN, false, false, CLOSE_NO_SERVER},
    {"up, but built without an address", 3, SERVER_UP, SERVER_READY, false, false,
     CLOSE_UNRESOLVED},
};

START_TEST(refusals_say_why)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
            struct field field;
            field_init(&field, kinds[k], refusals[i].count);
            field.pool->fail_open = refusals[i].fail_open;
            set_addresses(&field, refusals[i].has_address);
            set_all(&field, refusals[i].health, refusals[i].admin);
            for (uint32_t built = 0; built < 2; built++) {
                enum close_reason reason;
                uint32_t index = pick(&field, NULL, 0, &reason);
                ck_assert_msg((index != BALANCER_NONE) == (refusals[i].want == CLOSE_OK),
                              "%s: picked %u", refusals[i].what, index);
                ck_assert_msg(reason == refusals[i].want, "%s: %.*s", refusals[i].what,
                              SLICE_ARG(close_reason_word(reason)));
                pool_build(field.pool, kinds[k]);
            }
            field_fini(&field);
        }
    }
}
END_TEST

START_TEST(one_ready_and_down_among_unresolved_is_no_server)
{
    struct field field;
    field_init(&field, BALANCER_ROUND_ROBIN, 2);
    (void)server_set_health(field.pool->members[0].server, SERVER_UNRESOLVED, 1);
    (void)server_set_health(field.pool->members[1].server, SERVER_DOWN, 1);
    field.pool->members[0].address = (struct addr){0};
    enum close_reason reason;
    ck_assert_uint_eq(pick(&field, NULL, 0, &reason), BALANCER_NONE);
    ck_assert_int_eq(reason, CLOSE_NO_SERVER);
    field_fini(&field);
}
END_TEST

START_TEST(fail_open_keeps_the_limits)
{
    struct field field;
    field_init(&field, BALANCER_LEAST_REQUEST, 2);
    field.pool->fail_open = true;
    field.pool->targets[0].max_in_flight = 1;
    field.pool->targets[1].max_in_flight = 1;
    set_all(&field, SERVER_DOWN, SERVER_READY);
    enum close_reason reason;
    ck_assert_uint_ne(pick(&field, NULL, 0, &reason), BALANCER_NONE);
    ck_assert_uint_ne(pick(&field, NULL, 0, &reason), BALANCER_NONE);
    ck_assert_uint_eq(pick(&field, NULL, 0, &reason), BALANCER_NONE);
    ck_assert_int_eq(reason, CLOSE_SERVER_LIMIT);
    field_fini(&field);
}
END_TEST

START_TEST(fail_open_prefers_the_usable)
{
    struct field field;
    field_init(&field, BALANCER_LEAST_REQUEST, 5);
    field.pool->fail_open = true;
    set_all(&field, SERVER_DOWN, SERVER_READY);
    (void)server_set_health(field.pool->members[2].server, SERVER_UP, 1);
    enum close_reason reason;
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(pick(&field, NULL, 0, &reason), 2);
    }
    field_fini(&field);
}
END_TEST

enum { THREADS = 2, PICKS = 20000, LIMIT = 3 };

struct race {
    struct pool *pool;
    uint32_t worker;
    uint32_t picked;
    uint32_t over;
};

static void *pick_from_a_thread(void *arg)
{
    struct race *race = arg;
    struct pool_state state = {0};
    struct random random;
    random_seed_with(&random, race->worker);
    for (uint32_t i = 0; i < PICKS; i++) {
        enum close_reason reason;
        uint32_t index =
            pool_pick(race->pool, &state, &random, race->worker, THREADS, NULL, 0, &reason);
        if (index != BALANCER_NONE) {
            race->picked++;
            /* the other thread may stand between its add and its undo: once more than the limit */
            if (target_in_flight(&race->pool->targets[index]) > LIMIT + 1) {
                race->over++;
            }
            pool_release(race->pool->members[index].server);
        }
    }
    return NULL;
}

START_TEST(workers_share_load_and_limits)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        field_init(&field, kinds[k], 4);
        for (uint32_t i = 0; i < 4; i++) {
            field.pool->targets[i].max_in_flight = LIMIT;
        }
        struct race races[THREADS];
        pthread_t threads[THREADS];
        for (uint32_t i = 0; i < THREADS; i++) {
            races[i] = (struct race){.pool = field.pool, .worker = i};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, pick_from_a_thread, &races[i]), 0);
        }
        for (uint32_t i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
            ck_assert_uint_eq(races[i].picked, PICKS);
            ck_assert_uint_eq(races[i].over, 0);
        }
        for (uint32_t i = 0; i < 4; i++) {
            ck_assert_uint_eq(in_flight(&field, i), 0);
        }
        field_fini(&field);
    }
}
END_TEST

START_TEST(a_new_schedule_gives_each_worker_its_start)
{
    struct field field;
    field_init(&field, BALANCER_ROUND_ROBIN, 8);
    enum close_reason reason;
    struct pool_state state = {0};
    ck_assert_uint_eq(pool_pick(field.pool, &state, &field.random, 1, 2, NULL, 0, &reason), 4);
    ck_assert_uint_eq(pool_pick(field.pool, &state, &field.random, 1, 2, NULL, 0, &reason), 5);
    (void)server_set_health(field.pool->members[0].server, SERVER_DOWN, 1);
    (void)server_set_health(field.pool->members[1].server, SERVER_DOWN, 1);
    pool_build(field.pool, BALANCER_ROUND_ROBIN);
    ck_assert_uint_eq(pool_pick(field.pool, &state, &field.random, 1, 2, NULL, 0, &reason), 5);
    field_fini(&field);
}
END_TEST

static uint32_t freed;

static void note_free(uint32_t id)
{
    (void)id;
    freed++;
}

START_TEST(the_last_reference_lets_go_of_the_servers)
{
    struct field field;
    freed = 0;
    server_on_free(note_free);
    field_init(&field, BALANCER_ROUND_ROBIN, 3);
    struct server *kept = server_ref(field.pool->members[1].server);
    struct pool *pool = pool_ref(field.pool);
    pool_unref(pool);
    ck_assert_uint_eq(freed, 0);
    pool_unref(field.pool);
    ck_assert_uint_eq(freed, 2);
    server_unref(kept);
    ck_assert_uint_eq(freed, 3);
    pool_unref(NULL);
    server_on_free(NULL);
}
END_TEST

/* Who is said to be a candidate is who gets picked, whatever the members are like. */
START_TEST(candidates_are_those_that_are_picked)
{
    enum { SERVERS = 5, TRIES = 200 };
    struct random dice;
    random_seed_with(&dice, 7);
    for (uint32_t round = 0; round < 300; round++) {
        struct field field;
        enum close_reason reason;
        bool picked[SERVERS] = {false};
        field_init(&field, kinds[round % 2], SERVERS);
        field.pool->fail_open = random_below(&dice, 2) == 1;
        uint32_t in_use = random_below(&dice, 3); /* the same everywhere: nobody is less busy */
        for (uint32_t i = 0; i < SERVERS; i++) {
            struct pool_member *member = &field.pool->members[i];
            (void)server_set_health(member->server,
                                    random_below(&dice, 2) ? SERVER_UP : SERVER_DOWN, 2);
            (void)server_set_admin(member->server,
                                   random_below(&dice, 3) == 0 ? SERVER_DRAIN : SERVER_READY, 2);
            if (random_below(&dice, 5) == 0) {
                member->address.len = 0;
                (void)server_set_health(member->server, SERVER_UNRESOLVED, 2);
            }
            field.pool->targets[i].max_in_flight = random_below(&dice, 3);
            atomic_store(&field.pool->targets[i].load->in_flight, in_use);
        }
        pool_build(field.pool, kinds[round % 2]);
        enum balancer_fitness fitness = pool_fitness(field.pool);
        bool said[SERVERS];
        for (uint32_t i = 0; i < SERVERS; i++) {
            said[i] = pool_candidate(field.pool, fitness, i) == POOL_CANDIDATE;
        }
        for (uint32_t n = 0; n < TRIES; n++) {
            uint32_t index = pick(&field, NULL, 0, &reason);
            if (index != BALANCER_NONE) {
                picked[index] = true;
                pool_release(field.pool->members[index].server);
            }
        }
        for (uint32_t i = 0; i < SERVERS; i++) {
            ck_assert_msg(said[i] == picked[i], "round %u, server %u: %d", round, i, said[i]);
        }
        field_fini(&field);
    }
}
END_TEST

/* Servers 0 and 1 get requests, 2 and 3 stand by. */
static void field_init_standby(struct field *field, enum balancer_kind kind)
{
    static const uint8_t ranks[] = {0, 0, 2, 2};
    struct level levels[LEVELS_MAX];
    field_init(field, kind, 4);
    field->pool->level_count = levels_build(field->pool->targets, ranks, 4, 140, levels);
    field->pool->levels = levels;
    pool_build(field->pool, kind);
    field->pool->levels = NULL;
}

START_TEST(who_stands_by_is_asked_when_others_fail_only)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        field_init_standby(&field, kinds[k]);
        enum close_reason reason;
        for (uint32_t i = 0; i < 200; i++) {
            field.state.balancer.has_key = true;
            field.state.balancer.key = i * UINT64_C(0x9e3779b97f4a7c15);
            uint32_t index = pick(&field, NULL, 0, &reason);
            ck_assert_uint_lt(index, 2);
            pool_release(field.pool->members[index].server);
        }
        ck_assert_int_eq(pool_candidate(field.pool, BALANCER_USABLE, 0), POOL_CANDIDATE);
        ck_assert_int_eq(pool_candidate(field.pool, BALANCER_USABLE, 3), POOL_STANDS_BY);
        const uint32_t tried[] = {0, 1};
        ck_assert_uint_ge(pick(&field, tried, 2, &reason), 2); /* before one of those again */
        const uint32_t all[] = {0, 1, 2, 3};
        ck_assert_uint_lt(pick(&field, all, 4, &reason), 4);
        /* not built anew yet */
        (void)server_set_health(field.pool->members[0].server, SERVER_DOWN, 1);
        (void)server_set_health(field.pool->members[1].server, SERVER_DOWN, 1);
        ck_assert_uint_ge(pick(&field, NULL, 0, &reason), 2);
        (void)server_set_health(field.pool->members[2].server, SERVER_DOWN, 1);
        ck_assert_uint_eq(pick(&field, NULL, 0, &reason), 3);
        (void)server_set_health(field.pool->members[3].server, SERVER_DOWN, 1);
        ck_assert_uint_eq(pick(&field, NULL, 0, &reason), BALANCER_NONE);
        ck_assert_int_eq(reason, CLOSE_NO_SERVER);
        field_fini(&field);
    }
}
END_TEST

START_TEST(who_stands_by_helps_when_others_are_full)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        field_init_standby(&field, kinds[k]);
        enum close_reason reason;
        for (uint32_t i = 0; i < 4; i++) {
            field.pool->targets[i].max_in_flight = 3;
        }
        for (uint32_t i = 0; i < 12; i++) {
            uint32_t index = pick(&field, NULL, 0, &reason);
            ck_assert_msg(index != BALANCER_NONE && (index >= 2) == (i >= 6), "pick %u: %u", i,
                          index);
        }
        ck_assert_uint_eq(pick(&field, NULL, 0, &reason), BALANCER_NONE);
        ck_assert_int_eq(reason, CLOSE_SERVER_LIMIT);
        field_fini(&field);
    }
}
END_TEST

/* Picks that are ended at once; servers 0 to primaries-1 are full. */
static void count_overflow(struct field *field, const uint32_t *tried, uint32_t tried_count,
                           uint32_t picks, uint32_t *got)
{
    for (uint32_t i = 0; i < picks; i++) {
        enum close_reason reason;
        field->state.balancer.has_key = i % 2 == 0;
        field->state.balancer.key = i * UINT64_C(0x9e3779b97f4a7c15);
        uint32_t index = pick(field, tried, tried_count, &reason);
        ck_assert_uint_ne(index, BALANCER_NONE);
        got[index]++;
        pool_release(field->pool->members[index].server);
    }
}

/* `primaries` of weight 100 and one place, then two of weights 100 and 300, then one more of the
 * last group. */
static void field_init_overflow(struct field *field, enum balancer_kind kind, uint32_t primaries)
{
    struct level levels[LEVELS_MAX];
    uint8_t ranks[64] = {0};
    uint32_t count = primaries + 3;
    ck_assert_uint_le(count, ARRAY_LEN(ranks));
    field_init(field, kind, count);
    field->pool->targets[primaries + 1].weight = 300;
    ranks[primaries] = ranks[primaries + 1] = 2;
    ranks[primaries + 2] = 4;
    for (uint32_t i = 0; i < primaries; i++) {
        field->pool->targets[i].max_in_flight = 1;
        atomic_store(&field->pool->targets[i].load->in_flight, 1);
    }
    field->pool->level_count = levels_build(field->pool->targets, ranks, count, 140, levels);
    pool_build(field->pool, kind);
}

/* As if the group before were out: 1 to 3, and nobody of the group behind. 4000 drawn ones have a
 * deviation of 27; seven of them are allowed. */
START_TEST(what_overflows_goes_to_the_next_group_by_weight)
{
    static const uint32_t primaries[] = {4, 40}; /* more than are found full one by one */
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t p = 0; p < ARRAY_LEN(primaries); p++) {
            struct field field;
            uint32_t got[64] = {0};
            uint32_t at = primaries[p];
            field_init_overflow(&field, kinds[k], at);
            count_overflow(&field, NULL, 0, 4000, got);
            ck_assert_uint_eq(got[at] + got[at + 1], 4000);
            ck_assert_msg(got[at] > 808 && got[at] < 1192, "kind %u, %u before: %u", kinds[k], at,
                          got[at]);
            const uint32_t tried[] = {at, at + 1};
            count_overflow(&field, tried, 2, 10, got);
            ck_assert_uint_eq(got[at + 2], 10);
            field_fini(&field);
        }
    }
}
END_TEST

START_TEST(a_retry_reaches_the_next_group_by_weight)
{
    static const uint32_t tried[] = {0, 1, 2, 3};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        uint32_t got[64] = {0};
        field_init_overflow(&field, kinds[k], 4);
        for (uint32_t i = 0; i < 4; i++) {
            atomic_store(&field.pool->targets[i].load->in_flight, 0);
        }
        count_overflow(&field, tried, 4, 4000, got);
        ck_assert_uint_eq(got[4] + got[5], 4000);
        ck_assert_msg(got[4] > 808 && got[4] < 1192, "kind %u: %u", kinds[k], got[4]);
        field_fini(&field);
    }
}
END_TEST

/* 40 of which two have room, side by side: more are full than are found so one by one. */
START_TEST(the_last_places_are_shared_by_weight)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct field field;
        uint32_t got[64] = {0};
        field_init(&field, kinds[k], 40);
        for (uint32_t i = 0; i < 40; i++) {
            field.pool->targets[i].max_in_flight = 1;
            atomic_store(&field.pool->targets[i].load->in_flight, i < 38 ? 1 : 0);
        }
        pool_build(field.pool, kinds[k]);
        count_overflow(&field, NULL, 0, 4000, got);
        ck_assert_uint_eq(got[38] + got[39], 4000);
        ck_assert_msg(got[38] > 1200 && got[39] > 1200, "kind %u: %u and %u", kinds[k], got[38],
                      got[39]);
        field_fini(&field);
    }
}
END_TEST

UNIT_TESTS("pool", who_stands_by_is_asked_when_others_fail_only,
           what_overflows_goes_to_the_next_group_by_weight,
           a_retry_reaches_the_next_group_by_weight, the_last_places_are_shared_by_weight,
           who_stands_by_helps_when_others_are_full, a_pick_counts_as_in_flight_until_released,
           a_retry_goes_elsewhere_while_there_is_an_elsewhere,
           more_tries_than_are_looked_at_do_no_harm, limits_hold_exactly,
           a_tried_one_with_room_beats_a_refusal, refusals_say_why,
           one_ready_and_down_among_unresolved_is_no_server, fail_open_keeps_the_limits,
           fail_open_prefers_the_usable, workers_share_load_and_limits,
           a_new_schedule_gives_each_worker_its_start, the_last_reference_lets_go_of_the_servers,
           candidates_are_those_that_are_picked)
