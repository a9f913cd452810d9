/* api_call - one request in the transport; declared in api_inside.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_calls.h"
#include "api/api_inside.h"
#include "api/api_problem.h"
#include "lbd/base/addr.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/control/events.h"

/* A body that is too large is read so many times its limit, then cut. */
#define DISCARD_MAX_TIMES 4U
/* Of all that are being read or wait for their turn: eight whole documents. */
#define BODIES_MAX (128U * 1024U * 1024U)
/* Of all answers that are not made while they are sent, and what of that one may always have. */
#define REPLIES_MAX (128U * 1024U * 1024U)
#define REPLY_SMALL (64U * 1024U)
/* While a long answer is sent, its token is looked at again. */
#define LOOK_US 1000000U
/* A pass of the loop that has worked so long makes one more block at most: whoever asks something
 * small must not wait for many that read something long. */
#define PULL_PASS_US 1000U

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void log_call(const struct call *call)
{
    if (call->door->is_observe) {
        return; /* scrapers come often */
    }
    log_debug("api.request", "id=%s who=\"%s\" method=%s path=%.*s status=%u", call->request.id,
              call->request.who, call->method, SLICE_ARG(call->request.path),
              call->request.reply.status);
}

/* -- answers that are made while they are sent -- */

static void suspend(struct call *call)
{
    call->is_suspended = true;
    MHD_suspend_connection(call->connection);
}

static void resume(struct call *call)
{
    if (call->is_held) {
        call->is_held = false;
        list_remove(&call->held_link);
    }
    if (call->is_suspended) {
        call->is_suspended = false;
        MHD_resume_connection(call->connection);
        api_turn_soon(call->door);
    }
}

/* -- fairness: the first block of a pass is always made -- */

static void on_held(struct loop_ready *ready)
{
    struct api *api = container_of(ready, struct api, held_ready);
    struct list_node *node = NULL;
    while ((node = list_first(&api->held)) != NULL) {
        resume(container_of(node, struct call, held_link));
    }
}

static bool must_hold(struct api *api)
{
    uint64_t pass = loop_stats(api->loop).passes;
    if (api->pulled_pass == pass && loop_pass_us(api->loop) > PULL_PASS_US) {
        return true;
    }
    api->pulled_pass = pass;
    return false;
}

static void hold(struct call *call)
{
    struct api *api = call->door->api;
    call->is_held = true;
    list_push_back(&api->held, &call->held_link);
    loop_ready_put(api->loop, &api->held_ready, on_held);
    suspend(call);
}

