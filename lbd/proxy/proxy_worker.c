/* proxy_worker - see proxy_worker.h. */
#include "lbd/proxy/proxy_worker.h"

#include <assert.h>

#include "lbd/base/random.h"
#include "lbd/mail/imap_track.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/mail_session.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/tcp_session.h"
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
    relief_init(proxy, &(struct pressure_limits){.max_connections = max_connections}, 1);
    list_init(&proxy->fronts);
    list_init(&proxy->sweeps);
    door_queue_init(&proxy->door, loop);
    slab_init(&proxy->sessions, sizeof(struct session), 64U * 1024);
    slab_init(&proxy->exchanges, sizeof(struct exchange), 64U * 1024);
    slab_init(&proxy->exchange_tunnels, EXCHANGE_TUNNEL_BYTES, 64U * 1024);
    slab_init(&proxy->exchange_heads, EXCHANGE_HEAD_BYTES, 64U * 1024);
    slab_init(&proxy->tcp_sessions, sizeof(struct tcp_session), 64U * 1024);
    slab_init(&proxy->mail_sessions, sizeof(struct mail_session), 64U * 1024);
    slab_init(&proxy->tunnels, sizeof(struct tunnel), 64U * 1024);
    slab_init(&proxy->imap_tracks, sizeof(struct imap_track_work), 64U * 1024);
    pattern_work_init(&proxy->patterns);
    mirror_worker_init(&proxy->mirrors);
    random_bytes(&proxy->request_id_base, sizeof(proxy->request_id_base));
    loop_slot_set(loop, LOOP_SLOT_PROXY, proxy);
}

void proxy_worker_fini(struct proxy_worker *proxy)
{
    assert(list_is_empty(&proxy->fronts));
    if (list_is_linked(&proxy->goodbyes.link)) {
        proxy->goodbyes_again = false;
        sweep_stop(&proxy->goodbyes);
    }
    relief_fini(proxy);
    assert(list_is_empty(&proxy->sweeps));
    mirror_worker_fini(&proxy->mirrors);
    loop_timer_stop(&proxy->accept_again);
    door_queue_fini(&proxy->door);
    recent_fini(&proxy->recent);
    slab_fini(&proxy->sessions);
    slab_fini(&proxy->exchanges);
    slab_fini(&proxy->exchange_heads);
    slab_fini(&proxy->exchange_tunnels);
    slab_fini(&proxy->tcp_sessions);
    slab_fini(&proxy->mail_sessions);
    slab_fini(&proxy->tunnels);
    slab_fini(&proxy->imap_tracks);
    pattern_work_fini(&proxy->patterns);
}
