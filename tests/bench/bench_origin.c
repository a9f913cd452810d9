/*
 * bench_origin - the server behind every proxy of the benchmark: lean, so that it is never what is
 * measured.
 *
 *     bench_origin [--port P] [--addresses N] [--stall MS]
 *
 * One thread, epoll, HTTP/1.1 keep-alive, GET only; HTTP/2 in clear on the same port, see
 * origin_streams. The path says what to answer:
 *
 *     /b/<bytes>             a body of so many bytes, Content-Length
 *     /chunked/<n>/<bytes>   n chunks of so many bytes each
 *     /gate/<n>/<bytes>      as /b, but held back until n requests wait at the gate
 *                            (or GATE_MS passed): all n are in flight at the same moment
 *     /busy                  503, as a server in trouble says
 *     /count                 how many requests there were so far, as a body
 *     /ws                    101 to WebSocket; whatever comes then is answered by one message
 *
 * Listens on 127.0.0.1 and, with --addresses, on N further loopback addresses 127.1.x.y of the same
 * port, so that a pool can have many servers. With --stall the first of those takes MS milliseconds
 * for each answer to /b. Prints the port, then runs until SIGTERM.
 *
 * Limits: a request head of at most 8 KiB that arrives whole or is kept; 19,000 connections.
 * Threads: the main thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/origin_streams.h"

enum {
    HEAD_MAX = 8192,
    BODY_MAX = 8 << 20,
    OUT_MAX = 64 << 10,
    ANSWERS_MAX = 64,
    EVENTS_MAX = 512,
    FD_MAX = 20000,
    GATE_MS = 20000
};

/* An answer as it goes out, made once per path. */
struct answer {
    char path[64];
    char *bytes; /* owned */
    size_t len;
    uint32_t gate; /* answered together once so many wait; 0: at once */
};

struct peer {
    const struct answer *answer; /* being sent, or waiting at the gate; NULL: none */
    size_t sent;
    char *kept; /* owned: the part of a head that has arrived, or NULL */
    uint32_t kept_len;
    bool open;
    bool listener;
    bool wants_out; /* EPOLLOUT is set */
    bool at_gate;
    bool tunnel;                    /* speaks WebSocket */
    bool stalls;                    /* came to the address that does */
    uint64_t due_ms;                /* is answered then; 0: not stalled */
    struct origin_streams *streams; /* owned: its HTTP/2, or NULL */
};

/* To the key that bench_load sends, the one of RFC 6455 1.3. */
static const char ws_answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char busy_answer[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
static const char ws_message[] = "\x81\x05hello";
static struct peer peers[FD_MAX];
static struct answer answers[ANSWERS_MAX];
static size_t answers_len;
static int *gate; /* fds that wait, owned */
static size_t gate_len;
static uint64_t gate_since_ms;
static uint32_t stall_ms;
static struct {
    int fd;
    uint64_t due_ms;
} stalled[FD_MAX]; /* a ring: who waits longest first */
static size_t stalled_at;
static size_t stalled_len;
static uint64_t requests;
static int epoll_fd;
static volatile sig_atomic_t stopping;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Fills `answer` for `path`; false when the path says nothing we know. */
static bool answer_make(struct answer *answer, const char *path)
{
    unsigned chunks = 0;
    unsigned bytes = 0;
    unsigned wait_for = 0;
    bool chunked = false;
    if (sscanf(path, "/chunked/%u/%u", &chunks, &bytes) == 2) {
        chunked = true;
    } else if (sscanf(path, "/gate/%u/%u", &wait_for, &bytes) != 2 &&
               sscanf(path, "/b/%u", &bytes) != 1) {
        return false;
    }
    if (bytes > BODY_MAX || chunks > 1024 || (uint64_t)chunks * bytes > BODY_MAX) {
        return false;
    }

    size_t room = 512 + (chunked ? (size_t)chunks * ((size_t)bytes + 16) : bytes);
    char *out = malloc(room);
    if (out == NULL) {
        die("malloc");
    }
    size_t len = (size_t)snprintf(out, room,
                                  "HTTP/1.1 200 OK\r\nServer: origin\r\n"
                                  "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n");
    if (chunked) {
        len += (size_t)snprintf(out + len, room - len, "Transfer-Encoding: chunked\r\n\r\n");
        for (unsigned i = 0; i < chunks; i++) {
            len += (size_t)snprintf(out + len, room - len, "%x\r\n", bytes);
            memset(out + len, 'x', bytes);
            len += bytes;
            memcpy(out + len, "\r\n", 2);
            len += 2;
        }
        memcpy(out + len, "0\r\n\r\n", 5);
        len += 5;
    } else {
        len += (size_t)snprintf(out + len, room - len, "Content-Length: %u\r\n\r\n", bytes);
        memset(out + len, 'x', bytes);
        len += bytes;
    }
    answer->bytes = out;
    answer->len = len;
    answer->gate = wait_for;
    (void)snprintf(answer->path, sizeof(answer->path), "%s", path);
    return true;
}

static const struct answer *answer_find(const char *path)
{
    for (size_t i = 0; i < answers_len; i++) {
        if (strcmp(answers[i].path, path) == 0) {
            return &answers[i];
        }
    }
    if (answers_len == ANSWERS_MAX || !answer_make(&answers[answers_len], path)) {
        return NULL;
    }
    return &answers[answers_len++];
}

static void peer_close(int fd)
{
    struct peer *peer = &peers[fd];
    if (peer->at_gate) {
        for (size_t i = 0; i < gate_len; i++) {
            if (gate[i] == fd) {
                gate[i] = gate[--gate_len];
                break;
            }
        }
    }
    free(peer->kept);
    origin_streams_free(peer->streams);
    *peer = (struct peer){0};
    (void)close(fd);
}

static void peer_watch(int fd, bool out)
{
    if (peers[fd].wants_out == out) {
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0), .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
        die("epoll_ctl");
    }
    peers[fd].wants_out = out;
}