static ssize_t on_pull(void *arg, uint64_t position, char *out, size_t max)
{
    struct call *call = arg;
    (void)position;
    if (call->stream == NULL || call->is_cut) {
        return MHD_CONTENT_READER_END_WITH_ERROR; /* lbd ends: it was not the whole answer */
    }
    if (must_hold(call->door->api)) {
        hold(call);
        return 0;
    }
    if (now_us() - call->looked_us >= LOOK_US) { /* whoever is let in no longer hears no more */
        call->looked_us = now_us();
        if (!api_guard_still_knows(call->request.guard, &call->request.identity)) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    ssize_t n = call->stream->read(call->stream, out, max);
    if (n == API_STREAM_WAIT) {
        suspend(call);
        return 0;
    }
    if (n == API_STREAM_BROKEN) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void on_wake(struct api_stream *stream)
{
    resume(stream->transport);
}

/* One that takes nothing is not asked to read the end: its time is up soon. */
static void on_cut(struct api_stream *stream)
{
    struct call *call = stream->transport;
    call->is_cut = true;
    (void)MHD_set_connection_option(call->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
    resume(call);
    api_turn_soon(call->door);
}

void api_call_end_stream(struct call *call)
{
    struct api_stream *stream = call->stream;
    if (stream != NULL) {
        call->stream = NULL;
        list_remove(&call->link);
        stream->free(stream);
        resume(call);
    }
}

static struct MHD_Response *make_response(struct call *call)
{
    struct api_reply *reply = &call->request.reply;
    size_t len = 0;
    if (reply->stream != NULL) {
        call->stream = reply->stream;
        reply->stream = NULL;
        call->stream->transport = call;
        call->stream->wake = on_wake;
        call->stream->cut = on_cut;
        list_push_back(&call->door->api->streaming, &call->link);
        struct MHD_Response *response = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, API_STREAM_BLOCK, on_pull, call, NULL);
        if (response != NULL && strcmp(call->method, "HEAD") == 0) {
            /* libmicrohttpd 0.9.75 would send the last chunk of a body that is not there */
            (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
        }
        return response;
    }
    char *body = buf_take(&reply->body, &len);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
    }
    return response;
}

/* -- replies -- */

/* Nobody fills the memory by not reading. What was changed is always answered. */
static void limit_replies(struct call *call)
{
    struct api_reply *reply = &call->request.reply;
    struct api *api = call->door->api;
    if (reply->stream != NULL || reply->body.len <= REPLY_SMALL) {
        return;
    }
    if (call->request.method == API_GET && api->reply_bytes != 0 &&
        api->reply_bytes + reply->body.len > REPLIES_MAX) {
        buf_fini(&reply->body);
        reply->etag[0] = '\0';
        api_request_header(&call->request, MHD_HTTP_HEADER_RETRY_AFTER, "%u", 1U);
        api_problem(&call->request, "unavailable", "the answers of others take %u MiB already",
                    REPLIES_MAX / (1024U * 1024U));
        return;
    }
    call->reply_bytes = reply->body.len;
    api->reply_bytes += call->reply_bytes;
}

static enum MHD_Result queue(struct call *call)
{
    struct api_request *request = &call->request;
    struct api_reply *reply = &request->reply;
    char text[64];

    if (reply->body.overflow) {
        buf_clear(&reply->body);
        reply->body.overflow = false;
        api_problem(request, "internal", "the answer is larger than %u bytes", API_REPLY_MAX);
    }
    if (reply->content_type == NULL) {
        buf_clear(&reply->body);
    }
    limit_replies(call);
    api_idempotency_end(call->door->api->idempotency, request);
    struct MHD_Response *response = make_response(call);
    if (response == NULL) {
        return MHD_NO;
    }
    if (reply->content_type != NULL) {
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    }
    if (reply->etag[0] != '\0') {
        (void)snprintf(text, sizeof(text), "\"%s\"", reply->etag);
        add_header(response, MHD_HTTP_HEADER_ETAG, text);
    }
    (void)snprintf(text, sizeof(text), "%llu",
                   (unsigned long long)(reply->revision != 0 ? reply->revision : call->revision));
    add_header(response, "Lbd-Revision", text);
    add_header(response, "Lbd-Request-Id", request->id);
    if (reply->has_changed) {
        add_header(response, "Lbd-Changed", reply->is_changed ? "true" : "false");
    }
    if (reply->allow[0] != '\0') {
        add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    }
    if (reply->accept_patch != NULL) {
        add_header(response, "Accept-Patch", reply->accept_patch);
    }
    for (uint32_t i = 0; i < reply->header_count; i++) {
        add_header(response, reply->headers[i].name, reply->headers[i].value);
    }
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->must_close) {
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }

    size_t row = SIZE_MAX;
    if (request->row != NULL) {
        row = (size_t)(request->row - api_table_row(0));
    }
    api_calls_note(row, call->method, reply->status, now_us() - call->began_us);
    log_call(call);
    if (call->is_write || call->is_denied) {
        const struct api_guard_record record = {.request = request,
                                                .method = call->method,
                                                .is_denied = call->is_denied,
                                                .revision_before = call->revision_before};
        api_guard_audit(request->guard, &record);
    }
    enum MHD_Result result = MHD_queue_response(call->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static void on_done(struct api_request *request)
{
    struct call *call = container_of(request, struct call, request);
    call->is_done = true;
    call->revision = control_facts(request->control)->revision; /* it may end before we do */
    if (!call->is_in_handler) {                                 /* libmicrohttpd asks again */
        resume(call);
    }
}

/* -- what arrived -- */

static void who_is_it(struct call *call)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct api_request *request = &call->request;
    struct addr_small address = {0};
    char ip[ADDR_TEXT_MAX] = "";
    struct api_peer peer = {
        .is_observe = call->door->is_observe,
        .is_unix = call->door->is_unix,
        .fd = fd != NULL ? fd->connect_fd : -1,
        .ip = ip,
        .authorization = api_head_field(call->connection, MHD_HTTP_HEADER_AUTHORIZATION),
    };
    if (from != NULL && from->client_addr != NULL) {
        addr_small_from(&address, from->client_addr);
        (void)addr_small_write_ip(&address, ip);
    }
    const struct tls_names *names =
        call->door->front != NULL ? api_front_names(call->door->front, peer.fd) : NULL;
    peer.is_tls = call->door->front != NULL;
    if (names != NULL && names->is_shown) {
        peer.certificate = names->items;
        peer.certificate_count = names->count;
    }
    call->verdict = api_guard_identify(request->guard, &peer, &request->identity);
    request->role = request->identity.role;
    (void)snprintf(request->who, sizeof(request->who), "%s", request->identity.who);
}

/* Sorts by time, differs between processes. */
static void make_id(char out[API_ID_MAX])
{
    uint32_t tail = 0;
    random_bytes(&tail, sizeof(tail));
    (void)snprintf(out, API_ID_MAX, "%013llx-%08x",
                   (unsigned long long)(now_wall_us() & 0xFFFFFFFFFFFFFULL), tail);
}

static struct call *begin(struct door *door, struct MHD_Connection *connection, const char *url,
                          const char *method)
{
    struct call *call = mem_zero(1, sizeof(*call));
    struct api_request *request = &call->request;
    call->door = door;
    call->connection = connection;
    call->method = method;
    call->began_us = now_us();
    request->control = door->api->control;
    request->guard = door->api->guard;
    call->revision_before = control_facts(request->control)->revision;
    call->revision = call->revision_before;
    request->path = slice_from(url);
    request->done = on_done;
    request->content_type = api_head_field(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    request->accept = api_head_field(connection, MHD_HTTP_HEADER_ACCEPT);
    request->if_match = api_head_field(connection, MHD_HTTP_HEADER_IF_MATCH);
    request->if_none_match = api_head_field(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
    request->last_event_id = api_head_field(connection, "Last-Event-ID");
    request->idempotency_key = api_head_field(connection, "Idempotency-Key");
    buf_init(&request->reply.body, API_REPLY_MAX);
    buf_init(&request->changes, API_CHANGES_MAX);
    make_id(request->id);
    who_is_it(call);
    return call;
}

static void drop_body(struct call *call)
{
    call->door->api->body_bytes -= call->body.len;
    if (call->body.len != 0 && memmem(call->body.data, call->body.len, "PRIVATE KEY", 11) != NULL) {
        explicit_bzero(call->body.data, call->body.len); /* of a certificate */
    }
    buf_fini(&call->body);
}

static void take_body(struct call *call, const char *data, size_t len)
{
    struct api *api = call->door->api;
    if (!call->body.overflow && !call->is_too_much && api->body_bytes + len > BODIES_MAX) {
        call->is_too_much = true;
        drop_body(call);
        buf_init(&call->body, 0);
    }
    if (call->body.overflow || call->is_too_much) {
        call->discarded += len;
    } else if (buf_append(&call->body, data, len)) {
        api->body_bytes += len;
    }
}

static enum MHD_Result refuse_too_much(struct call *call)
{
    call->request.reply.must_close = true;
    api_request_header(&call->request, MHD_HTTP_HEADER_RETRY_AFTER, "%u", 1U);
    api_problem(&call->request, "unavailable", "the bodies of others take %u MiB already",
                BODIES_MAX / (1024U * 1024U));
    return queue(call);
}

static enum MHD_Result handle(struct call *call)
{
    struct api_request *request = &call->request;
    if (call->is_too_much) {
        return refuse_too_much(call);
    }
    if (call->body.overflow) {
        (void)api_head_refuse_large(call);
        return queue(call);
    }
    request->body = buf_slice(&call->body);
    if (!api_idempotency_begin(call->door->api->idempotency, request)) {
        return queue(call);
    }
    if (request->method == API_GET && api_table_is_state(request->row)) {
        /* what happens from here on is news to whoever reads this */
        api_request_header(request, "Lbd-Event-Sequence", "%llu",
                           (unsigned long long)events_next(control_events(request->control)));
    }
    call->is_in_handler = true;
    request->row->handlers[request->method](request);
    call->is_in_handler = false;
    if (call->is_done) {
        return queue(call);
    }
    suspend(call);
    return MHD_YES;
}

enum MHD_Result api_call_on_access(void *door, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_len, void **state)
{
    struct call *call = *state;
    (void)version;

    if (((struct door *)door)->api->is_ending && (call == NULL || !call->is_done)) {
        return MHD_NO; /* nobody is there to answer */
    }
    if (call == NULL) {
        call = begin(door, connection, url, method);
        *state = call;
        bool is_fine = api_head_is_fine(call);
        buf_init(&call->body, api_head_body_max(call));
        if (!is_fine) {
            call->is_refused = true;
            return queue(call);
        }
        return MHD_YES;
    }
    if (*data_len != 0) {
        take_body(call, data, *data_len);
        *data_len = 0;
        return call->discarded > DISCARD_MAX_TIMES * (uint64_t)api_head_body_max(call) ? MHD_NO
                                                                                       : MHD_YES;
    }
    return call->is_done ? queue(call) : handle(call);
}

void api_call_on_completed(void *door, struct MHD_Connection *connection, void **state,
                           enum MHD_RequestTerminationCode code)
{
    struct call *call = *state;
    (void)door;
    (void)connection;
    (void)code;
    if (call != NULL) {
        assert(!call->is_suspended);
        api_call_end_stream(call);
        api_idempotency_abandon(call->door->api->idempotency, &call->request);
        drop_body(call);
        call->door->api->reply_bytes -= call->reply_bytes;
        buf_fini(&call->request.reply.body);
        buf_fini(&call->request.changes);
        free(call->request.unescaped);
        free(call);
        *state = NULL;
    }
}
