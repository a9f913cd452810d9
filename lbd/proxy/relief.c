/* relief - see relief.h. */
#include "lbd/proxy/relief.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "lbd/base/mem.h"
#include "lbd/http/h2_conn.h"
#include "lbd/http/http_conn.h"
#include "lbd/net/flow.h"
#include "lbd/proxy/door.h"
#include "lbd/proxy/exchange.h"
#include "lbd/proxy/session.h"
#include "lbd/upstream/idle.h"
#include "lbd/upstream/shared.h"

#define SHEDS_NONE       ((uint8_t)CONF_PRIORITY_LOW + 1U)
#define SERVER_CLOSES    128U  /* in a round */
#define FIRST_REQUEST_MS 1000U /* one that has not asked yet is about to */

struct found {
    struct session *session; /* NULL: it went meanwhile */
    uint64_t idle_ms;
};

/* What a sweep has found so far. */
struct relief_batch {
    struct found idle[RELIEF_BATCH]; /* a heap: the one that is idle shortest is the first */
    uint32_t count;
    uint32_t lingering; /* they go already */
    struct session *holder;
    uint64_t holder_bytes;
};

void relief_init(struct proxy_worker *proxy, const struct pressure_limits *limits, uint32_t workers)
{
    struct relief *relief = &proxy->relief;
    *relief = (struct relief){.sheds = SHEDS_NONE, .limits = *limits};
    relief->memory_limit = limits->memory_bytes / workers;
}

/* -- who is idle, and who holds how much -- */

static struct http_conn *http_of(const struct session *session)
{
    const struct conn *conn = &session->conn;
    bool is_other = (conn->flags & (SESSION_TUNNEL | SESSION_OPENS | SESSION_LINGERS)) != 0;
    return is_other || door_has(conn) ? NULL : http_conn_on(conn);
}

/* Nothing is under way, and the next request may as well come over another connection. */
static bool is_idle(const struct session *session, uint64_t *idle_ms)
{
    const struct conn *conn = &session->conn;
    const struct plan *plan = session->front->plan;
    struct http_conn *http = http_of(session);
    const uint32_t busy = SESSION_TUNNEL | SESSION_OPENS | SESSION_LINGERS | CONN_READ_READY;
    if (plan->protocol != CONF_PROTOCOL_HTTP || (conn->flags & busy) != 0 || door_has(conn) ||
        conn_is_blocked(conn) ||
        (http != NULL &&
         (http->version != STREAM_HTTP2 || h2_conn_streams(h2_conn_of(http)) != 0))) {
        return false;
    }
    uint64_t whole = conn->count > 0 ? plan->timeouts.keep_alive_ms : plan->timeouts.header_ms;
    uint64_t left = loop_timer_left_ms(conn->loop, &conn->timer);
    *idle_ms = whole > left ? whole - left : 0;
    return conn->count > 0 || *idle_ms >= FIRST_REQUEST_MS;
}

static uint64_t held_by(const struct session *session)
{
    struct http_conn *http = http_of(session);
    uint64_t held = flow_len(&session->conn.in) + flow_len(&session->conn.out);
    if (http == NULL) {
        return held;
    }
    if (http->version == STREAM_HTTP2) {
        held += h2_conn_held(h2_conn_of(http));
    }
    struct list_node *node = NULL;
    list_for_each (node, &http->exchanges) {
        const struct exchange *x = list_entry(node, struct exchange, link);
        held += x->head != NULL ? flow_len(&x->head->body) : 0;
        held += x->up != NULL ? x->up->ops->waiting(x->up) : 0;
    }
    return held;
}

/* -- the batch -- */

static void sift_down(struct found *heap, uint32_t count, struct found item)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && heap[child + 1].idle_ms < heap[child].idle_ms) {
            child++;
        }
        if (child >= count || heap[child].idle_ms >= item.idle_ms) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

