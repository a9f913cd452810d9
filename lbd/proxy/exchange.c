/* exchange - see exchange.h. */
#include "lbd/proxy/exchange.h"

#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/num.h"
#include "lbd/http/grpc.h"
#include "lbd/http/hop.h"
#include "lbd/http/http_conn.h"
#include "lbd/http/status.h"
#include "lbd/http/uri.h"
#include "lbd/proxy/cause.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/stats/access_kept.h"
#include "lbd/tls/tls_conn.h"
#include "lbd/tls/tls_peer.h"

static_assert(sizeof(struct exchange_head) <= EXCHANGE_HEAD_BYTES - 2048,
              "the arena's first block holds a browser's head");

static const struct stream_events down_events;

/* -- the record -- */

/* The setting behind how it ends; false: none is. */
static bool find_cause(const struct exchange *x, struct cause *cause)
{
    const struct cause_facts facts = {
        .plan = x->plan,
        .pool = x->pool,
        .route = x->route,
        .is_call = x->is_call,
        .is_uploading = !x->request_done,
        .limits = &x->proxy->relief.limits,
        .is_short_of_buffers =
            x->proxy->relief.stages[PRESSURE_BUFFERS] >= PRESSURE_BUFFERS_SHORT ||
            net_worker_is_short(conn_net(&x->session->conn)),
    };
    if (cause_find(cause, (enum close_reason)x->reason, &facts)) {
        return true;
    }
    const struct filter_run *run = x->head != NULL ? x->head->filters : NULL;
    return run != NULL && run->decided != NULL && cause_of_policy(cause, run->decided->name);
}

void exchange_fill_record(const struct exchange *x, struct access_record *record,
                          struct cause *cause)
{
    static const struct message forgotten = {.version_minor = 1};
    uint64_t now = loop_now_us(x->proxy->loop);
    const struct message *request = x->head != NULL ? &x->head->request : &forgotten;
    bool has_id = x->head != NULL || x->request_id_used.ptr == x->request_id;
    struct tls_conn_facts tls = {.version = SLICE_NONE};
    (void)tls_conn_look(&x->session->conn, &tls);
    *record = (struct access_record){
        .time_us = loop_wall_us(x->proxy->loop) - (now - x->start_us),
        .client = *exchange_client(x),
        .listener = slice_from(x->session->front->listener->name),
        .method = x->is_connect ? SLICE("CONNECT") : request->method_text,
        .host = x->head != NULL && x->host.len != 0 ? x->host : request->authority,
        .path = x->head != NULL ? x->path : SLICE_NONE,
        .protocol = x->version == STREAM_HTTP2    ? SLICE("HTTP/2.0")
                    : request->version_minor == 0 ? SLICE("HTTP/1.0")
                                                  : SLICE("HTTP/1.1"),
        .tls = tls.version,
        .cipher = tls.cipher,
        .sni = tls.sni,
        .subject = tls.subject,
        .proxy_authority = session_proxy_said(x->session)->authority,
        .proxy_unique_id = session_proxy_said(x->session)->unique_id,
        .route = x->route != NULL ? x->route->name : SLICE_NONE,
        .pool = x->pool != NULL ? x->pool->name : SLICE_NONE,
        .server = x->tries > 0 ? slice_from(x->pool->members[x->member].server->name) : SLICE_NONE,
        .request_id = has_id ? x->request_id_used : SLICE_NONE,
        .reason = (enum close_reason)x->reason,
        .status = x->status,
        .tries = x->tries,
        .trace_id = x->head != NULL ? x->trace_id : SLICE_NONE,
        .queue_us = exchange_queue_us(x),
        .request_bytes = x->request_bytes,
        .response_bytes = x->response_bytes,
        .duration_us = now - x->start_us,
        .connect_us = x->connect_us,
        .first_byte_us = x->first_byte_us != 0 ? x->first_byte_us - x->start_us : 0,
        .connection_id = x->session->id,
        .revision = x->revision,
    };
    const struct filter_run *run = x->head != NULL ? x->head->filters : NULL;
    if (run != NULL && run->shadowed != NULL) {
        record->shadow_policy = run->shadowed->name;
    }
    if (run != NULL && run->keyed_by != NULL &&
        (run->keyed_by == run->decided || run->keyed_by == run->shadowed)) {
        record->policy_key = run->key_id;
    }
    if (LB_UNLIKELY(x->reason != CLOSE_OK) && find_cause(x, cause)) {
        record->setting = slice_from(cause->pointer);
        record->setting_value = slice_from(cause->value);
    }
}

