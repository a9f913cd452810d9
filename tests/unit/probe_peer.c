#include "tests/unit/probe_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_session.h"

struct peer_conn {
    struct list_node link;
    struct probe_peer *peer;
    int fd;
    struct loop_watch watch;
    struct loop_ready ready;
    uint32_t request_len;
    char request[sizeof(((struct probe_peer *)0)->request)];
    size_t sent;
    struct tls_session *tls; /* NULL: clear */
};

/* -1 with EAGAIN: not now. */
static ssize_t receive(struct peer_conn *conn, char *out, size_t len)
{
    size_t got = 0;
    if (conn->tls == NULL) {
        return recv(conn->fd, out, len, 0);
    }
    enum tls_verdict verdict = TLS_DONE;
    if (!tls_session_is_open(conn->tls)) {
        verdict = tls_session_handshake(conn->tls);
    }
    if (verdict == TLS_DONE) {
        verdict = tls_session_read(conn->tls, out, len, &got);
    }
    errno = EAGAIN;
    if (verdict == TLS_WANT_READ || verdict == TLS_WANT_WRITE) {
        return -1;
    }
    return verdict == TLS_DONE ? (ssize_t)got : 0;
}

static ssize_t transmit(struct peer_conn *conn, const char *data, size_t len)
{
    size_t taken = 0;
    if (conn->tls == NULL) {
        return send(conn->fd, data, len, MSG_NOSIGNAL);
    }
    return tls_session_write(conn->tls, data, len, &taken) == TLS_DONE ? (ssize_t)taken : -1;
}

static void conn_free(struct peer_conn *conn)
{
    loop_watch_stop(&conn->watch);
    loop_ready_remove(&conn->ready);
    list_remove(&conn->link);
    if (conn->tls != NULL) {
        (void)tls_session_shut(conn->tls);
        tls_session_free(conn->tls);
    }
    (void)close(conn->fd);
    free(conn);
}

static void on_send(struct loop_ready *ready)
{
    struct peer_conn *conn = container_of(ready, struct peer_conn, ready);
    struct probe_peer *peer = conn->peer;
    if (peer->resets) {
        struct linger now = {.l_onoff = 1};
        ck_assert_int_eq(setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        conn_free(conn);
        return;
    }
    size_t len = peer->answer != NULL ? strlen(peer->answer) : 0;
    if (conn->sent < len) {
        size_t part = len - conn->sent;
        part = peer->chunk != 0 && part > peer->chunk ? peer->chunk : part;
        ssize_t sent = transmit(conn, peer->answer + conn->sent, part);
        if (sent < 0) {
            conn_free(conn);
            return;
        }
        conn->sent += (size_t)sent;
        loop_ready_put(peer->loop, ready, on_send);
        return;
    }
    if (peer->closes) {
        conn_free(conn);
    } else if (peer->stays) {
        conn->request_len = 0;
        conn->sent = 0;
    }
}

static void on_read(struct loop_watch *watch, unsigned events)
{
    struct peer_conn *conn = container_of(watch, struct peer_conn, watch);
    (void)events;
    ssize_t got = receive(conn, conn->request + conn->request_len,
                          sizeof(conn->request) - 1 - conn->request_len);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        conn_free(conn);
        return;
    }
    conn->request_len += (uint32_t)got;
    conn->request[conn->request_len] = '\0';
    if (conn->peer->greets) {
        memcpy(conn->peer->request, conn->request, sizeof(conn->request));
    } else if (strstr(conn->request, conn->peer->ends != NULL ? conn->peer->ends : "\r\n\r\n") !=
               NULL) {
        memcpy(conn->peer->request, conn->request, sizeof(conn->request));
        loop_ready_put(conn->peer->loop, &conn->ready, on_send);
    }
}

