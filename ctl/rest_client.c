#include "ctl/rest_client.h"

#include <string.h>

#include "ctl/rest_wire.h"
#include "ctl/shell_word.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd_version.h"

enum { READ_BYTES = 64 * 1024, HEAD_MAX = 64 * 1024 };

void rest_client_append_segment(struct buf *path, struct slice segment)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    buf_append_char(path, '/');
    for (size_t i = 0; i < segment.len; i++) {
        char byte = segment.ptr[i];
        if (byte != '\0' && strchr(plain, byte) != NULL) {
            buf_append_char(path, byte);
        } else {
            buf_printf(path, "%%%02X", (unsigned)(unsigned char)byte);
        }
    }
}

static void trace_word(FILE *out, struct slice word)
{
    struct buf text;
    buf_init(&text, HEAD_MAX);
    shell_word_append(&text, word);
    (void)fputc(' ', out);
    (void)fwrite(text.data, 1, text.len, out);
    buf_fini(&text);
}

static void trace_option(FILE *out, const char *option, const char *value)
{
    if (value != NULL) {
        (void)fprintf(out, " %s", option);
        trace_word(out, slice_from(value));
    }
}

/* A trace ends up in tickets and mails. */
static bool is_secret(struct slice body)
{
    return body.len != 0 && memmem(body.ptr, body.len, "PRIVATE KEY-----", 16) != NULL;
}

static void trace(const struct rest_client *client, const struct rest_request *request)
{
    enum { INLINE_BODY_MAX = 400 };
    FILE *out = client->trace;
    bool is_unix = client->endpoint->socket != NULL;
    struct buf url;
    buf_init(&url, HEAD_MAX);
    buf_printf(&url, "%s%s", is_unix ? "http://lbd" : client->endpoint->url, request->target);

    (void)fputs("curl", out);
    trace_option(out, "--unix-socket", client->endpoint->socket);
    trace_option(out, "--cacert", client->endpoint->ca_file);
    trace_option(out, "--cert", client->endpoint->cert_file);
    trace_option(out, "--key", client->endpoint->key_file);
    if (client->endpoint->token_file != NULL) {
        (void)fputs(" -H \"Authorization: Bearer $(cat", out);
        trace_word(out, slice_from(client->endpoint->token_file));
        (void)fputs(")\"", out);
    }
    if (strcmp(request->method, "GET") != 0) {
        (void)fputs(" -X", out);
        trace_word(out, slice_from(request->method));
    }
    bool is_piped = false;
    if (request->content_type != NULL) {
        (void)fprintf(out, " -H 'Content-Type: %s' --data-binary", request->content_type);
        if (request->body.len <= INLINE_BODY_MAX && !is_secret(request->body) &&
            memchr(request->body.ptr, '\0', request->body.len) == NULL) {
            trace_word(out, request->body);
        } else {
            is_piped = true;
            (void)fputs(" @-", out);
        }
    }
    if (request->if_match != NULL) {
        (void)fprintf(out, " -H 'If-Match: %s'", request->if_match);
    }
    if (request->if_none) {
        (void)fputs(" -H 'If-None-Match: *'", out);
    }
    if (request->accept != NULL) {
        (void)fprintf(out, " -N -H 'Accept: %s'", request->accept);
    }
    if (request->last_event != NULL) {
        (void)fprintf(out, " -H 'Last-Event-ID: %s'", request->last_event);
    }
    trace_word(out, buf_slice(&url));
    if (is_piped) {
        (void)fprintf(out, " # %zu bytes", request->body.len);
    }
    (void)fputc('\n', out);
    buf_fini(&url);
}

static bool too_late(const struct rest_client *client, struct err *err)
{
    return err_set_at(err, ERR_PRECONDITION, endpoint_name(client->endpoint),
                      "no answer within %llu ms (--timeout)",
                      (unsigned long long)client->timeout_ms);
}

