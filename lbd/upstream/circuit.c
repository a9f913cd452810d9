#include "lbd/upstream/circuit.h"

static_assert((int)CIRCUIT_KINDS == (int)COUNTERS_LIMITED_RETRY_BUDGET, "a counter for each");

/* Ends are read before beginnings: never less than there are. */
static uint64_t gauge(const uint64_t *more, const uint64_t *less)
{
    uint64_t down = counter_get(less);
    uint64_t up = counter_get(more);
    return up > down ? up - down : 0;
}

/* On one worker. */
static uint64_t used_of(const struct counters_pool *pool, enum circuit_kind kind)
{
    uint64_t idle;
    uint64_t all;
    switch (kind) {
    case CIRCUIT_REQUESTS:
        return gauge(&pool->requests_started, &pool->requests_finished);
    case CIRCUIT_CONNECTIONS:
        idle = gauge(&pool->idle_added, &pool->idle_removed);
        all = gauge(&pool->connections_opened, &pool->connections_closed);
        return all > idle ? all - idle : 0;
    case CIRCUIT_PENDING:
        return gauge(&pool->openings_begun, &pool->openings_ended);
    case CIRCUIT_RETRIES:
        return gauge(&pool->retries_begun, &pool->retries_ended);
    case CIRCUIT_KINDS:
        break;
    }
    return 0;
}

uint64_t circuit_used(uint32_t pool_id, enum circuit_kind kind)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < counters_worker_count(); i++) {
        used += used_of(counters_of_pool(counters_worker(i), pool_id), kind);
    }
    return used;
}

bool circuit_has_room(const struct circuit *circuit, struct counters_worker *own, uint32_t pool_id,
                      enum circuit_kind kind, uint32_t ending)
{
    if (circuit_used(pool_id, kind) < (uint64_t)circuit->max[kind] + ending) {
        return true;
    }
    if (own != NULL) {
        counter_add(&counters_of_pool(own, pool_id)->limited[kind], 1);
    }
    return false;
}