static void note_idle(struct relief_batch *batch, struct session *session, uint64_t idle_ms)
{
    struct found item = {.session = session, .idle_ms = idle_ms};
    if (batch->count == RELIEF_BATCH) {
        if (idle_ms > batch->idle[0].idle_ms) {
            sift_down(batch->idle, batch->count, item);
        }
        return;
    }
    uint32_t at = batch->count++;
    while (at > 0 && batch->idle[(at - 1) / 2].idle_ms > idle_ms) {
        batch->idle[at] = batch->idle[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    batch->idle[at] = item;
}

void relief_leave_session(struct relief *relief, const struct session *session)
{
    struct relief_batch *batch = relief->batch;
    if (LB_LIKELY(batch == NULL)) {
        return;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->idle[i].session == session) {
            batch->idle[i].session = NULL;
        }
    }
    if (batch->holder == session) {
        batch->holder = NULL;
    }
}

/* -- a round -- */

static bool wants_idle(const struct relief *relief)
{
    return relief->stages[PRESSURE_CONNECTIONS] >= PRESSURE_CONNECTIONS_HIGH ||
           relief->stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_HIGH;
}

static bool wants_holder(const struct relief *relief)
{
    return relief->stages[PRESSURE_BUFFERS] >= PRESSURE_BUFFERS_CRITICAL ||
           relief->stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_CRITICAL;
}

static bool on_visit(struct sweep *sweep, struct session *session)
{
    struct relief_batch *batch = sweep->proxy->relief.batch;
    uint64_t idle_ms = 0;
    if ((session->conn.flags & SESSION_LINGERS) != 0) {
        batch->lingering++;
        return true;
    }
    if (is_idle(session, &idle_ms)) {
        note_idle(batch, session, idle_ms);
        return true;
    }
    uint64_t held = held_by(session);
    if (held > batch->holder_bytes) {
        batch->holder = session;
        batch->holder_bytes = held;
    }
    return true;
}

/* How many are to go, beside those that do already. */
static uint32_t wanted(const struct proxy_worker *proxy, uint32_t lingering)
{
    const struct relief *relief = &proxy->relief;
    uint64_t open = atomic_load_explicit(&proxy->open_connections, memory_order_relaxed);
    uint64_t most = 0;
    if (relief->stages[PRESSURE_CONNECTIONS] >= PRESSURE_CONNECTIONS_HIGH) {
        uint64_t goal = pressure_goal(PRESSURE_CONNECTIONS, proxy->max_connections);
        most = open >= goal ? open - goal + 1 : 0; /* below it, or the stage stays */
    }
    if (relief->stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_HIGH) {
        uint64_t goal = pressure_goal(PRESSURE_MEMORY, relief->memory_limit);
        uint64_t used = relief->memory_bytes;
        uint64_t share =
            used > goal ? open * (used - goal) / used + 1 : 1; /* if all cost the same */
        most = share > most ? share : most;
    }
    return most > lingering ? (uint32_t)(most - lingering) : 0;
}

static int by_idle(const void *one, const void *other)
{
    uint64_t a = ((const struct found *)one)->idle_ms;
    uint64_t b = ((const struct found *)other)->idle_ms;
    return a < b ? 1 : a > b ? -1 : 0; /* longest first */
}

static void count(struct proxy_worker *proxy, enum counters_relief what, uint64_t more)
{
    counter_add(&proxy->counters->loop.relief[what], more);
}

static void close_idle(struct proxy_worker *proxy, struct relief_batch *batch)
{
    uint32_t left = wanted(proxy, batch->lingering);
    qsort(batch->idle, batch->count, sizeof(batch->idle[0]), by_idle);
    for (uint32_t i = 0; i < batch->count && left > 0; i++) {
        struct session *session = batch->idle[i].session;
        uint64_t idle_ms = 0;
        if (session == NULL || !is_idle(session, &idle_ms)) {
            continue; /* it has a request now */
        }
        count(proxy, COUNTERS_RELIEF_IDLE_CLIENT, 1);
        counter_add(&session->front->counters->endings[CLOSE_IDLE_EVICTED], 1);
        session->conn.count += session->conn.count == 0 ? 1 : 0; /* it is counted */
        session_abort(session, CLOSE_IDLE_EVICTED, true);
        left--;
    }
}

/* Two rounds in a row, and it has not become less: what it holds is not on its way. */
static void reset_holder(struct proxy_worker *proxy, struct session *holder, uint64_t bytes)
{
    struct relief *relief = &proxy->relief;
    bool is_much = holder != NULL && bytes >= RELIEF_HOLDER_MIN;
    if (is_much && holder->id == relief->holder_id && bytes >= relief->holder_bytes) {
        relief->holder_id = 0;
        count(proxy, COUNTERS_RELIEF_HOLDER, 1);
        session_abort(holder, CLOSE_BUFFER_HOLDER, false);
        return;
    }
    relief->holder_id = is_much ? holder->id : 0;
    relief->holder_bytes = bytes;
}

static void on_swept(struct sweep *sweep)
{
    struct proxy_worker *proxy = sweep->proxy;
    struct relief *relief = &proxy->relief;
    struct relief_batch *batch = relief->batch;
    if (proxy->draining) { /* that closes them, and perhaps is about to free what is ours */
        relief->batch = NULL;
        free(batch);
        return;
    }
    if (wants_idle(relief)) {
        close_idle(proxy, batch);
    }
    struct session *holder = batch->holder;
    uint64_t bytes = batch->holder_bytes;
    relief->batch = NULL;
    free(batch);
    if (wants_holder(relief)) {
        reset_holder(proxy, holder, bytes);
    } else {
        relief->holder_id = 0;
    }
}

static bool is_normal(const struct relief *relief)
{
    for (size_t i = 0; i < PRESSURE_KINDS; i++) {
        if (relief->stages[i] != 0) {
            return false;
        }
    }
    return true;
}

/* What its pass finds is looked at behind it, in relief_look. */
static void on_round(struct loop_timer *timer)
{
    struct proxy_worker *proxy = container_of(timer, struct proxy_worker, relief.round);
    struct relief *relief = &proxy->relief;
    if (is_normal(relief) || proxy->draining) {
        return;
    }
    loop_timer_set(proxy->loop, timer, RELIEF_ROUND_MS, on_round);
    if (relief->stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_HIGH) {
        count(proxy, COUNTERS_RELIEF_IDLE_SERVER,
              idle_close_oldest(proxy->upstream, SERVER_CLOSES) +
                  shared_drain_idle(proxy->upstream));
    }
    if (relief->batch == NULL && (wants_idle(relief) || wants_holder(relief))) {
        relief->batch = mem_zero(1, sizeof(*relief->batch));
        relief->sweep.visit = on_visit;
        relief->sweep.done = on_swept;
        sweep_start(&relief->sweep, proxy);
    }
}

/* -- a look -- */

static void set_flags(struct proxy_worker *proxy)
{
    struct relief *relief = &proxy->relief;
    const uint8_t *stages = relief->stages;
    struct net_worker *net = loop_slot(proxy->loop, LOOP_SLOT_NET);
    relief->closes = wants_idle(relief);
    relief->refuses = stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_FULL;
    relief->sheds =
        stages[PRESSURE_LAG] >= PRESSURE_LAG_SHEDDING ? (uint8_t)CONF_PRIORITY_LOW : SHEDS_NONE;
    net->is_lean = stages[PRESSURE_BUFFERS] >= PRESSURE_BUFFERS_SHORT ||
                   stages[PRESSURE_MEMORY] >= PRESSURE_MEMORY_HIGH;
}

static void go_to(struct proxy_worker *proxy, enum pressure_kind kind, uint8_t stage, uint64_t used,
                  uint64_t limit)
{
    struct relief *relief = &proxy->relief;
    struct counters_loop *counters = &proxy->counters->loop;
    uint64_t *const gauges[PRESSURE_KINDS] = {&counters->stage_connections,
                                              &counters->stage_buffers, &counters->stage_memory,
                                              &counters->stage_lag};
    relief->stages[kind] = stage;
    counter_set(gauges[kind], stage);
    set_flags(proxy);
    if (stage != 0 && !proxy->draining) {
        loop_timer_set(proxy->loop, &relief->round, 0, on_round);
    }
    if (relief->on_stage != NULL) {
        relief->on_stage(proxy, kind, used, limit);
    }
}

void relief_look(struct proxy_worker *proxy, uint64_t memory_bytes, uint64_t busy_us)
{
    struct relief *relief = &proxy->relief;
    const struct net_worker *net = loop_slot(proxy->loop, LOOP_SLOT_NET);
    const uint64_t lag_us = (uint64_t)relief->limits.shed_lag_ms * 1000;
    const uint64_t used[PRESSURE_KINDS] = {
        [PRESSURE_CONNECTIONS] =
            atomic_load_explicit(&proxy->open_connections, memory_order_relaxed),
        /* full, whatever it is: somebody needed more than was left */
        [PRESSURE_BUFFERS] = net->denied != relief->denied ? net->held_max : net->held_bytes,
        [PRESSURE_MEMORY] = memory_bytes,
        [PRESSURE_LAG] = busy_us - relief->busy_us, /* of the pass before this one */
    };
    const uint64_t limits[PRESSURE_KINDS] = {
        [PRESSURE_CONNECTIONS] = proxy->max_connections,
        [PRESSURE_BUFFERS] = net->held_max != SIZE_MAX ? net->held_max : 0,
        [PRESSURE_MEMORY] = relief->memory_limit,
        [PRESSURE_LAG] = lag_us,
    };
    relief->memory_bytes = memory_bytes;
    relief->busy_us = busy_us;
    relief->denied = net->denied;
    for (unsigned i = 0; i < PRESSURE_KINDS; i++) {
        enum pressure_kind kind = (enum pressure_kind)i;
        uint8_t before = relief->stages[kind];
        uint8_t stage =
            kind == PRESSURE_LAG
                ? pressure_lag_note(&relief->lag, used[kind], lag_us, loop_now_us(proxy->loop))
                : pressure_stage(kind, before, used[kind], limits[kind]);
        if (LB_UNLIKELY(stage != before)) {
            go_to(proxy, kind, stage, used[kind], limits[kind]);
        }
    }
}

void relief_fini(struct proxy_worker *proxy)
{
    struct relief *relief = &proxy->relief;
    loop_timer_stop(&relief->round);
    if (relief->batch != NULL) {
        loop_ready_remove(&relief->sweep.ready);
        list_remove(&relief->sweep.link);
        free(relief->batch);
        relief->batch = NULL;
    }
}
