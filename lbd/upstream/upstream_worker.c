/* upstream_worker - see upstream_worker.h. */
#include "lbd/upstream/upstream_worker.h"

#include <assert.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/upstream/shared.h"
#include "lbd/upstream/upstream_conn.h"

void upstream_worker_init(struct upstream_worker *upstream, struct loop *loop,
                          struct counters_worker *counters, uint32_t worker, uint32_t workers)
{
    *upstream = (struct upstream_worker){0};
    upstream->loop = loop;
    upstream->counters = counters;
    upstream->worker = worker;
    upstream->workers = workers;
    upstream->idle_max = UINT32_MAX;
    random_seed(&upstream->random);
    slab_init(&upstream->conns, sizeof(struct upstream_conn), 64U * 1024);
    list_init(&upstream->with_idle);
    list_init(&upstream->lingering);
    list_init(&upstream->with_shared);
    list_init(&upstream->with_logins);
    queue_bell_init(&upstream->bell, loop, worker);
    slab_init(&upstream->shared, SHARED_BYTES, 16U * 1024);
    for (size_t i = 0; i < UPSTREAM_BOUND_LISTS; i++) {
        list_init(&upstream->bound[i]);
    }
    loop_slot_set(loop, LOOP_SLOT_UPSTREAM, upstream);
}

void upstream_worker_fini(struct upstream_worker *upstream)
{
    assert(list_is_empty(&upstream->with_idle));
    assert(list_is_empty(&upstream->lingering));
    assert(upstream->bound_count == 0);
    assert(list_is_empty(&upstream->with_shared));
    slab_fini(&upstream->shared);
    queue_bell_fini(&upstream->bell);
    loop_timer_stop(&upstream->trim);
    loop_timer_stop(&upstream->login_look);
    loop_ready_remove(&upstream->login_turn);
    struct list_node *node = NULL;
    while ((node = list_first(&upstream->with_logins)) != NULL) {
        struct server_worker *queue = list_entry(node, struct server_worker, with_logins);
        assert(list_is_empty(&queue->logging_in));
        list_remove(node);
        server_unref(queue->login_server);
    }
    slab_fini(&upstream->conns);
    for (size_t i = 0; i < UPSTREAM_CHUNKS_MAX; i++) {
        free(upstream->pools[i]);
        free(upstream->servers[i]);
    }
}

void upstream_make_pools(struct upstream_worker *upstream, uint32_t chunk)
{
    upstream->pools[chunk] = mem_zero(UPSTREAM_CHUNK_LEN, sizeof(struct pool_worker));
}

struct server_worker *upstream_server(struct upstream_worker *upstream, uint32_t id)
{
    uint32_t chunk = id >> UPSTREAM_CHUNK_SHIFT;
    assert(chunk < UPSTREAM_CHUNKS_MAX);
    if (LB_UNLIKELY(upstream->servers[chunk] == NULL)) {
        struct server_worker *servers = mem_zero(UPSTREAM_CHUNK_LEN, sizeof(struct server_worker));
        for (uint32_t i = 0; i < UPSTREAM_CHUNK_LEN; i++) {
            list_init(&servers[i].idle);
            list_init(&servers[i].shared);
            list_init(&servers[i].logging_in);
        }
        upstream->servers[chunk] = servers;
    }
    return &upstream->servers[chunk][id % UPSTREAM_CHUNK_LEN];
}

bool upstream_may_retry(struct upstream_worker *upstream, const struct pool *pool,
                        const struct retry_facts *facts, enum retry_failure failure)
{
    uint32_t id = pool->id;
    if (!retry_is_allowed(&pool->retry, facts, failure) ||
        !circuit_admits_beside(&pool->circuit, upstream->counters, id, CIRCUIT_RETRIES,
                               facts->is_counted ? 1 : 0)) {
        return false;
    }
    if (!retry_take(&upstream_pool(upstream, id)->budget, &pool->retry, loop_now_us(upstream->loop),
                    upstream->workers)) {
        counter_add(
            &counters_of_pool(upstream->counters, id)->limited[COUNTERS_LIMITED_RETRY_BUDGET], 1);
        return false;
    }
    return true;
}
