#include "api/api_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/net/conn.h"
#include "lbd/net/sock_opt.h"
#include "lbd/tls/tls_conn.h"

#define PIECE_BYTES      16384U
#define PIECES_A_TURN    16
#define ACCEPTS_A_TURN   16
#define PASS_MAX_US      4000U /* of the loop's pass: no handshake begins after it */
#define FAREWELL_MS      5000U /* for the client to take the rest and to end its side */
#define NO_DESCRIPTOR_MS 100U  /* then accept is tried again */

struct api_front {
    struct api_front_options options;
    struct tls_context *context;
    struct loop_watch watch;
    struct loop_timer pause;
    struct list_node bridges; /* newest first */
    uint32_t count;
};

struct bridge {
    struct list_node link;
    struct api_front *front;
    struct conn outer; /* the client, TLS */
    struct conn inner; /* our end of the pair */
    bool is_open;      /* the handshake is over, the pair is there */
    bool is_closed;
    bool client_ended; /* ... its sending */
    bool server_ended;
    bool server_is_deaf; /* it reads no more */
    int given_fd;        /* the other end of the pair; a number only */
    struct sockaddr_storage from;
    socklen_t from_len;
    char ip[ADDR_TEXT_MAX];
    struct tls_names names;
};

/* -- certificates -- */

/* As a C string in `out`; NULL when it is empty. Settings are no longer than 4,095 bytes. */
static const char *text_of(struct slice s, char *out, size_t size)
{
    if (s.len == 0) {
        return NULL;
    }
    (void)snprintf(out, size, "%.*s", SLICE_ARG(s));
    return out;
}

struct tls_context *api_front_context(const struct conf_api *conf, struct err *err)
{
    char chain[4096];
    char key[4096];
    char ca[4096];
    const struct tls_context_options options = {
        .is_server = true,
        .chain_file = text_of(conf->tls.chain_file, chain, sizeof(chain)),
        .key_file = text_of(conf->tls.key_file, key, sizeof(key)),
        .ca_file = text_of(conf->tls.client_ca_file, ca, sizeof(ca)),
        .min_version = conf->tls.min_version == CONF_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
        .protocol = "http/1.1",
    };
    struct err why = {0};
    struct tls_context *context = tls_context_new(&options, &why);
    if (context == NULL) {
        char place[160];
        bool is_ca = strcmp(why.place, "ca_file") == 0; /* it has a longer name there */
        (void)snprintf(place, sizeof(place), "/daemon/api/tls%s%s%s",
                       why.place[0] != '\0' ? "/" : "", is_ca ? "client_" : "", why.place);
        (void)err_set_at(err, why.kind, place, "daemon.api.tls: %s", why.text);
    }
    return context;
}

/* All fronts have the same certificate. */
static uint64_t not_after_us;

uint64_t api_front_not_after_us(void)
{
    return not_after_us;
}

static void say_news(const struct api_front *front, enum tls_context_news news,
                     const struct err *err)
{
    not_after_us = tls_context_not_after_us(front->context);
    switch (news) {
    case TLS_CONTEXT_SAME:
        break;
    case TLS_CONTEXT_READ:
        log_info("api.certificate_read", "do=use_for_new_connections");
        break;
    case TLS_CONTEXT_BAD:
        log_error("api.certificate_kept", "why=\"%s\" do=keep_the_old_one", err->text);
        break;
    }
}

void api_front_reload(struct api_front *front)
{
    struct err err = {0};
    enum tls_context_news news = tls_context_reload(&front->context, &err);
    say_news(front, news, &err);
}

/* -- the end of a bridge -- */

static void on_grave(struct loop_grave *grave)
{
    free(container_of(grave, struct bridge, outer.queue.grave));
}

static void close_bridge(struct bridge *bridge)
{
    if (bridge->is_closed) {
        return;
    }
    bridge->is_closed = true;
    list_remove(&bridge->link);
    bridge->front->count--;
    conn_close(&bridge->outer);
    if (bridge->is_open) {
        conn_close(&bridge->inner);
    }
    loop_bury(bridge->front->options.loop, &bridge->outer.queue.grave, on_grave);
}

/* -- bytes -- */

/* What the client sends goes to the server, while that takes it. A server that has answered and
 * hears no more is no reason to cut its answer: the rest is read and dropped. */