/* Keeps a copy of what cannot be dealt with yet. */
static void peer_keep(struct peer *peer, const char *bytes, size_t len)
{
    peer->kept = malloc(len);
    if (peer->kept == NULL) {
        die("malloc");
    }
    memcpy(peer->kept, bytes, len);
    peer->kept_len = (uint32_t)len;
}

/* Sends what is left of the answer. */
static void peer_send(int fd)
{
    struct peer *peer = &peers[fd];
    while (peer->sent < peer->answer->len) {
        ssize_t put = send(fd, peer->answer->bytes + peer->sent, peer->answer->len - peer->sent,
                           MSG_NOSIGNAL);
        if (put < 0) {
            if (errno == EAGAIN) {
                peer_watch(fd, true);
                return;
            }
            peer_close(fd);
            return;
        }
        peer->sent += (size_t)put;
    }
    peer->answer = NULL;
    peer_watch(fd, false);
}

/* Sends what HTTP/2 has to say. What a full socket leaves is kept, and sent first. */
static void streams_send(int fd)
{
    static char out[OUT_MAX];
    struct peer *peer = &peers[fd];
    for (;;) {
        size_t len = peer->kept_len;
        if (len > 0) {
            memcpy(out, peer->kept, len);
            free(peer->kept);
            peer->kept = NULL;
            peer->kept_len = 0;
        } else {
            len = origin_streams_take(peer->streams, out, sizeof(out));
        }
        if (len == 0) {
            peer_watch(fd, false);
            return;
        }
        ssize_t put = send(fd, out, len, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN) {
            peer_close(fd);
            return;
        }
        size_t sent = put < 0 ? 0 : (size_t)put;
        if (sent < len) {
            peer_keep(peer, out + sent, len - sent);
            peer_watch(fd, true);
            return;
        }
    }
}

static void streams_read(int fd)
{
    static char in[OUT_MAX];
    struct peer *peer = &peers[fd];
    ssize_t got = recv(fd, in, sizeof(in), 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0 || !origin_streams_feed(peer->streams, in, (size_t)got)) {
        peer_close(fd);
        return;
    }
    streams_send(fd);
}

static void gate_open(void)
{
    size_t len = gate_len;
    gate_len = 0;
    for (size_t i = 0; i < len; i++) {
        peers[gate[i]].at_gate = false;
        peer_send(gate[i]);
    }
}

static void stall(int fd)
{
    size_t at = (stalled_at + stalled_len++) % FD_MAX;
    peers[fd].due_ms = now_ms() + stall_ms;
    stalled[at].fd = fd;
    stalled[at].due_ms = peers[fd].due_ms;
}

/* Answers who has waited long enough; returns how long the next one has, at most `most_ms`. */
static int stalled_send(int most_ms)
{
    uint64_t now = now_ms();
    while (stalled_len > 0) {
        int fd = stalled[stalled_at].fd;
        uint64_t due_ms = stalled[stalled_at].due_ms;
        if (due_ms > now) {
            return due_ms - now < (uint64_t)most_ms ? (int)(due_ms - now) : most_ms;
        }
        stalled_at = (stalled_at + 1) % FD_MAX;
        stalled_len--;
        if (peers[fd].open && peers[fd].due_ms == due_ms) { /* else it went meanwhile */
            peers[fd].due_ms = 0;
            peer_send(fd);
        }
    }
    return most_ms;
}

/* How many there were. */
static bool say_count(int fd)
{
    char out[128];
    char body[24];
    int len = snprintf(body, sizeof(body), "%llu", (unsigned long long)requests);
    len = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len, body);
    return send(fd, out, (size_t)len, MSG_NOSIGNAL) > 0;
}

