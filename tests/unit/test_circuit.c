#include "lbd/upstream/circuit.h"
#include "tests/unit/unit.h"

START_TEST(a_limit_is_over_all_workers)
{
    counters_init(2);
    uint32_t id = counters_acquire(COUNTERS_POOL);
    struct counters_pool *one = counters_of_pool(counters_worker(0), id);
    struct counters_pool *two = counters_of_pool(counters_worker(1), id);
    const struct {
        enum circuit_kind kind;
        uint64_t *more[2];
        uint64_t *less[2];
    } kinds[] = {
        {CIRCUIT_REQUESTS,
         {&one->requests_started, &two->requests_started},
         {&one->requests_finished, &two->requests_finished}},
        {CIRCUIT_CONNECTIONS,
         {&one->connections_opened, &two->connections_opened},
         {&one->connections_closed, &two->connections_closed}},
        {CIRCUIT_PENDING,
         {&one->openings_begun, &two->openings_begun},
         {&one->openings_ended, &two->openings_ended}},
        {CIRCUIT_RETRIES,
         {&one->retries_begun, &two->retries_begun},
         {&one->retries_ended, &two->retries_ended}},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct circuit circuit = {.max = {0}};
        enum circuit_kind kind = kinds[i].kind;
        counter_add(kinds[i].more[0], 2);
        counter_add(kinds[i].more[1], 1);
        ck_assert(circuit_admits(&circuit, counters_worker(0), id, kind)); /* no limit */
        circuit.max[kind] = 4;
        ck_assert(circuit_admits(&circuit, counters_worker(0), id, kind));
        counter_add(kinds[i].more[1], 1);
        ck_assert(!circuit_admits(&circuit, counters_worker(0), id, kind));
        ck_assert_uint_eq(circuit_used(id, kind), 4);
        ck_assert_uint_eq(one->limited[kind], 1);
        counter_add(kinds[i].less[0], 1);
        ck_assert(circuit_admits(&circuit, counters_worker(0), id, kind));
        circuit.max[kind] = 1; /* less than there are */
        ck_assert(!circuit_admits(&circuit, counters_worker(1), id, kind));
        ck_assert_uint_eq(two->limited[kind], 1);
    }
    ck_assert_uint_eq(circuit_used(id, CIRCUIT_CONNECTIONS), 3);
    counter_add(&two->idle_added, 2);
    ck_assert_uint_eq(circuit_used(id, CIRCUIT_CONNECTIONS), 1);
    counter_add(&two->idle_removed, 1);
    ck_assert_uint_eq(circuit_used(id, CIRCUIT_CONNECTIONS), 2);
    counters_release(COUNTERS_POOL, id);
    counters_fini();
}
END_TEST

UNIT_TESTS("circuit", a_limit_is_over_all_workers)
