/* proxy_worker - see proxy_worker.h. */
#include "lbd/proxy/proxy_worker.h"

#include <assert.h>

#include "lbd/base/random.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/tunnel.h"

void proxy_worker_init(struct proxy_worker *proxy, struct loop *loop,
                       struct upstream_worker *upstream, struct access_log *access_log,
                       uint32_t worker, uint32_t max_connections)
{
    *proxy = (struct proxy_worker){0};
    proxy->loop = loop;
    proxy->upstream = upstream;
    proxy->counters = upstream->counters;
    proxy->access_log = access_log;
    proxy->worker = worker;
    proxy->max_connections = max_connections;
    list_init(&proxy->fronts);
    list_init(&proxy->sweeps);
    slab_init(&proxy->sessions, sizeof(struct session), 64U * 1024);
    slab_init(&proxy->exchanges, sizeof(struct exchange), 64U * 1024);
    slab_init(&proxy->exchange_heads, EXCHANGE_HEAD_BYTES, 64U * 1024);
    slab_init(&proxy->tunnels, sizeof(struct tunnel), 64U * 1024);
    random_bytes(&proxy->request_id_base, sizeof(proxy->request_id_base));
    loop_slot_set(loop, LOOP_SLOT_PROXY, proxy);
}

void proxy_worker_fini(struct proxy_worker *proxy)
{
    assert(list_is_empty(&proxy->fronts));
    assert(list_is_empty(&proxy->sweeps));
    loop_timer_stop(&proxy->accept_again);
    slab_fini(&proxy->sessions);
    slab_fini(&proxy->exchanges);
    slab_fini(&proxy->exchange_heads);
    slab_fini(&proxy->tunnels);
}