/* One whole head lies in `head`. False: it is none of ours, the connection goes. */
static bool peer_answer(int fd, char *head)
{
    struct peer *peer = &peers[fd];
    char *path = strchr(head, ' ');
    char *end = path == NULL ? NULL : strchr(path + 1, ' ');
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    if (strcmp(path + 1, "/ws") == 0) {
        peer->tunnel = true;
        return send(fd, ws_answer, sizeof(ws_answer) - 1, MSG_NOSIGNAL) > 0;
    }
    if (strcmp(path + 1, "/count") == 0) {
        return say_count(fd);
    }
    requests++;
    if (strcmp(path + 1, "/busy") == 0) {
        return send(fd, busy_answer, sizeof(busy_answer) - 1, MSG_NOSIGNAL) > 0;
    }
    peer->answer = answer_find(path + 1);
    peer->sent = 0;
    if (peer->answer == NULL) {
        return false;
    }
    if (peer->answer->gate > 0) {
        if (gate_len == 0) {
            gate_since_ms = now_ms();
        }
        peer->at_gate = true;
        gate[gate_len++] = fd;
        if (gate_len >= peer->answer->gate) {
            gate_open();
        }
        return true;
    }
    if (peer->stalls) {
        stall(fd);
        return true;
    }
    peer_send(fd);
    return true;
}

static void peer_read(int fd)
{
    static char head[HEAD_MAX + 1];
    struct peer *peer = &peers[fd];
    size_t len = 0;
    if (peer->streams != NULL) {
        streams_read(fd);
        return;
    }
    if (peer->kept != NULL) {
        len = peer->kept_len;
        memcpy(head, peer->kept, len);
        free(peer->kept);
        peer->kept = NULL;
        peer->kept_len = 0;
    }
    ssize_t got = recv(fd, head + len, HEAD_MAX - len, 0);
    if (got < 0 && errno == EAGAIN) {
        got = 0;
        if (len == 0) {
            return;
        }
    } else if (got <= 0) {
        peer_close(fd);
        return;
    }
    if (peer->tunnel) {
        if (send(fd, ws_message, sizeof(ws_message) - 1, MSG_NOSIGNAL) <= 0) {
            peer_close(fd);
        }
        return;
    }
    len += (size_t)got;
    head[len] = '\0';
    if (origin_streams_begins(head, len)) {
        peer->streams = origin_streams_new();
        if (!origin_streams_feed(peer->streams, head, len)) {
            peer_close(fd);
            return;
        }
        streams_send(fd);
        return;
    }

    /* A proxy sends one request per connection at a time: no pipelining to care for. */
    if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0) {
        if (peer->answer != NULL || !peer_answer(fd, head)) {
            peer_close(fd);
        }
        return;
    }
    if (len == HEAD_MAX) {
        peer_close(fd);
        return;
    }
    peer_keep(peer, head, len);
}

static void accept_all(int listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        if (fd >= FD_MAX - 16) {
            (void)close(fd);
            return;
        }
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peers[fd] = (struct peer){.open = true, .stalls = peers[listener].stalls};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("epoll_ctl");
        }
        peer_read(fd);
    }
}

/* Listens on address:*port; 0 takes a free port and says which. */
static void listen_on(uint32_t address, uint16_t *port, bool stalls)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(address)};
    socklen_t len = sizeof(at);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 16384) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        die("listen");
    }
    *port = ntohs(at.sin_port);
    peers[fd] = (struct peer){.open = true, .listener = true, .stalls = stalls};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static uint32_t number(const char *text)
{
    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    uint16_t port = 0;
    uint32_t addresses = 0;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
            port = (uint16_t)number(argv[i + 1]);
        } else if (i + 1 < argc && strcmp(argv[i], "--addresses") == 0) {
            addresses = number(argv[i + 1]);
        } else if (i + 1 < argc && strcmp(argv[i], "--stall") == 0) {
            stall_ms = number(argv[i + 1]);
        } else {
            (void)fprintf(stderr, "usage: bench_origin [--port P] [--addresses N] [--stall MS]\n");
            return 2;
        }
    }
    struct rlimit files = {.rlim_cur = FD_MAX, .rlim_max = FD_MAX};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);

    gate = calloc(FD_MAX, sizeof(*gate));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || gate == NULL) {
        die("epoll_create1");
    }
    listen_on(INADDR_LOOPBACK, &port, false);
    for (uint32_t i = 0; i < addresses; i++) {
        listen_on((127U << 24) + (1U << 16) + ((i / 250) << 8) + (i % 250) + 1, &port,
                  i == 0 && stall_ms > 0);
    }
    printf("%u\n", (unsigned)port);
    (void)fflush(stdout);

    static struct epoll_event events[EVENTS_MAX];
    while (!stopping) {
        int wait_ms = stalled_send(gate_len > 0 ? 100 : 1000);
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (!peers[fd].open) {
                continue;
            }
            if (peers[fd].listener) {
                accept_all(fd);
                continue;
            }
            if ((events[i].events & EPOLLOUT) != 0 && peers[fd].answer != NULL) {
                peer_send(fd);
            } else if ((events[i].events & EPOLLOUT) != 0 && peers[fd].streams != NULL) {
                streams_send(fd);
            }
            if (peers[fd].open && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
                peer_read(fd);
            }
        }
        if (gate_len > 0 && now_ms() - gate_since_ms > GATE_MS) {
            gate_open();
        }
    }
    return EXIT_SUCCESS;
}
