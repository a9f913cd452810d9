#include "tests/bench/crowd.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    SCRATCH_BYTES = 256 * 1024,
    REQUEST_MAX = 2048,
    SLOW_MSS = 1460,
    SLOW_RCVBUF = 4096
};

/* A text message of WebSocket under a mask of zeros, and what the origin answers. */
static const char tunnel_question[] = "\x81\x85\0\0\0\0hello";
enum { TUNNEL_ANSWER_BYTES = 7 };

struct crowd_ask crowd_ask = {.path = "/b/1024", .connections = 64, .expect_bytes = UINT64_MAX};
struct crowd_sum crowd_sum;
struct client *crowd_clients;
struct latency crowd_latency;
bool crowd_measuring;

static char scratch[SCRATCH_BYTES];
static int epoll_fd;

_Noreturn void crowd_die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

uint64_t crowd_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void crowd_init(void)
{
    crowd_clients = calloc(crowd_ask.connections, sizeof(*crowd_clients));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (crowd_clients == NULL || epoll_fd < 0) {
        crowd_die("start");
    }
    for (uint32_t i = 0; i < crowd_ask.connections; i++) {
        crowd_clients[i].fd = -1;
    }
}

/* The host of the client's next request. */
static const char *host_make(char *out, size_t room, const struct client *client)
{
    if (crowd_ask.hosts == 0) {
        return "bench.test";
    }
    (void)snprintf(out, room, "h%u.bench.test",
                   ((uint32_t)(client - crowd_clients) * 7919U + client->asked * 104729U) %
                       crowd_ask.hosts);
    return out;
}

static size_t request_make(char *out, const struct client *client, const char *path)
{
    char host[64];
    if (crowd_ask.upgrade && !client->fresh) {
        memcpy(out, tunnel_question, sizeof(tunnel_question) - 1);
        return sizeof(tunnel_question) - 1;
    }
    int len =
        snprintf(out, REQUEST_MAX,
                 "GET %s HTTP/1.1\r\n"
                 "Host: %s\r\n"
                 "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 "
                 "Firefox/120.0\r\n"
                 "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;"
                 "q=0.8\r\n"
                 "Accept-Language: en-US,en;q=0.5\r\n"
                 "Accept-Encoding: gzip, deflate, br\r\n"
                 "Cookie: session=0123456789abcdef0123456789abcdef\r\n"
                 "Connection: %s\r\n"
                 "%s\r\n\r\n",
                 path, host_make(host, sizeof(host), client),
                 crowd_ask.upgrade      ? "Upgrade"
                 : crowd_ask.close_each ? "close"
                                        : "keep-alive",
                 crowd_ask.upgrade ? "Upgrade: websocket\r\n"
                                     "Sec-WebSocket-Version: 13\r\n"
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
                                   : "Upgrade-Insecure-Requests: 1");
    return (size_t)len;
}

static ssize_t client_recv(struct client *client, void *bytes, size_t room)
{
    return client->secure.ssl != NULL ? secure_read(&client->secure, bytes, room)
                                      : recv(client->fd, bytes, room, 0);
}

/* False: the connection is gone, or does not take a small request whole. */
static bool client_send(struct client *client, const void *bytes, size_t len)
{
    return (client->secure.ssl != NULL
                ? secure_write(&client->secure, bytes, len)
                : send(client->fd, bytes, len, MSG_NOSIGNAL)) == (ssize_t)len;
}

static void client_close(struct client *client)
{
    streams_free(client->streams);
    client->streams = NULL;
    secure_close(&client->secure);
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
    client->state = CLIENT_CLOSED;
    reader_reset(&client->reader);
}

void crowd_connect(struct client *client)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        crowd_die("socket");
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (crowd_ask.slow_bytes_per_s > 0) {
        /* A client behind a slow, ordinary network: Ethernet segments and a small window. */
        int mss = SLOW_MSS;
        int rcvbuf = SLOW_RCVBUF;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    client->fd = fd;
    client->state = CLIENT_CONNECTING;
    client->fresh = true;
    if (connect(fd, (const struct sockaddr *)&crowd_ask.to, sizeof(crowd_ask.to)) != 0 &&
        errno != EINPROGRESS) {
        crowd_die("connect");
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u32 = (uint32_t)(client - crowd_clients)};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        crowd_die("epoll_ctl");
    }
}

