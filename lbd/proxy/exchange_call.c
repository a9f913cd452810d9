/*
 * exchange_call - what may last: gRPC calls, and WebSocket over HTTP/2 (exchange_websocket.c).
 *
 * Such an exchange may be silent for as long as a tunnel may (timeouts.tunnel_idle), in both
 * directions together; one lazy timer sees to that and to the deadline that a gRPC client set.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/http/grpc.h"
#include "lbd/proxy/cause.h"
#include "lbd/proxy/exchange.h"
#include "lbd/stats/access_kept.h"

/* -- time -- */

static void on_timer(struct loop_timer *timer);

static void set_timer(struct exchange *x)
{
    struct exchange_call *call = &x->call;
    uint64_t delay_ms = call->silent_ms;
    if (x->is_grpc && call->deadline_us != 0) {
        uint64_t now = loop_now_us(x->proxy->loop);
        uint64_t left_ms = call->deadline_us > now ? (call->deadline_us - now + 999) / 1000 : 0;
        delay_ms = left_ms < delay_ms ? left_ms : delay_ms;
    }
    call->moved = x->request_bytes + x->response_bytes;
    loop_timer_set(x->proxy->loop, &call->timer, delay_ms, on_timer);
}

static void on_timer(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, call.timer);
    struct exchange_call *call = &x->call;
    if (x->is_grpc && call->deadline_us != 0 && loop_now_us(x->proxy->loop) >= call->deadline_us) {
        exchange_give_up(x, CLOSE_CALL_DEADLINE);
    } else if (call->moved != x->request_bytes + x->response_bytes) {
        set_timer(x);
    } else {
        exchange_give_up(x, x->is_tunnel ? CLOSE_TUNNEL_TIMEOUT : CLOSE_SERVER_IDLE_TIMEOUT);
    }
}

void exchange_call_begin(struct exchange *x)
{
    memset(&x->call, 0, sizeof(x->call));
    x->is_call = true;
    x->call.silent_ms = x->plan->timeouts.tunnel_idle_ms;
    if (x->is_grpc) {
        uint64_t timeout_us = grpc_timeout_us(&x->head->request);
        x->call.deadline_us = timeout_us != 0 ? x->start_us + timeout_us : 0;
        x->down->idle_ms = UINT32_MAX;
    } else {
        exchange_websocket_ask(x);
    }
    set_timer(x);
}

void exchange_call_watch(struct exchange *x)
{
    x->call.timer = (struct loop_timer){0};
    set_timer(x);
}

void exchange_call_end(struct exchange *x)
{
    loop_timer_stop(&x->call.timer);
    if (x->call.kept != NULL) {
        struct cause cause;
        if (cause_of_tunnel(&cause, (enum close_reason)x->reason, x->session->front->listener->name,
                            x->call.silent_ms)) {
            access_kept_blame(x->call.kept, slice_from(cause.pointer), slice_from(cause.value));
        }
        access_kept_finish(x->call.kept, x->proxy->access_log, (enum close_reason)x->reason,
                           x->request_bytes, x->response_bytes, loop_now_us(x->proxy->loop));
    }
    if (x->is_tunnel) {
        filter_hold_end(x->call.hold);
        x->proxy->tunnel_count--;
    }
}