static void pass_in(struct bridge *bridge)
{
    char bytes[PIECE_BYTES];
    struct conn *from = &bridge->outer;
    struct conn *to = &bridge->inner;
    for (int i = 0;
         !bridge->is_closed && !bridge->client_ended &&
         (bridge->server_is_deaf || !conn_is_blocked(to)) && (from->flags & CONN_READ_READY) != 0;
         i++) {
        size_t got = 0;
        if (i == PIECES_A_TURN) {
            conn_again(from);
            return;
        }
        enum conn_read_verdict verdict = conn_read(from, bytes, sizeof(bytes), &got);
        struct iovec piece = {.iov_base = bytes, .iov_len = got};
        switch (verdict) {
        case CONN_READ_BYTES:
            bridge->server_is_deaf = bridge->server_is_deaf || !conn_write(to, &piece, 1);
            conn_look_again(from); /* a reset may lie behind the bytes */
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
            bridge->client_ended = true;
            conn_shut(to);
            return;
        case CONN_READ_FAILED:
            close_bridge(bridge);
            return;
        }
    }
}

/* What the server says goes to the client, while that takes it. */
static void pass_out(struct bridge *bridge)
{
    char bytes[PIECE_BYTES];
    struct conn *from = &bridge->inner;
    struct conn *to = &bridge->outer;
    for (int i = 0; !bridge->is_closed && !bridge->server_ended && !conn_is_blocked(to) &&
                    (from->flags & CONN_READ_READY) != 0;
         i++) {
        size_t got = 0;
        if (i == PIECES_A_TURN) {
            conn_again(from);
            return;
        }
        enum conn_read_verdict verdict = conn_read(from, bytes, sizeof(bytes), &got);
        struct iovec piece = {.iov_base = bytes, .iov_len = got};
        switch (verdict) {
        case CONN_READ_BYTES:
            if (!conn_write(to, &piece, 1)) {
                close_bridge(bridge);
                return;
            }
            break;
        case CONN_READ_NOTHING:
            return;
        case CONN_READ_END:
        case CONN_READ_FAILED: /* it closed with bytes of the client unread */
            bridge->server_ended = true;
            conn_shut(to);
            return;
        }
    }
}

static void pump(struct bridge *bridge)
{
    pass_in(bridge);
    pass_out(bridge);
    if (bridge->is_closed || !bridge->server_ended) {
        return;
    }
    if (bridge->client_ended && !conn_is_blocked(&bridge->outer)) {
        close_bridge(bridge);
    } else if (!loop_timer_is_set(&bridge->outer.timer)) {
        conn_deadline(&bridge->outer, FAREWELL_MS);
    }
}

static void on_inner(struct conn *conn)
{
    pump(container_of(conn, struct bridge, inner));
}

static void on_nothing(struct conn *conn)
{
    (void)conn; /* the inner side has no deadline */
}

static const struct conn_ops inner_ops = {
    .on_readable = on_inner, .on_room = on_inner, .on_timeout = on_nothing};

/* -- the handshake -- */

/* Whoever had this number has it no longer: the server has closed that end, and what is left of
 * the bridge only waits for its client. */
static void forget_number(struct api_front *front, int fd)
{
    struct list_node *node = NULL;
    list_for_each (node, &front->bridges) {
        struct bridge *other = list_entry(node, struct bridge, link);
        other->given_fd = other->given_fd == fd ? -1 : other->given_fd;
    }
}

/* The connection behind TLS begins. False: it does not. */
static bool open_inner(struct bridge *bridge)
{
    struct api_front *front = bridge->front;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    conn_init(&bridge->inner, front->options.loop, pair[0], &inner_ops);
    bridge->is_open = true; /* the inner one is to be closed */
    forget_number(front, pair[1]);
    bridge->given_fd = pair[1];
    if (!conn_watch(&bridge->inner)) {
        (void)close(pair[1]);
        return false;
    }
    return front->options.give(front->options.arg, pair[1], (const struct sockaddr *)&bridge->from,
                               bridge->from_len);
}

static void shake(struct bridge *bridge)
{
    if (loop_pass_us(bridge->front->options.loop) > PASS_MAX_US) {
        conn_again(&bridge->outer); /* many at once take turns with health checks and requests */
        return;
    }
    if (bridge->outer.transport->handshake(&bridge->outer) != 0) {
        if (errno != EAGAIN) {
            api_guard_note_handshake(bridge->front->options.guard, bridge->ip,
                                     tls_session_why(tls_conn_session(&bridge->outer)));
            close_bridge(bridge);
        }
        return;
    }
    conn_no_deadline(&bridge->outer);
    tls_session_peer_names(tls_conn_session(&bridge->outer), &bridge->names);
    log_debug("api.handshake", "from=%s version=%s name=\"%.*s\"", bridge->ip,
              tls_session_version(tls_conn_session(&bridge->outer)),
              SLICE_ARG(bridge->names.count != 0 ? bridge->names.items[0] : SLICE_NONE));
    if (!open_inner(bridge)) {
        close_bridge(bridge);
    } else {
        pump(bridge);
    }
}

static void on_outer(struct conn *conn)
{
    struct bridge *bridge = container_of(conn, struct bridge, outer);
    if (bridge->is_open) {
        pump(bridge);
    } else {
        shake(bridge);
    }
}