struct slice exchange_cause_text(struct exchange *x)
{
    struct cause cause;
    if (!find_cause(x, &cause)) {
        return SLICE_NONE;
    }
    return arena_printf(&x->head->arena, "%s%s%s", cause.pointer, cause.value[0] != '\0' ? "=" : "",
                        cause.value);
}

/* Does its line go into the access log? */
static bool is_logged(const struct exchange *x)
{
    return x->proxy->access_log != NULL && !x->plan->seeing.is_unlogged &&
           (x->route == NULL || !x->route->is_unlogged);
}

/* Values of the headers that lines have. */
static void fill_headers(const struct exchange *x, struct access_record *record,
                         struct slice values[ACCESS_HEADERS_MAX])
{
    const struct access_format *format = access_log_format_of(x->proxy->access_log);
    if (LB_LIKELY(format == NULL)) {
        return;
    }
    const struct headers *headers = &x->head->request.headers;
    for (uint32_t i = 0; i < format->request_header_count; i++) {
        const struct header *found = headers_find_name(headers, format->request_headers[i]);
        values[i] = found != NULL ? header_value(headers, found) : SLICE_NONE;
    }
    record->request_headers = values;
    record->request_header_count = format->request_header_count;
    record->response_headers = x->answer_headers;
    record->response_header_count = format->response_header_count;
}

struct access_kept *exchange_keep_record(const struct exchange *x)
{
    struct access_record record;
    struct cause cause;
    struct slice values[ACCESS_HEADERS_MAX];
    if (!is_logged(x)) {
        return NULL;
    }
    exchange_fill_record(x, &record, &cause);
    fill_headers(x, &record, values);
    return access_kept_new(&record, loop_now_us(x->proxy->loop));
}

void exchange_note_answer(struct exchange *x, const struct headers *headers)
{
    const struct access_format *format = access_log_format_of(x->proxy->access_log);
    if (LB_LIKELY(format == NULL || format->response_header_count == 0)) {
        return;
    }
    struct slice *values =
        arena_alloc(&x->head->arena, format->response_header_count * sizeof(*values));
    for (uint32_t i = 0; i < format->response_header_count; i++) {
        const struct header *found = headers_find_name(headers, format->response_headers[i]);
        values[i] =
            found != NULL ? arena_copy(&x->head->arena, header_value(headers, found)) : SLICE_NONE;
    }
    x->answer_headers = values;
}

void exchange_count_client(struct exchange *x, const struct stream *stream)
{
    struct counters_listener *listener = x->session->front->counters;
    counter_add(&listener->received_bytes, stream->received_bytes);
    counter_add(&listener->sent_bytes, stream->sent_bytes);
}

static_assert((int)COUNTERS_GRPC_COUNT == (int)GRPC_STATUS_COUNT, "one counter per code of gRPC");

/* How a call ended, as its client sees it. */
static enum grpc_status grpc_outcome(const struct exchange *x)
{
    switch ((enum close_reason)x->reason) {
    case CLOSE_OK:
        return x->grpc_status != 0 ? (enum grpc_status)(x->grpc_status - 1) : GRPC_UNKNOWN;
    case CLOSE_FIXED_RESPONSE:
    case CLOSE_REDIRECT:
        return GRPC_UNKNOWN;
    case CLOSE_EXTERNAL_DENIED: /* as the service put it */
        return x->grpc_status != 0 ? (enum grpc_status)(x->grpc_status - 1)
                                   : grpc_status_of(CLOSE_EXTERNAL_DENIED);
    default:
        return grpc_status_of((enum close_reason)x->reason);
    }
}