static void on_accept(struct loop_watch *watch, unsigned events)
{
    struct probe_peer *peer = container_of(watch, struct probe_peer, watch);
    (void)events;
    int fd = accept4(peer->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    peer->accepted++;
    struct peer_conn *conn = mem_zero(1, sizeof(*conn));
    conn->peer = peer;
    conn->fd = fd;
    if (peer->tls != NULL) {
        struct err err;
        conn->tls = tls_session_new(peer->tls, fd, NULL, &err);
        ck_assert_ptr_nonnull(conn->tls);
    }
    list_push_back(&peer->conns, &conn->link);
    ck_assert(loop_watch_start(peer->loop, &conn->watch, fd, LOOP_READ, on_read));
    if (peer->greets) {
        loop_ready_put(peer->loop, &conn->ready, on_send);
    }
}

void probe_peer_init(struct probe_peer *peer, struct loop *loop, const char *unix_path)
{
    *peer = (struct probe_peer){.loop = loop};
    list_init(&peer->conns);
    if (unix_path != NULL) {
        char text[ADDR_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "unix:%s", unix_path);
        ck_assert(addr_parse(slice_from(text), &peer->address));
    } else {
        ck_assert(addr_parse(SLICE("127.0.0.1:0"), &peer->address));
    }
    peer->fd = socket(peer->address.u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(peer->fd, 0);
    ck_assert_int_eq(bind(peer->fd, &peer->address.u.any, peer->address.len), 0);
    ck_assert_int_eq(listen(peer->fd, 512), 0);
    if (unix_path == NULL) {
        socklen_t len = sizeof(peer->address.u);
        ck_assert_int_eq(getsockname(peer->fd, &peer->address.u.any, &len), 0);
        peer->address.len = len;
    }
    ck_assert(loop_watch_start(loop, &peer->watch, peer->fd, LOOP_READ, on_accept));
}

void probe_peer_fini(struct probe_peer *peer)
{
    struct list_node *node;
    while ((node = list_first(&peer->conns)) != NULL) {
        conn_free(list_entry(node, struct peer_conn, link));
    }
    loop_watch_stop(&peer->watch);
    (void)close(peer->fd);
}

uint32_t probe_peer_open(const struct probe_peer *peer)
{
    uint32_t open = 0;
    const struct list_node *node;
    list_for_each (node, &peer->conns) {
        open++;
    }
    return open;
}

/* --- the field --- */

const struct conf_health_check probe_field_tcp = {.type = CONF_CHECK_TCP, .timeout_ms = 2000};
const struct conf_health_check probe_field_http = {
    .type = CONF_CHECK_HTTP,
    .method = {"GET", 3},
    .path = {"/health", 7},
    .expect_classes = 1U << 2U,
    .timeout_ms = 2000,
};

void probe_field_init(struct probe_field *field)
{
    struct err err;
    *field = (struct probe_field){0};
    field->loop = loop_new(&err);
    ck_assert_ptr_nonnull(field->loop);
    probe_peer_init(&field->peer, field->loop, NULL);
}

void probe_field_fini(struct probe_field *field)
{
    probe_peer_fini(&field->peer);
    loop_free(field->loop);
}

void probe_field_note(const struct health_probe_result *result, void *arg)
{
    struct probe_field *field = arg;
    field->done = true;
    field->calls++;
    field->verdict = result->verdict;
    field->duration_us = result->duration_us;
    (void)snprintf(field->text, sizeof(field->text), "%s", result->text);
    field->is_degraded = result->is_degraded;
    (void)snprintf(field->capabilities, sizeof(field->capabilities), "%.*s",
                   SLICE_ARG(result->capabilities));
}

void probe_field_run(struct probe_field *field, const struct conf_health_check *check,
                     const struct addr *address)
{
    struct health_probe_plan *plan = health_probe_plan_new(check);
    field->done = false;
    const struct health_probe_server server = {.address = address,
                                               .authority = SLICE("server.test:80"),
                                               .tls = field->tls,
                                               .tls_name = field->tls_name};
    (void)health_probe_start(field->loop, plan, &server, probe_field_note, field);
    health_probe_plan_unref(plan); /* the probe holds it */
    ck_assert(!field->done);
    for (uint32_t i = 0; i < 20000 && !field->done; i++) {
        loop_run_once(field->loop, 20);
    }
    ck_assert(field->done);
}

void probe_field_expect(const struct probe_field *field, enum health_probe_verdict verdict,
                        const char *text)
{
    ck_assert_msg(field->verdict == verdict && strncmp(field->text, text, strlen(text)) == 0,
                  "got %d \"%s\", wanted %d \"%s\"", (int)field->verdict, field->text, (int)verdict,
                  text);
}