/* Sends what HTTP/2 has to say. */
static bool streams_flush(struct client *client)
{
    static char out[SCRATCH_BYTES];
    for (size_t len = 0; (len = streams_take(client->streams, out, sizeof(out))) > 0;) {
        if (!client_send(client, out, len)) {
            return false;
        }
    }
    return true;
}

static bool streams_ask_one(struct client *client, const char *path, uint64_t since_us)
{
    char host[64];
    const struct streams_question question = {.scheme = crowd_ask.tls ? "https" : "http",
                                              .host = host_make(host, sizeof(host), client),
                                              .path = path,
                                              .grpc = crowd_ask.grpc};
    client->asked++;
    if (!streams_ask(client->streams, &question, since_us)) {
        return false;
    }
    client->state = streams_open(client->streams) < crowd_ask.streams ? CLIENT_IDLE : CLIENT_ASKED;
    return client->feeding || streams_flush(client);
}

bool crowd_ask_one(struct client *client, const char *path, uint64_t since_us)
{
    char request[REQUEST_MAX];
    if (client->streams != NULL) {
        return streams_ask_one(client, path, since_us);
    }
    size_t len = request_make(request, client, path);
    client->asked++;
    client->since_us = since_us;
    client->state = CLIENT_ASKED;
    if (crowd_ask.upgrade && !client->fresh) {
        reader_raw(&client->reader, TUNNEL_ANSWER_BYTES);
    }
    return client_send(client, request, len);
}

void crowd_note_failed(void)
{
    if (crowd_measuring || crowd_ask.count_always) {
        crowd_sum.failed++;
    }
}

static void note_closed(void)
{
    if (crowd_measuring || crowd_ask.count_always) {
        crowd_sum.closed++;
    }
}

/* Is `body_bytes` what was to come? */
static bool body_is_right(uint64_t body_bytes)
{
    return crowd_ask.expect_bytes == UINT64_MAX || body_bytes == crowd_ask.expect_bytes;
}

static void count_answer(bool good, bool bad_status, uint64_t since_us)
{
    if (!good) {
        crowd_note_failed();
        if (bad_status) {
            crowd_sum.bad_status++;
        }
    }
    if (crowd_measuring) {
        latency_note(&crowd_latency, crowd_now_us() - since_us);
    }
    crowd_sum.done++;
}

/* One request of an HTTP/2 connection is over; called by streams_feed(). */
static void on_stream_answer(void *owner, const struct streams_answer *answer)
{
    struct client *client = owner;
    bool good = answer->whole && answer->status == 200 && body_is_right(answer->body_bytes);
    count_answer(good, answer->status != 200, answer->since_us);
    client->fresh = false;
    client->state = CLIENT_IDLE;
    crowd_ask.on_idle(client);
}

static void on_answer(struct client *client)
{
    struct reader *reader = &client->reader;
    bool is_upgrade = crowd_ask.upgrade && client->fresh;
    bool is_tunnel = crowd_ask.upgrade && !client->fresh;
    uint16_t want = is_upgrade ? 101 : is_tunnel ? 0 : 200;
    bool good = reader->state == READER_DONE && reader->status == want &&
                (is_upgrade || is_tunnel || body_is_right(reader->body_bytes));
    bool closes = !is_upgrade && (reader->closes || reader->state == READER_BAD);
    count_answer(good, reader->status != want, client->since_us);
    reader_reset(reader);
    client->fresh = false;
    client->state = CLIENT_IDLE;
    if (crowd_ask.close_each) {
        client_close(client);
    } else if (closes) {
        note_closed();
        client_close(client);
    }
    if (client->state == CLIENT_IDLE) {
        crowd_ask.on_idle(client);
    } else {
        crowd_ask.on_lost(client);
    }
}

uint32_t crowd_unanswered(const struct client *client)
{
    return client->streams != NULL ? streams_open(client->streams)
                                   : (uint32_t)(client->state == CLIENT_ASKED);
}

/* The connection is gone, or speaks nonsense. */
static void client_lose(struct client *client)
{
    uint32_t unanswered = crowd_unanswered(client);
    for (uint32_t i = 0; i < unanswered; i++) {
        crowd_note_failed();
    }
    if (!crowd_ask.close_each && client->state != CLIENT_CONNECTING) {
        note_closed();
    }
    client_close(client);
    crowd_ask.on_lost(client);
}

