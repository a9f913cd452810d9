/* exchange - see exchange.h. */
#include "lbd/proxy/exchange.h"

#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/http/hop.h"
#include "lbd/http/status.h"
#include "lbd/http/uri.h"
#include "lbd/stats/access_record.h"

static_assert(sizeof(struct exchange_head) <= EXCHANGE_HEAD_BYTES - 2048,
              "the arena's first block holds a browser's head");

static const struct stream_events down_events;

/* -- the record -- */

void exchange_fill_record(const struct exchange *x, struct access_record *record)
{
    uint64_t now = loop_now_us(x->proxy->loop);
    const struct message *request = &x->head->request;
    *record = (struct access_record){
        .time_us = loop_wall_us(x->proxy->loop) - (now - x->start_us),
        .client = x->session->conn.peer,
        .listener = slice_from(x->session->front->listener->name),
        .method = request->method_text,
        .host = request->authority,
        .path = x->path,
        .protocol = request->version_minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1"),
        .route = x->route != NULL ? x->route->name : SLICE_NONE,
        .pool = x->pool != NULL ? x->pool->name : SLICE_NONE,
        .server = x->tries > 0 ? slice_from(x->pool->members[x->member].server->name) : SLICE_NONE,
        .request_id = x->request_id_used,
        .reason = (enum close_reason)x->reason,
        .status = x->status,
        .tries = x->tries,
        .request_bytes = x->request_bytes,
        .response_bytes = x->response_bytes,
        .duration_us = now - x->start_us,
        .connect_us = x->connect_us,
        .first_byte_us = x->first_byte_us != 0 ? x->first_byte_us - x->start_us : 0,
        .connection_id = x->session->id,
        .revision = x->revision,
    };
}

void exchange_count_client(struct exchange *x, const struct stream *stream)
{
    struct counters_listener *listener = x->session->front->counters;
    counter_add(&listener->received_bytes, stream->received_bytes);
    counter_add(&listener->sent_bytes, stream->sent_bytes);
}

static void count(struct exchange *x)
{
    struct counters_listener *listener = x->session->front->counters;
    uint64_t took_us = loop_now_us(x->proxy->loop) - x->start_us;
    counter_add(&listener->requests_finished, 1);
    if (x->status != 101) {
        counter_add(&listener->endings[x->reason], 1); /* a tunnel counts its own end */
    }
    if (x->status != 0) {
        counter_add(&listener->requests[counters_code_of(x->status)], 1);
        histogram_note_us(&listener->request_duration, took_us);
        histogram_note_bytes(&listener->request_size, x->request_bytes);
        histogram_note_bytes(&listener->response_size, x->response_bytes);
    }
    if (x->reason == CLOSE_CLIENT_ABORT) {
        counter_add(&listener->client_aborts, 1);
    }
    if (x->route != NULL && x->route->id != 0 && x->status != 0) {
        counter_add(&counters_of_route(x->proxy->counters, x->route->id)
                         ->requests[counters_code_of(x->status)],
                    1);
    }
}

static void free_head(struct exchange *x)
{
    if (x->head != NULL) {
        arena_fini(&x->head->arena);
        slab_give(&x->proxy->exchange_heads, x->head);
        x->head = NULL;
    }
}

void exchange_forget_head(struct exchange *x)
{
    if (x->proxy->access_log == NULL && x->request_done && !x->route->forward_trailers) {
        free_head(x);
    }
}

void exchange_end(struct exchange *x, enum close_reason reason)
{
    struct proxy_worker *proxy = x->proxy;
    if (x->reason == CLOSE_OK) {
        x->reason = (uint8_t)reason;
    }
    count(x);
    if (proxy->access_log != NULL && x->status != 101) {
        struct access_record record;
        exchange_fill_record(x, &record);
        (void)access_log_write(proxy->access_log, &record);
    }
    struct lease *lease = x->lease;
    free_head(x);
    slab_give(&proxy->exchanges, x);
    lease_drop(lease);
}

/* -- the steps -- */

static enum exchange_verdict step_route(struct exchange *x);

static enum exchange_verdict step_receive(struct exchange *x)
{
    (void)x;
    return EXCHANGE_WAIT;
}

static enum exchange_verdict (*const steps[])(struct exchange *x) = {
    [EXCHANGE_ROUTE] = step_route,         [EXCHANGE_PICK] = exchange_pick,
    [EXCHANGE_CONNECT] = exchange_connect, [EXCHANGE_SEND] = exchange_send,
    [EXCHANGE_RECEIVE] = step_receive,
};

void exchange_run(struct exchange *x, enum exchange_step step)
{
    x->step = (uint8_t)step;
    while (steps[x->step](x) == EXCHANGE_GO_ON) {
        x->step++;
    }
}

/* 16 hexadecimal digits, unique per process: a counter spread over 64 bits. */
static void make_request_id(struct exchange *x)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    uint64_t id = hash_mix(x->proxy->request_id_base + x->proxy->requests);
    for (size_t i = 0; i < sizeof(x->request_id); i++) {
        x->request_id[i] = digits[id >> 60];
        id <<= 4;
    }
}

