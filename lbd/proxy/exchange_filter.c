/*
 * exchange_filter - a request on its way through the policies of its listener and route.
 *
 * Threads: worker.
 */
#include "lbd/proxy/exchange.h"

static void on_resume(struct filter_run *run, enum filter_verdict verdict)
{
    struct exchange *x = run->owner;
    if (x->head_sent) {
        return; /* it was given up meanwhile, and its answer is still on its way */
    }
    if (verdict == FILTER_GO_ON) {
        exchange_run(x, EXCHANGE_ADMIT);
    } else {
        exchange_reply_filter(x, &run->answer);
    }
}

enum exchange_verdict exchange_filter(struct exchange *x)
{
    exchange_know_id(x);
    struct filter_run *run = arena_zero(&x->head->arena, sizeof(*run));
    *run = (struct filter_run){
        .chain = exchange_filters(x),
        .request = &x->head->request,
        .arena = &x->head->arena,
        .loop = x->proxy->loop,
        .counters = x->proxy->counters,
        .lease = x->lease,
        .client = exchange_client(x),
        .listener = slice_from(x->session->front->listener->name),
        .route = x->route != NULL ? x->route->name : SLICE_NONE,
        .request_id = x->request_id_used,
        .proto = exchange_proto(x),
        .host = exchange_host(x),
        .has_client_cert = exchange_peer(x) != NULL,
        .owner = x,
        .resume = on_resume,
    };
    x->head->filters = run;
    switch (filter_run_go(run)) {
    case FILTER_GO_ON:
        return EXCHANGE_GO_ON;
    case FILTER_WAIT:
        break;
    case FILTER_ANSWERED:
        exchange_reply_filter(x, &run->answer);
        break;
    }
    return EXCHANGE_WAIT;
}