static void count_grpc(const struct exchange *x)
{
    enum grpc_status status = grpc_outcome(x);
    counter_add(&x->session->front->counters->grpc[status], 1);
    if (x->pool != NULL) {
        counter_add(&counters_of_pool(x->proxy->counters, x->pool->id)->grpc[status], 1);
    }
}

static void count(struct exchange *x)
{
    struct counters_listener *listener = x->session->front->counters;
    uint64_t took_us = loop_now_us(x->proxy->loop) - x->start_us;
    counter_add(&listener->requests_finished, 1);
    enum counters_http version = x->version == STREAM_HTTP2 ? COUNTERS_HTTP2 : COUNTERS_HTTP1;
    enum close_reason reason = (enum close_reason)x->reason;
    if (x->status != 101) {
        counter_add(&listener->endings[reason], 1); /* a tunnel counts its own end */
    }
    if (LB_UNLIKELY(close_reason_is_malformed(reason))) {
        counter_add(&listener->protocol_errors[counters_protocol_of(version, reason)], 1);
    }
    if (x->status != 0) {
        counter_add(&listener->requests[counters_http_code_of(version, x->status)], 1);
    }
    if (x->status != 0 && !x->is_tunnel) {
        histogram_note_us(&listener->request_duration, took_us);
        histogram_note_bytes(&listener->request_size, x->request_bytes);
        histogram_note_bytes(&listener->response_size, x->response_bytes);
    }
    if (x->reason == CLOSE_CLIENT_ABORT) {
        counter_add(&listener->client_aborts, 1);
    }
    if (LB_UNLIKELY(x->is_grpc)) {
        count_grpc(x);
    }
    if (x->route != NULL && x->route->id != 0 && x->status != 0) {
        counter_add(&counters_of_route(x->proxy->counters, x->route->id)
                         ->requests[counters_code_of(x->status)],
                    1);
    }
}

void exchange_free_head(struct exchange *x)
{
    if (x->head != NULL) {
        if (x->head->filters != NULL) {
            filter_run_end(x->head->filters);
        }
        if (LB_UNLIKELY(!flow_is_empty(&x->head->body))) {
            flow_clear(conn_net(&x->session->conn), &x->head->body);
        }
        arena_fini(&x->head->arena);
        slab_give(&x->proxy->exchange_heads, x->head);
        x->head = NULL;
    }
}

void exchange_forget_head(struct exchange *x)
{
    if (x->proxy->access_log == NULL && x->request_done && !x->with_trailers && x->head != NULL &&
        x->head->filters == NULL) {
        exchange_free_head(x);
        x->failed = NULL;
    }
}

void exchange_end(struct exchange *x, enum close_reason reason)
{
    struct proxy_worker *proxy = x->proxy;
    if (x->reason == CLOSE_OK) {
        x->reason = (uint8_t)reason;
    }
    count(x);
    if (x->is_call) {
        exchange_call_end(x);
    }
    if (proxy->access_log != NULL && x->head != NULL && x->status != 101 && is_logged(x)) {
        struct access_record record;
        struct cause cause;
        struct slice values[ACCESS_HEADERS_MAX];
        exchange_fill_record(x, &record, &cause);
        fill_headers(x, &record, values);
        (void)access_log_write(proxy->access_log, &record);
    }
    if (LB_UNLIKELY(exchange_is_notable(x))) {
        exchange_trace_keep(x);
    }
    struct lease *lease = x->lease;
    struct lease *pool_lease = x->is_small ? NULL : x->pool_lease;
    list_remove(&x->link);
    exchange_free_head(x);
    slab_give(x->is_small ? &proxy->exchange_tunnels : &proxy->exchanges, x);
    lease_drop(lease);
    if (LB_UNLIKELY(pool_lease != NULL)) {
        lease_drop(pool_lease);
    }
}

/* -- the steps -- */

static enum exchange_verdict step_route(struct exchange *x);
static enum exchange_verdict step_admit(struct exchange *x);

