/*
 * exchange_retry - a try at a server that failed, and whether there is another one.
 *
 *     no connection, lost, too late, a status to be tried again
 *         --retry_take says no---> the failure is answered; an answer goes to the client as it is
 *         --yes--> pick another server --the same again, for there is no other--> rest --> pick
 *
 * Threads: worker.
 */
#include "lbd/balance/peak_ewma.h"
#include "lbd/proxy/exchange.h"

static struct counters_pool *pool_counters(const struct exchange *x)
{
    return counters_of_pool(x->proxy->counters, x->pool->id);
}

void exchange_note_latency(const struct exchange *x, uint64_t took_us)
{
    if (LB_UNLIKELY(x->pool->balancer.kind == BALANCER_PEAK_EWMA)) {
        peak_ewma_note(&x->server->load, took_us, loop_now_us(x->proxy->loop));
    }
}

static void count_error(struct exchange *x, enum close_reason reason)
{
    if (upstream_conn_is_ours(reason)) {
        return; /* ours, not the server's */
    }
    enum counters_error error = counters_error_of(reason);
    if (error != COUNTERS_ERROR_COUNT) {
        counter_add(&pool_counters(x)->errors[error], 1);
    }
    counter_add(&counters_of_server(x->proxy->counters, x->server->id)->errors, 1);
}

/* Failing soon is not answering soon. */
static void note_failure(const struct exchange *x, enum close_reason reason)
{
    if (!upstream_conn_is_ours(reason)) {
        exchange_note_latency(x, PEAK_EWMA_FAILURE_US);
        pool_note_failure(x->pool, x->server);
    }
}

void exchange_server_failed(struct exchange *x, enum close_reason reason)
{
    count_error(x, reason);
    note_failure(x, reason);
    exchange_fail(x, reason);
}

static bool may_try_again(struct exchange *x, enum retry_failure failure)
{
    const struct retry_facts facts = {
        .safe_method = method_is_retry_safe((enum method)x->head->request.method),
        .body_gone = x->body_begun && !x->has_whole_body && x->kept_body.ptr == NULL,
        .answer_began = x->head_sent,
        .tries = x->tries,
        .is_counted = failure == RETRY_STATUS && x->tries > 1, /* the server is not released yet */
    };
    return upstream_may_retry(x->proxy->upstream, x->pool, &facts, failure);
}

static void try_again(struct exchange *x)
{
    x->first_byte_us = 0;
    x->request_broken = false;
    counter_add(&pool_counters(x)->retries, 1);
    exchange_run(x, EXCHANGE_PICK);
}

void exchange_try_failed(struct exchange *x, enum close_reason reason, enum retry_failure failure)
{
    count_error(x, reason);
    if (failure != RETRY_REUSED_DIED && failure != RETRY_REFUSED) {
        note_failure(x, reason);
    }
    loop_timer_stop(&x->timer);
    exchange_trace_try(x, reason, 0);
    exchange_release_server(x);
    x->failure = (uint8_t)reason;
    /* overload: no other server can be reached either */
    if (upstream_conn_is_ours(reason) || !may_try_again(x, failure)) {
        exchange_fail(x, reason);
        return;
    }
    if (failure == RETRY_REUSED_DIED && x->tried_count > 0) {
        x->tried_count--; /* an old connection says little of the server: it may be tried again,
                             afresh */
        x->fresh = true;
    }
    if (failure == RETRY_REFUSED && x->reused) {
        x->fresh = true; /* GOAWAY: other connections of its age may be about to end, too */
        x->rested = true;
    }
    try_again(x);
}

/* Nobody else may be asked, and who answered is not asked again: a failure in place of its answer
 * would say less. */
static bool has_no_other(const struct exchange *x)
{
    return x->pool->sticky != NULL && x->pool->sticky->fails && x->belongs_to != 0;
}

bool exchange_try_answered(struct exchange *x, uint16_t status)
{
    struct stream *up = x->up;
    struct stream_piece piece;
    if (has_no_other(x) || !may_try_again(x, RETRY_STATUS)) {
        return false;
    }
    loop_timer_stop(&x->timer);
    exchange_trace_try(x, CLOSE_OK, status);
    if (x->request_done && up->ops->pull(up, &piece) == STREAM_LAST) {
        exchange_finish_server(x);
    } else {
        exchange_reset_stream(x, CLOSE_OK);
        exchange_release_server(x);
    }
    x->failure = CLOSE_OK; /* when no server is left, that is the reason */
    try_again(x);
    return true;
}

/* -- before the same server once more -- */

static void on_rested(struct loop_timer *timer)
{
    exchange_run(container_of(timer, struct exchange, timer), EXCHANGE_PICK);
}

bool exchange_rests(struct exchange *x, uint32_t member)
{
    uint32_t most_ms = retry_backoff_ms(&x->pool->retry, x->tries);
    bool is_same = false;
    for (uint32_t i = 0; i < x->tried_count; i++) {
        is_same = is_same || x->tried[i] == member;
    }
    if (!is_same || most_ms == 0 || x->rested) {
        x->rested = false;
        return false;
    }
    pool_release(x->pool->members[member].server);
    x->rested = true;
    loop_timer_set(x->proxy->loop, &x->timer,
                   1 + random_below(&x->proxy->upstream->random, most_ms), on_rested);
    return true;
}

/* -- retry.per_try_timeout -- */

static void on_late(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);
    if (x->up != NULL) {
        if (!x->request_done && !x->request_broken && !x->has_whole_body) {
            exchange_watch_try(x); /* it is the client that the server waits for */
            return;
        }
        exchange_reset_stream(x, CLOSE_TRY_TIMEOUT);
        exchange_try_failed(x, CLOSE_TRY_TIMEOUT, RETRY_TIMEOUT);
        return;
    }
    if (x->waiter.opening.conn != NULL) {
        server_note_connect(x->server, false);
    }
    upstream_stream_cancel(x->proxy->upstream, &x->waiter);
    exchange_try_failed(x, CLOSE_TRY_TIMEOUT, RETRY_LATE);
}

void exchange_watch_try(struct exchange *x)
{
    loop_timer_set(x->proxy->loop, &x->timer, x->pool->retry.per_try_ms, on_late);
}