static void on_outer_timeout(struct conn *conn)
{
    struct bridge *bridge = container_of(conn, struct bridge, outer);
    if (!bridge->is_open) {
        api_guard_note_handshake(bridge->front->options.guard, bridge->ip, "it took too long");
    }
    close_bridge(bridge);
}

static const struct conn_ops outer_ops = {
    .on_readable = on_outer, .on_room = on_outer, .on_timeout = on_outer_timeout};

/* -- who comes in -- */

static bool may_come_in(const struct api_front *front, const struct bridge *bridge)
{
    const struct conf_api_limits *limits = &front->options.conf->limits;
    struct list_node *node = NULL;
    uint32_t same = 0;
    if (front->count >= limits->connections) {
        return false;
    }
    list_for_each (node, &front->bridges) {
        same += strcmp(list_entry(node, struct bridge, link)->ip, bridge->ip) == 0 ? 1U : 0U;
    }
    return same < limits->connections_per_address;
}

static void receive(struct api_front *front, int fd, const struct sockaddr_storage *from,
                    socklen_t len)
{
    struct addr_small small;
    struct err err = {0};
    struct bridge *bridge = mem_zero(1, sizeof(*bridge));
    bridge->front = front;
    bridge->given_fd = -1;
    bridge->from = *from;
    bridge->from_len = len;
    addr_small_from(&small, (const struct sockaddr *)from);
    (void)addr_small_write_ip(&small, bridge->ip);
    conn_init(&bridge->outer, front->options.loop, fd, &outer_ops);
    if (!may_come_in(front, bridge) || !tls_conn_init(&bridge->outer, front->context, NULL, &err)) {
        log_debug("api.connection_refused", "from=%s connections=%u", bridge->ip, front->count);
        conn_close(&bridge->outer);
        free(bridge);
        return;
    }
    list_push_front(&front->bridges, &bridge->link);
    front->count++;
    conn_deadline(&bridge->outer, front->options.conf->limits.handshake_timeout_ms);
    if (!conn_watch(&bridge->outer)) {
        close_bridge(bridge);
    }
}

static void on_accept(struct loop_watch *watch, unsigned ready);

static void on_pause_over(struct loop_timer *timer)
{
    struct api_front *front = container_of(timer, struct api_front, pause);
    if (!loop_watch_start(front->options.loop, &front->watch, front->options.fd, LOOP_READ,
                          on_accept)) {
        loop_timer_set(front->options.loop, &front->pause, NO_DESCRIPTOR_MS, on_pause_over);
    }
}

static void on_accept(struct loop_watch *watch, unsigned ready)
{
    struct api_front *front = container_of(watch, struct api_front, watch);
    (void)ready;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd = accept4(front->options.fd, (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct err err = {0};
            enum tls_context_news news = tls_context_refresh(&front->context, &err);
            say_news(front, news, &err);
            receive(front, fd, &from, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            loop_watch_stop(&front->watch); /* or it would turn without end */
            loop_timer_set(front->options.loop, &front->pause, NO_DESCRIPTOR_MS, on_pause_over);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

struct api_front *api_front_new(const struct api_front_options *options, struct err *err)
{
    struct api_front *front = mem_zero(1, sizeof(*front));
    front->options = *options;
    list_init(&front->bridges);
    front->context = api_front_context(options->conf, err);
    if (front->context != NULL &&
        !loop_watch_start(options->loop, &front->watch, options->fd, LOOP_READ, on_accept)) {
        (void)err_set(err, ERR_SYSTEM, "cannot watch a socket of the API");
        tls_context_unref(front->context);
        front->context = NULL;
    }
    if (front->context == NULL) {
        (void)close(options->fd);
        free(front);
        return NULL;
    }
    sock_opt_listening(options->fd, AF_INET, false);
    not_after_us = tls_context_not_after_us(front->context);
    return front;
}

void api_front_free(struct api_front *front)
{
    struct list_node *node = NULL;
    if (front == NULL) {
        return;
    }
    while ((node = list_first(&front->bridges)) != NULL) {
        close_bridge(list_entry(node, struct bridge, link));
    }
    loop_watch_stop(&front->watch);
    loop_timer_stop(&front->pause);
    (void)close(front->options.fd);
    tls_context_unref(front->context);
    not_after_us = 0;
    free(front);
}

bool api_front_is_named(const struct api_front *front, struct slice host)
{
    return tls_context_is_for(front->context, host);
}

const struct tls_names *api_front_names(const struct api_front *front, int fd)
{
    struct list_node *node = NULL;
    list_for_each (node, &front->bridges) {
        const struct bridge *bridge = list_entry(node, struct bridge, link);
        if (bridge->given_fd == fd) {
            return &bridge->names;
        }
    }
    return NULL;
}