static enum exchange_verdict step_receive(struct exchange *x)
{
    (void)x;
    return EXCHANGE_WAIT;
}

static enum exchange_verdict (*const steps[])(struct exchange *x) = {
    [EXCHANGE_ROUTE] = step_route,   [EXCHANGE_FILTER] = exchange_filter,
    [EXCHANGE_ADMIT] = step_admit,   [EXCHANGE_BODY] = exchange_body,
    [EXCHANGE_PICK] = exchange_pick, [EXCHANGE_CONNECT] = exchange_connect,
    [EXCHANGE_SEND] = exchange_send, [EXCHANGE_RECEIVE] = step_receive,
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
    num_write_hex16(x->request_id, hash_mix(x->proxy->request_id_base + x->proxy->requests));
}

static struct slice proto_of(const struct exchange *x)
{
    return tls_conn_is_one(&x->session->conn) ? SLICE("https") : SLICE("http");
}

struct slice exchange_proto(const struct exchange *x)
{
    return LB_LIKELY(x->head->told == NULL) ? proto_of(x) : x->head->told->proto;
}

struct slice exchange_host(const struct exchange *x)
{
    return LB_LIKELY(x->head->told == NULL) ? x->head->request.authority : x->head->told->host;
}

/* Who asks, by what trusted proxies say. */
static void find_client(struct exchange *x)
{
    const struct forwarded_rules *rules = x->plan->forwarded;
    const struct message *request = &x->head->request;
    struct arena *arena = &x->head->arena;
    struct hop_told *told = arena_zero(arena, sizeof(*told));
    struct forwarded_found found;
    forwarded_find(rules, &request->headers, &x->session->conn.peer, &found);
    if (found.is_broken) {
        counter_add(&x->session->front->counters->forwarded_broken, 1);
    }
    x->client = *forwarded_client(&found);
    told->proto = found.proto.len != 0 ? found.proto : proto_of(x);
    told->host = found.host.len != 0 ? found.host : request->authority;
    told->port = found.port;
    told->list = rules->sends_x ? forwarded_write_list(&found, arena) : SLICE_NONE;
    told->forwarded = rules->sends_forwarded
                          ? forwarded_write(&found, told->proto, told->host, arena)
                          : SLICE_NONE;
    x->head->told = told;
}

/* May it say by which id the request is known? */
static bool is_believed(const struct exchange *x)
{
    const struct forwarded_rules *rules = x->plan->forwarded;
    return x->plan->seeing.request_id == CONF_REQUEST_ID_TRUSTED && rules != NULL &&
           cidr_set_has(&rules->trusted, &x->session->conn.peer);
}

static LB_INLINE void know_id(struct exchange *x)
{
    if (x->request_id_used.len != 0) {
        return;
    }
    x->request_id_used =
        LB_LIKELY(x->plan->seeing.request_id == CONF_REQUEST_ID_ALWAYS) || is_believed(x)
            ? hop_client_request_id(&x->head->request)
            : SLICE_NONE;
    if (x->request_id_used.len == 0) {
        make_request_id(x);
        x->request_id_used = slice_of(x->request_id, sizeof(x->request_id));
    }
}

void exchange_know_id(struct exchange *x)
{
    know_id(x);
}

const struct tls_peer *exchange_peer(const struct exchange *x)
{
    struct conn *conn = &x->session->conn;
    enum conf_client_forward forward = x->plan->client_forward;
    if (LB_LIKELY(forward == CONF_CLIENT_FORWARD_OFF) || !tls_conn_is_one(conn)) {
        return NULL;
    }
    tls_conn_keep_peer(conn, forward == CONF_CLIENT_FORWARD_CERTIFICATE);
    return tls_session_peer(tls_conn_session(conn));
}

/* Who the client is by its certificate. */
static void add_peer(const struct exchange *x, struct hop_facts *facts)
{
    const struct tls_peer *peer = exchange_peer(x);
    if (peer != NULL) {
        facts->cert_subject = peer->subject;
        facts->cert_sha256 = slice_from(peer->sha256);
        if (x->plan->client_forward == CONF_CLIENT_FORWARD_CERTIFICATE) {
            facts->cert = peer->field; /* the connection may know it from another time */
        }
    }
}

