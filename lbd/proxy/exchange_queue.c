/*
 * exchange_queue - a request waits for a place at the servers of its pool (upstream/queue).
 *
 * What is new meanwhile counts: when its turn comes its pool is the one that the newest plan has,
 * so a server that was added takes it. Its deadline is pools.queue.timeout.
 *
 * Threads: worker.
 */
#include "lbd/proxy/exchange.h"

static_assert((int)CONF_PRIORITY_LOW == (int)QUEUE_CLASSES - 1, "a class for each word");

static struct counters_pool *pool_counters(const struct exchange *x)
{
    return counters_of_pool(x->proxy->counters, x->pool->id);
}

void exchange_queue_leave(struct exchange *x)
{
    if (x->queued.queue != NULL) {
        queue_leave(&x->queued, &x->proxy->upstream->bell);
        counter_add(&pool_counters(x)->queue_left, 1);
    }
}

/* Its pool as the newest snapshot has it; what else the request came with stays. One that has been
 * at a server, or belongs to one, keeps its pool: those are members of it; so does a call, which
 * may outlive many of them. */
static void adopt(struct exchange *x)
{
    struct lease *lease = x->proxy->lease;
    struct lease *before = x->pool_lease != NULL ? x->pool_lease : x->lease;
    if (LB_LIKELY(lease == before) || x->tries != 0 || x->belongs_to != 0 || x->is_call) {
        return;
    }
    const struct pool *newest = queue_newest(x->queued.queue, &x->proxy->upstream->bell, lease);
    if (newest == NULL) {
        return;
    }
    lease_hold(lease);
    if (x->pool_lease != NULL) {
        lease_drop(x->pool_lease);
    }
    x->pool_lease = lease;
    x->pool = newest;
}

static enum queue_try on_turn(struct queue_waiter *waiter)
{
    struct exchange *x = container_of(waiter, struct exchange, queued);
    enum close_reason reason;
    adopt(x);
    /* as full as its servers; the end of a request rings */
    if (x->tries == 0 && !circuit_admits(&x->pool->circuit, NULL, x->pool->id, CIRCUIT_REQUESTS)) {
        return QUEUE_NOT_YET;
    }
    uint32_t member = exchange_pick_member(x, &reason);
    if (member == BALANCER_NONE && reason == CLOSE_SERVER_LIMIT) {
        return x->tried_count != 0 ? QUEUE_NOT_THIS : QUEUE_NOT_YET;
    }
    loop_timer_stop(&x->timer);
    exchange_queue_leave(x);
    histogram_note_us(&pool_counters(x)->queue_duration,
                      loop_now_us(x->proxy->loop) - x->queued_us);
    if (exchange_take_member(x, member, reason) == EXCHANGE_GO_ON) {
        exchange_run(x, EXCHANGE_CONNECT);
    }
    return QUEUE_LET_IN;
}

static void fail(struct exchange *x, enum close_reason reason)
{
    exchange_fail(x, x->failure != CLOSE_OK ? (enum close_reason)x->failure : reason);
}

static void on_late(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);
    exchange_queue_leave(x);
    counter_add(&pool_counters(x)->queue_timeouts, 1);
    fail(x, CLOSE_QUEUE_TIMEOUT);
}

enum exchange_verdict exchange_queue(struct exchange *x)
{
    const struct pool *pool = x->pool;
    x->queued_us = loop_now_us(x->proxy->loop);
    if (x->queued.since_us == 0) {
        x->queued.since_us = x->queued_us;
    }
    x->queued.class = (uint8_t)x->route->queue_class;
    x->queued.fn = on_turn;
    if (!queue_enter(pool->queue, &x->proxy->upstream->bell, &x->queued, pool->queue_max)) {
        counter_add(&pool_counters(x)->queue_full, 1);
        fail(x, CLOSE_QUEUE_FULL);
        return EXCHANGE_WAIT;
    }
    counter_add(&pool_counters(x)->queue_entered, 1);
    loop_timer_set(x->proxy->loop, &x->timer, pool->queue_ms, on_late);
    return EXCHANGE_WAIT;
}