static void streams_read(struct client *client)
{
    for (;;) {
        ssize_t got = client_recv(client, scratch, SCRATCH_BYTES);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
        client->feeding = true;
        bool well = got > 0 && streams_feed(client->streams, scratch, (size_t)got);
        client->feeding = false;
        if (!well) {
            client_lose(client);
            return;
        }
        if (client->secure.ssl == NULL && got < SCRATCH_BYTES) {
            break;
        }
    }
    if (!streams_flush(client)) {
        client_lose(client);
    }
}

void crowd_read(struct client *client, size_t most)
{
    if (client->streams != NULL) {
        streams_read(client);
        return;
    }
    for (;;) {
        size_t room = most < SCRATCH_BYTES ? most : SCRATCH_BYTES;
        ssize_t got = client_recv(client, scratch, room);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            client_lose(client);
            return;
        }
        if (client->state != CLIENT_ASKED) {
            crowd_note_failed(); /* bytes nobody asked for */
            client_close(client);
            crowd_ask.on_lost(client);
            return;
        }
        (void)reader_feed(&client->reader, scratch, (size_t)got);
        if (client->reader.state == READER_DONE || client->reader.state == READER_BAD) {
            on_answer(client);
            return;
        }
        if ((client->secure.ssl == NULL && (size_t)got < room) || most < SCRATCH_BYTES) {
            return;
        }
    }
}

/* The connection can be spoken on: on_idle for every request that it may make. */
static void client_ready(struct client *client)
{
    client->state = CLIENT_IDLE;
    if (crowd_ask.streams == 0) {
        crowd_ask.on_idle(client);
        return;
    }
    client->streams = streams_new(client, on_stream_answer);
    client->feeding = true;
    for (uint32_t i = 0; i < crowd_ask.streams; i++) {
        crowd_ask.on_idle(client);
    }
    client->feeding = false;
    if (!streams_flush(client)) {
        client_lose(client);
    }
}

static void client_secure(struct client *client)
{
    switch (secure_handshake(&client->secure)) {
    case SECURE_DONE:
        if (crowd_ask.resume && crowd_measuring && !client->secure.resumed) {
            crowd_sum.full++;
        }
        client_ready(client);
        return;
    case SECURE_MORE:
        return;
    case SECURE_BAD:
        crowd_note_failed();
        client_close(client);
        crowd_ask.on_lost(client);
        return;
    }
}

static void on_event(struct client *client, uint32_t events)
{
    if (client->state == CLIENT_SECURING) {
        client_secure(client);
        return;
    }
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    if (client->state == CLIENT_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        (void)getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            crowd_note_failed();
            client_close(client);
            crowd_ask.on_lost(client);
            return;
        }
        if ((events & EPOLLOUT) == 0) {
            return;
        }
        if (crowd_ask.tls) {
            client->state = CLIENT_SECURING;
            secure_open(&client->secure, client->fd);
            client_secure(client);
        } else {
            client_ready(client);
        }
        return;
    }
    if (crowd_ask.slow_bytes_per_s == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        int fd = client->fd;
        crowd_read(client, SIZE_MAX);
        if ((events & EPOLLRDHUP) != 0 && client->fd == fd && client->state == CLIENT_IDLE) {
            crowd_read(client, SIZE_MAX); /* the end came with the answer: one edge for both */
        }
    }
}

bool crowd_turn(uint64_t timeout_us)
{
    static struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {.tv_sec = (time_t)(timeout_us / 1000000),
                               .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    int count = epoll_pwait2(epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        on_event(&crowd_clients[events[i].data.u32], events[i].events);
    }
    return count > 0;
}

void crowd_turn_until(const uint64_t *value, uint64_t want)
{
    uint64_t last_us = crowd_now_us();
    while (*value < want) {
        uint64_t before = *value + crowd_sum.failed;
        (void)crowd_turn(100000);
        if (*value + crowd_sum.failed != before) {
            last_us = crowd_now_us();
        } else if (crowd_now_us() - last_us > CROWD_STALL_MS * 1000ULL) {
            (void)fprintf(stderr, "bench_load: stalled at %" PRIu64 " of %" PRIu64 "\n", *value,
                          want);
            exit(EXIT_FAILURE);
        }
    }
}