/* Fields that stop here and fields that we add; false: refused. */
static bool edit_request(struct exchange *x)
{
    struct message *request = &x->head->request;
    struct hop_facts facts = {.told = x->head->told, .forward_trailers = x->with_trailers};
    if (LB_LIKELY(facts.told == NULL)) {
        char *ip = arena_alloc(&x->head->arena, ADDR_IP_TEXT_MAX);
        facts.client_ip = slice_of(ip, addr_small_write_ip(exchange_client(x), ip));
        facts.proto = proto_of(x);
    }
    add_peer(x, &facts);
    know_id(x);
    if (x->request_id_used.ptr == x->request_id) {
        facts.request_id = x->request_id_used;
    }
    if (LB_UNLIKELY(x->plan->seeing.traces)) {
        exchange_follow_trace(x);
    }
    enum close_reason reason;
    if (!hop_request(request, &facts, &reason)) {
        exchange_fail(x, reason);
        return false;
    }
    return true;
}

/* What servers get in place of what was sent. False: refused. */
static bool rewrite(struct exchange *x)
{
    const struct route *route = x->route;
    struct message *request = &x->head->request;
    if (route->path != NULL && !route_path_make(route->path, request->path, &x->proxy->patterns,
                                                &x->head->arena, &request->path)) {
        exchange_fail(x, CLOSE_REWRITE_FAILED);
        return false;
    }
    if (route->host.len != 0) {
        x->host = request->authority;
        request->authority = route->host;
    }
    return true;
}

/* R8: a request for a host comes over a connection whose certificate is for it. */
static bool is_for_us(const struct exchange *x)
{
    const struct conn *conn = &x->session->conn;
    return !tls_conn_is_one(conn) ||
           tls_session_is_for(tls_conn_session(conn), message_host(&x->head->request));
}

/* There is too much to do, and nothing of it has begun. */
static void give_up(struct exchange *x, enum close_reason reason, enum counters_relief what)
{
    counter_add(&x->proxy->counters->loop.relief[what], 1);
    exchange_fail(x, reason);
}

static enum exchange_verdict step_route(struct exchange *x)
{
    struct message *request = &x->head->request;
    x->is_grpc = grpc_is_request(request);
    if (LB_UNLIKELY(net_worker_is_short(conn_net(&x->session->conn)) || x->proxy->relief.refuses)) {
        give_up(x, x->proxy->relief.refuses ? CLOSE_MEMORY_SHORT : CLOSE_OVERLOAD,
                COUNTERS_RELIEF_REFUSED);
        return EXCHANGE_WAIT;
    }
    if (LB_UNLIKELY(!session_is_let_in(x->session))) {
        session_drain(x->session);
        exchange_fail(x, CLOSE_CLIENT_AUTH_CHANGED);
        return EXCHANGE_WAIT;
    }
    if (!is_for_us(x)) {
        exchange_fail(x, CLOSE_MISDIRECTED);
        return EXCHANGE_WAIT;
    }
    struct pattern_work *patterns = &x->proxy->patterns;
    enum close_reason refusal =
        plan_route(x->plan, request, &x->client, patterns, &x->head->arena, &x->route);
    if (LB_UNLIKELY(patterns->limited != 0)) {
        counter_add(&x->session->front->counters->patterns_limited, patterns->limited);
        patterns->limited = 0;
    }
    if (refusal != CLOSE_OK && refusal != CLOSE_NO_ROUTE) {
        exchange_fail(x, refusal);
        return EXCHANGE_WAIT;
    }
    if (LB_LIKELY(exchange_filters(x) == NULL)) {
        x->step = EXCHANGE_FILTER; /* done */
    }
    return EXCHANGE_GO_ON; /* policies first: they need not tell what there is and what not */
}