static bool receive(const struct rest_client *client, struct rest_wire *wire,
                    struct rest_reply *reply, uint64_t deadline_ms, struct err *err)
{
    static char bytes[READ_BYTES];
    enum rest_verdict verdict = REST_MORE;
    while (verdict == REST_MORE) {
        size_t got = 0;
        switch (rest_wire_receive(wire, bytes, sizeof(bytes), &got, deadline_ms)) {
        case REST_WIRE_BYTES:
            if (reply->take != NULL) {
                deadline_ms = now_ms() + client->timeout_ms;
            }
            verdict = rest_reply_feed(reply, slice_of(bytes, got), err);
            break;
        case REST_WIRE_END:
            verdict = rest_reply_end(reply, err);
            break;
        case REST_WIRE_LATE:
            return too_late(client, err);
        case REST_WIRE_FAILED:
            return err_set(err, ERR_UNAVAILABLE, "lbd at %s went away: %s",
                           endpoint_name(client->endpoint), rest_wire_why(wire));
        }
    }
    return verdict == REST_DONE;
}

static void write_host(const struct endpoint *endpoint, struct buf *head)
{
    if (endpoint->socket != NULL) {
        buf_append_text(head, "Host: lbd\r\n");
        return;
    }
    bool is_v6 = strchr(endpoint->host, ':') != NULL;
    buf_printf(head, "Host: %s%s%s:%s\r\n", is_v6 ? "[" : "", endpoint->host, is_v6 ? "]" : "",
               endpoint->port);
}

/* The token stands in it: to be wiped. */
static void write_head(const struct rest_client *client, const struct rest_request *request,
                       const char *token, struct buf *head)
{
    buf_printf(head, "%s %s HTTP/1.1\r\n", request->method, request->target);
    write_host(client->endpoint, head);
    if (token[0] != '\0') {
        buf_printf(head, "Authorization: Bearer %s\r\n", token);
    }
    buf_printf(head,
               "User-Agent: lbctl/%s\r\n"
               "Accept: %s, application/problem+json\r\nConnection: close\r\n",
               LBD_VERSION, request->accept != NULL ? request->accept : "application/json");
    if (request->last_event != NULL) {
        buf_printf(head, "Last-Event-ID: %s\r\n", request->last_event);
    }
    if (request->content_type != NULL) {
        buf_printf(head, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->content_type,
                   request->body.len);
    }
    if (request->if_match != NULL) {
        buf_printf(head, "If-Match: %s\r\n", request->if_match);
    }
    if (request->if_none) {
        buf_append_text(head, "If-None-Match: *\r\n");
    }
    buf_append_text(head, "\r\n");
}

bool rest_client_ask(const struct rest_client *client, const struct rest_request *request,
                     struct rest_reply *reply, struct err *err)
{
    bool ok = false;
    enum rest_wire_verdict sent = REST_WIRE_BYTES;
    struct buf head;
    struct rest_wire wire;
    char token[ENDPOINT_TOKEN_MAX];
    uint64_t deadline_ms = now_ms() + client->timeout_ms;
    rest_reply_clear(reply);
    if (client->trace != NULL) {
        trace(client, request);
    }
    if (!endpoint_read_token(client->endpoint, token, err) ||
        !rest_wire_open(&wire, client->endpoint, deadline_ms, err)) {
        mem_wipe(token, sizeof(token));
        return false;
    }
    buf_init(&head, HEAD_MAX);
    write_head(client, request, token, &head);
    mem_wipe(token, sizeof(token));
    if (head.overflow) {
        err_set(err, ERR_INVALID, "the name is too long");
        goto out;
    }
    sent = rest_wire_send(&wire, buf_slice(&head), deadline_ms);
    if (sent == REST_WIRE_BYTES && request->content_type != NULL) {
        sent = rest_wire_send(&wire, request->body, deadline_ms);
    }
    /* who reads no more may have answered (RFC 9112 9.3) */
    if (sent == REST_WIRE_LATE) {
        (void)too_late(client, err);
    } else if (sent == REST_WIRE_FAILED) {
        (void)err_set(err, ERR_SYSTEM, "cannot send to %s: %s", endpoint_name(client->endpoint),
                      rest_wire_why(&wire));
    } else {
        ok = receive(client, &wire, reply, deadline_ms, err);
    }
out:
    if (head.data != NULL) {
        mem_wipe(head.data, head.len);
    }
    buf_fini(&head);
    rest_wire_close(&wire);
    return ok;
}
