#include "lbd/proxy/mirror.h"

#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/url.h"
#include "lbd/proxy/balance_key.h"
#include "lbd/proxy/exchange.h"
#include "lbd/upstream/http_call.h"

enum { FIELDS_MAX = 65536, PERCENT = 100 };

/* A copy under way. */
struct flight {
    struct list_node link;
    struct proxy_worker *proxy;
    struct http_call *call;
    struct server *server; /* in flight there */
    struct lease *lease;
    uint32_t pool_id;
};

void mirror_worker_init(struct mirror_worker *worker)
{
    list_init(&worker->flights);
    worker->count = 0;
}

static struct counters_pool *counters_of(const struct proxy_worker *proxy, uint32_t pool_id)
{
    return counters_of_pool(proxy->counters, pool_id);
}

static void land(struct flight *flight)
{
    pool_release(flight->server);
    counter_add(&counters_of(flight->proxy, flight->pool_id)->requests_finished, 1);
    list_remove(&flight->link);
    flight->proxy->mirrors.count--;
    lease_drop(flight->lease);
    free(flight);
}

void mirror_worker_fini(struct mirror_worker *worker)
{
    while (!list_is_empty(&worker->flights)) {
        struct flight *flight = list_entry(list_first(&worker->flights), struct flight, link);
        http_call_cancel(flight->call);
        land(flight);
    }
}

static void on_answer(const struct http_call_answer *answer, void *arg)
{
    struct flight *flight = arg;
    if (answer->status_line == 0) { /* what it says is nobody's, so it need not be whole */
        counter_add(&counters_of(flight->proxy, flight->pool_id)->mirrors_failed, 1);
    }
    land(flight);
}

/* The lines of the head that go on, but for those that are the writer's. */
static void write_fields(const struct message *request, struct buf *out)
{
    const struct headers *headers = &request->headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *field = &headers->list[i];
        bool is_ours = (header_id_flags(field->id) & HEADER_FRAMING) != 0 ||
                       field->id == HEADER_HOST || field->id == HEADER_EXPECT;
        if (field->dropped == 0 && !is_ours) {
            (void)buf_printf(out, "%.*s: %.*s\r\n", SLICE_ARG(header_name(headers, field)),
                             SLICE_ARG(header_value(headers, field)));
        }
    }
    for (uint32_t i = 0; i < request->extra_count; i++) {
        (void)buf_printf(out, "%.*s: %.*s\r\n", SLICE_ARG(request->extras[i].name),
                         SLICE_ARG(request->extras[i].value));
    }
}

static uint32_t pick(const struct exchange *x, const struct pool *pool)
{
    struct upstream_worker *upstream = x->proxy->upstream;
    struct pool_worker *state = upstream_pool(upstream, pool->id);
    enum close_reason reason;
    balance_key_set(pool, &x->head->request, exchange_client(x), loop_now_us(upstream->loop),
                    &state->state.balancer);
    return pool_pick(pool, &state->state, &upstream->random, upstream->worker, upstream->workers,
                     NULL, 0, &reason);
}

static void take_off(struct exchange *x, struct slice body)
{
    const struct pool *pool = x->route->mirror->pool;
    const struct message *request = &x->head->request;
    struct proxy_worker *proxy = x->proxy;
    struct counters_pool *counters = counters_of(proxy, pool->id);
    char url[URL_MAX];
    int len = snprintf(url, sizeof url, "%s://%.*s%.*s%.*s", pool->tls != NULL ? "https" : "http",
                       SLICE_ARG(request->authority), SLICE_ARG(request->path),
                       SLICE_ARG(request->query));
    if (len < 0 || (size_t)len >= sizeof url || request->authority.len == 0) {
        counter_add(&counters->mirrors_skipped, 1);
        return;
    }
    uint32_t member = pick(x, pool);
    counter_add(&counters->mirrors, 1);
    if (member == BALANCER_NONE) {
        counter_add(&counters->mirrors_failed, 1);
        return;
    }
    struct flight *flight = mem_zero(1, sizeof(*flight));
    struct buf fields;
    buf_init(&fields, FIELDS_MAX);
    write_fields(request, &fields);
    flight->proxy = proxy;
    flight->server = pool->members[member].server;
    flight->lease = x->lease;
    flight->pool_id = pool->id;
    lease_hold(flight->lease);
    list_push_back(&proxy->mirrors.flights, &flight->link);
    proxy->mirrors.count++;
    counter_add(&counters->requests_started, 1);
    counter_add(&counters_of_server(proxy->counters, flight->server->id)->requests, 1);
    const struct http_call_request call = {
        .url = slice_of(url, (size_t)len),
        .method = request->method_text,
        .body = body,
        .fields = buf_slice(&fields),
        .is_copy = true,
        .address = &pool->members[member].address,
        .tls = pool->tls,
        .timeout_ms = pool->connect_ms + pool->response_ms,
        .answer_max = MIRROR_ANSWER_MAX,
    };
    flight->call = http_call_start(proxy->loop, &call, on_answer, flight);
    buf_fini(&fields);
}

/* Is it one that can be told twice? */
static bool is_plain(const struct exchange *x)
{
    return !x->is_upgrade && !x->is_grpc && x->head->request.protocol.len == 0 &&
           x->head->request.target_form != TARGET_ASTERISK &&
           x->head->request.content_length <= MIRROR_BODY_MAX;
}

void mirror_begin(struct exchange *x)
{
    const struct mirror *mirror = x->route->mirror;
    const struct message *request = &x->head->request;
    if (random_below(&x->proxy->upstream->random, PERCENT) >= mirror->percent) {
        return;
    }
    if (!is_plain(x) || x->proxy->mirrors.count >= MIRROR_FLIGHTS_MAX) {
        counter_add(&counters_of(x->proxy, mirror->pool->id)->mirrors_skipped, 1);
        return;
    }
    bool is_chunked = request->framing == FRAMING_CHUNKED;
    if (!is_chunked && (request->framing != FRAMING_LENGTH || request->content_length == 0)) {
        take_off(x, SLICE_NONE);
        return;
    }
    struct mirror_body *body = arena_zero(&x->head->arena, sizeof(*body));
    body->max = is_chunked ? MIRROR_BODY_MAX : (uint32_t)request->content_length;
    body->bytes = arena_alloc(&x->head->arena, body->max);
    x->head->mirror = body;
}

void mirror_keep(struct exchange *x, const struct stream_piece *piece, enum stream_pull pulled)
{
    struct mirror_body *body = x->head->mirror;
    if (pulled == STREAM_BAD) {
        x->head->mirror = NULL;
        return;
    }
    if (piece->bytes.len > body->max - body->len) {
        x->head->mirror = NULL;
        counter_add(&counters_of(x->proxy, x->route->mirror->pool->id)->mirrors_skipped, 1);
        return;
    }
    if (piece->bytes.len != 0) {
        memcpy(body->bytes + body->len, piece->bytes.ptr, piece->bytes.len);
        body->len += (uint32_t)piece->bytes.len;
    }
    if (pulled == STREAM_LAST) {
        x->head->mirror = NULL;
        take_off(x, slice_of(body->bytes, body->len));
    }
}