/* The policies have let it pass. */
static enum exchange_verdict step_admit(struct exchange *x)
{
    struct message *request = &x->head->request;
    if (x->route == NULL) {
        exchange_fail(x, CLOSE_NO_ROUTE);
        return EXCHANGE_WAIT;
    }
    if (LB_UNLIKELY((uint8_t)x->route->queue_class >= x->proxy->relief.sheds)) {
        give_up(x, CLOSE_SHED, COUNTERS_RELIEF_SHED);
        return EXCHANGE_WAIT;
    }
    if (x->route->action != CONF_ACTION_POOL) {
        exchange_reply_route(x);
        return EXCHANGE_WAIT;
    }
    x->pool = x->route->pool;
    if (LB_UNLIKELY(x->route->split != NULL)) {
        exchange_split_find(x);
    }
    x->is_upgrade = request->upgrade_websocket;
    if (x->is_upgrade && x->pool->http == POOL_HTTP2) {
        exchange_fail(x, CLOSE_NO_WEBSOCKET);
        return EXCHANGE_WAIT;
    }
    x->with_trailers = x->route->forward_trailers || x->is_grpc;
    if (LB_UNLIKELY(x->route->buffer_request != 0)) {
        exchange_body_plan(x);
    }
    if (!edit_request(x) || !rewrite(x)) {
        return EXCHANGE_WAIT;
    }
    if (LB_UNLIKELY(x->pool->sticky != NULL)) {
        exchange_sticky_find(x);
    }
    if (LB_UNLIKELY(x->is_grpc || request->protocol.len > 0)) {
        exchange_call_begin(x);
    }
    if (LB_UNLIKELY(x->route->mirror != NULL)) {
        mirror_begin(x);
    }
    if (LB_LIKELY(!x->collects)) {
        x->step = EXCHANGE_BODY; /* done */
    }
    return EXCHANGE_GO_ON;
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
    if (LB_UNLIKELY(x->is_tunnel)) {
        exchange_websocket_room(x);
    } else if (LB_UNLIKELY(x->own_left.len > 0)) {
        exchange_reply_more(x);
    } else if (x->up != NULL && x->up->paused && !x->is_relaying && !loop_timer_is_set(&x->timer)) {
        x->up->ops->resume(x->up);
    }
}

static void on_down_end(struct stream *stream, enum close_reason reason)
{
    struct exchange *x = stream->owner;
    exchange_count_client(x, stream);
    x->down = NULL;
    if (reason == CLOSE_OK && x->is_tunnel) {
        reason = CLOSE_TUNNEL_CLOSED;
    }
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
    memset(x, 0, offsetof(struct exchange, call));
    memset(&x->sent_us, 0, EXCHANGE_ZEROED_BYTES - offsetof(struct exchange, sent_us));
    x->waiter.opening.conn = NULL;
    x->waiter.shared = NULL;
    x->timer.link.next = NULL;
    x->queued.queue = NULL;
    x->queued.since_us = 0;
    x->head = slab_take(&proxy->exchange_heads);
    if (x->head == NULL) {
        slab_give(&proxy->exchanges, x);
        return NULL;
    }
    x->head->filters = NULL;
    x->head->told = NULL;
    x->head->mirror = NULL;
    x->head->body = (struct flow){0};
    arena_init(&x->head->arena, x->head->block,
               EXCHANGE_HEAD_BYTES - offsetof(struct exchange_head, block));
    x->down = down;
    x->version = down->version;
    x->session = session;
    x->client = session->conn.peer;
    x->proxy = proxy;
    x->plan = session->front->plan;
    x->lease = session->front->pinned != NULL ? session->front->pinned : proxy->lease;
    x->revision = proxy->revision;
    x->start_us = loop_now_us(proxy->loop);
    lease_hold(x->lease);
    list_push_back(&http_conn_on(&session->conn)->exchanges, &x->link);
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
    if (LB_UNLIKELY(x->plan->forwarded != NULL)) {
        find_client(x);
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
    x->head->request.is_http2 = down->version == STREAM_HTTP2;
    exchange_fail(x, reason);
}
