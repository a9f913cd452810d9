/* upstream_worker - see upstream_worker.h. */
#include "lbd/upstream/upstream_worker.h"

#include <assert.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/upstream/upstream_conn.h"

#define CHUNK_LEN  (1U << UPSTREAM_CHUNK_SHIFT)
#define CHUNK_MASK (CHUNK_LEN - 1)

void upstream_worker_init(struct upstream_worker *upstream, struct loop *loop,
                          struct counters_worker *counters, uint32_t worker, uint32_t workers)
{
    *upstream = (struct upstream_worker){0};
    upstream->loop = loop;
    upstream->counters = counters;
    upstream->worker = worker;
    upstream->workers = workers;
    random_seed(&upstream->random);
    slab_init(&upstream->conns, sizeof(struct upstream_conn), 64U * 1024);
    list_init(&upstream->with_idle);
    list_init(&upstream->lingering);
    loop_slot_set(loop, LOOP_SLOT_UPSTREAM, upstream);
}

void upstream_worker_fini(struct upstream_worker *upstream)
{
    assert(list_is_empty(&upstream->with_idle));
    assert(list_is_empty(&upstream->lingering));
    loop_timer_stop(&upstream->trim);
    slab_fini(&upstream->conns);
    for (size_t i = 0; i < UPSTREAM_CHUNKS_MAX; i++) {
        free(upstream->pools[i]);
        free(upstream->servers[i]);
    }
}

struct pool_worker *upstream_pool(struct upstream_worker *upstream, uint32_t id)
{
    uint32_t chunk = id >> UPSTREAM_CHUNK_SHIFT;
    assert(chunk < UPSTREAM_CHUNKS_MAX);
    if (LB_UNLIKELY(upstream->pools[chunk] == NULL)) {
        upstream->pools[chunk] = mem_zero(CHUNK_LEN, sizeof(struct pool_worker));
    }
    return &upstream->pools[chunk][id & CHUNK_MASK];
}

struct server_worker *upstream_server(struct upstream_worker *upstream, uint32_t id)
{
    uint32_t chunk = id >> UPSTREAM_CHUNK_SHIFT;
    assert(chunk < UPSTREAM_CHUNKS_MAX);
    if (LB_UNLIKELY(upstream->servers[chunk] == NULL)) {
        struct server_worker *servers = mem_zero(CHUNK_LEN, sizeof(struct server_worker));
        for (uint32_t i = 0; i < CHUNK_LEN; i++) {
            list_init(&servers[i].idle);
        }
        upstream->servers[chunk] = servers;
    }
    return &upstream->servers[chunk][id & CHUNK_MASK];
}