/* Fields that stop here and fields that we add; false: refused. */
static bool edit_request(struct exchange *x)
{
    struct message *request = &x->head->request;
    char ip[ADDR_TEXT_MAX];
    size_t ip_len = addr_small_write_ip(&x->session->conn.peer, ip);
    struct hop_facts facts = {
        .client_ip = arena_copy(&x->head->arena, slice_of(ip, ip_len)),
        .proto = SLICE("http"),
        .forward_trailers = x->route->forward_trailers,
    };
    x->request_id_used = hop_client_request_id(request);
    if (x->request_id_used.len == 0) {
        make_request_id(x);
        x->request_id_used = slice_of(x->request_id, sizeof(x->request_id));
        facts.request_id = x->request_id_used;
    }
    enum close_reason reason;
    if (!hop_request(request, &facts, &reason)) {
        exchange_fail(x, reason);
        return false;
    }
    return true;
}

static enum exchange_verdict step_route(struct exchange *x)
{
    struct message *request = &x->head->request;
    enum close_reason refusal = plan_route(x->plan, request, &x->head->arena, &x->route);
    if (refusal != CLOSE_OK) {
        exchange_fail(x, refusal);
        return EXCHANGE_WAIT;
    }
    if (x->route->action != CONF_ACTION_POOL) {
        exchange_reply_route(x);
        return EXCHANGE_WAIT;
    }
    x->pool = x->route->pool;
    x->is_upgrade = request->upgrade_websocket;
    return edit_request(x) ? EXCHANGE_GO_ON : EXCHANGE_WAIT;
}

/* -- the client's stream -- */

static void on_down_head(struct stream *stream, struct message *message)
{
    (void)stream;
    (void)message; /* the head came with exchange_start */
}

static void on_down_body(struct stream *stream)
{
    exchange_on_request_body(stream->owner);
}

static void on_down_room(struct stream *stream)
{
    struct exchange *x = stream->owner;
    if (x->up != NULL && x->up->paused && !x->is_relaying) {
        x->up->ops->resume(x->up);
    }
}

static void on_down_end(struct stream *stream, enum close_reason reason)
{
    struct exchange *x = stream->owner;
    exchange_count_client(x, stream);
    x->down = NULL;
    if (x->is_relaying) {
        relay_stop(&x->relay);
        x->is_relaying = false;
    }
    exchange_reset_server(x, reason);
    exchange_end(x, reason);
}

static const struct stream_events down_events = {
    .on_head = on_down_head,
    .on_body = on_down_body,
    .on_room = on_down_room,
    .on_end = on_down_end,
};

/* -- begin -- */

static struct exchange *exchange_new(struct session *session, struct stream *down)
{
    struct proxy_worker *proxy = session->front->proxy;
    struct exchange *x = slab_take(&proxy->exchanges);
    if (x == NULL) {
        return NULL;
    }
    memset(x, 0, sizeof(*x));
    x->head = slab_take(&proxy->exchange_heads);
    if (x->head == NULL) {
        slab_give(&proxy->exchanges, x);
        return NULL;
    }
    arena_init(&x->head->arena, x->head->block,
               EXCHANGE_HEAD_BYTES - offsetof(struct exchange_head, block));
    x->down = down;
    x->session = session;
    x->proxy = proxy;
    x->plan = session->front->plan;
    x->lease = session->front->pinned != NULL ? session->front->pinned : proxy->lease;
    x->revision = proxy->revision;
    x->start_us = loop_now_us(proxy->loop);
    lease_hold(x->lease);
    proxy->requests++;
    counter_add(&session->front->counters->requests_started, 1);
    down->owner = x;
    down->events = &down_events;
    return x;
}

void exchange_start(struct session *session, struct stream *down, struct message *message)
{
    struct exchange *x = exchange_new(session, down);
    if (x == NULL) {
        down->ops->reset(down, CLOSE_OUT_OF_MEMORY);
        return;
    }
    message_copy(&x->head->request, message, &x->head->arena);
    x->path = x->head->request.path;
    if (x->head->request.query.len > 0) {
        /* "http://host?query" has no path in the head: the two do not always lie together. */
        x->path = x->head->request.query.ptr == x->path.ptr + x->path.len
                      ? slice_of(x->path.ptr, x->path.len + x->head->request.query.len)
                      : arena_printf(&x->head->arena, "%.*s%.*s", SLICE_ARG(x->path),
                                     SLICE_ARG(x->head->request.query));
    }
    down->paused = true; /* the body waits until there is somebody to take it */
    exchange_run(x, EXCHANGE_ROUTE);
}

void exchange_refuse(struct session *session, struct stream *down, enum close_reason reason)
{
    struct exchange *x = exchange_new(session, down);
    if (x == NULL) {
        down->ops->reset(down, CLOSE_OUT_OF_MEMORY);
        return;
    }
    memset(&x->head->request, 0, sizeof(x->head->request));
    x->head->request.version_minor = 1;
    exchange_fail(x, reason);
}
