/*
 * bench_load - the clients of the benchmark.
 *
 *     bench_load --to HOST:PORT [--path /b/1024] [--connections 64] [--hosts 0] MODE
 *
 *     --requests R [--warmup W] [--close]     closed loop: every connection asks again as soon as
 * it is answered; --close: one connection per request
 *     --rate R --seconds S                    open loop: R requests a second, each at its own time,
 *                                             whether or not earlier ones are answered
 *     --hold                                  obeys lines on stdin, answers each with a line of
 * JSON: "open N", "burst PATH", "quit"
 *     --slow BYTES_PER_S [--settle S]         every connection asks once and reads that slowly; a
 * line of JSON after S seconds, another when all are done
 *
 * Every answer is checked: status 200 and --expect body bytes. --cpu-pid P[,P] adds the processor
 * time that those processes spent (all threads, to the ns) between the end of the warm-up and the
 * end of the run. The result is a line of JSON on stdout.
 *
 * Latency of the open loop counts from the moment a request was due: a server that stalls is
 * charged for the requests that had to wait.
 *
 * Limits: 19,000 connections. Threads: the main thread.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#include "tests/bench/latency.h"
#include "tests/bench/reader.h"
#include "tests/bench/syscalls.h"

enum {
    CLIENTS_MAX = 19000,
    EVENTS_MAX = 256,
    SCRATCH_BYTES = 256 * 1024,
    REQUEST_MAX = 2048,
    PIDS_MAX = 8,
    OPENING_MAX = 128, /* connects at once: no listen queue overflows */
    SLOW_TICKS_PER_S = 10,
    SLOW_MSS = 1460,
    SLOW_RCVBUF = 4096,
    STALL_MS = 30000 /* nothing moved for so long: give up */
};

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_IDLE, CLIENT_ASKED };

struct client {
    int fd;
    enum client_state state;
    bool fresh; /* nothing was answered on this connection yet */
    uint64_t since_us;
    uint32_t asked; /* chooses the host of the next request */
    struct reader reader;
};

static struct {
    struct sockaddr_in to;
    const char *path;
    uint32_t connections;
    uint32_t hosts;
    uint64_t requests;
    uint64_t warmup;
    double rate;
    double seconds;
    double settle_s;
    uint32_t slow_bytes_per_s;
    uint64_t expect_bytes;
    bool close_each;
    bool hold;
    const char *snapshot;
    bool syscalls;
    long pids[PIDS_MAX];
    size_t pids_len;
} ask = {.path = "/b/1024", .connections = 64, .expect_bytes = UINT64_MAX, .settle_s = 3};

static struct {
    uint64_t done;
    uint64_t failed;     /* not answered, or answered wrongly */
    uint64_t closed;     /* keep-alive connections the other side closed */
    uint64_t bad_status; /* of failed: a status other than 200 */
} sum;

static struct client *clients;
static struct latency latency;
static char scratch[SCRATCH_BYTES];
static int epoll_fd;
static bool measuring;

/* The open loop: times of requests that are due and found no free connection, a ring. */
static uint64_t *due_us;
static size_t due_room;
static size_t due_first;
static size_t due_len;

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Processor time of the watched processes in ns: the run time of each of their threads. */
static uint64_t cpu_ns(void)
{
    uint64_t total = 0;
    for (size_t i = 0; i < ask.pids_len; i++) {
        char path[300];
        (void)snprintf(path, sizeof(path), "/proc/%ld/task", ask.pids[i]);
        DIR *tasks = opendir(path);
        const struct dirent *task = NULL;
        while (tasks != NULL && (task = readdir(tasks)) != NULL) {
            if (task->d_name[0] == '.') {
                continue; /* "task/.." is the process again */
            }
            uint64_t ran = 0;
            (void)snprintf(path, sizeof(path), "/proc/%ld/task/%.32s/schedstat", ask.pids[i],
                           task->d_name);
            FILE *file = fopen(path, "re");
            if (file != NULL) {
                if (fscanf(file, "%" SCNu64, &ran) == 1) {
                    total += ran;
                }
                (void)fclose(file);
            }
        }
        if (tasks != NULL) {
            (void)closedir(tasks);
        }
    }
    return total;
}

static size_t request_make(char *out, const struct client *client, const char *path)
{
    char host[64] = "bench.test";
    if (ask.hosts > 0) {
        (void)snprintf(host, sizeof(host), "h%u.bench.test",
                       ((uint32_t)(client - clients) * 7919U + client->asked * 104729U) %
                           ask.hosts);
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
                 "Upgrade-Insecure-Requests: 1\r\n\r\n",
                 path, host, ask.close_each ? "close" : "keep-alive");
    return (size_t)len;
}

static void client_close(struct client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
    client->state = CLIENT_CLOSED;
    reader_reset(&client->reader);
}

static void client_connect(struct client *client)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (ask.slow_bytes_per_s > 0) {
        /* A client behind a slow, ordinary network: Ethernet segments and a small window. */
        int mss = SLOW_MSS;
        int rcvbuf = SLOW_RCVBUF;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    client->fd = fd;
    client->state = CLIENT_CONNECTING;
    client->fresh = true;
    if (connect(fd, (const struct sockaddr *)&ask.to, sizeof(ask.to)) != 0 &&
        errno != EINPROGRESS) {
        die("connect");
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u32 = (uint32_t)(client - clients)};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

/* Sends one request on an idle connection. False: the connection was gone. */
static bool client_ask(struct client *client, const char *path, uint64_t since_us)
{
    char request[REQUEST_MAX];
    size_t len = request_make(request, client, path);
    client->asked++;
    client->since_us = since_us;
    client->state = CLIENT_ASKED;
    return send(client->fd, request, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void note_failed(void)
{
    if (measuring || ask.hold) {
        sum.failed++;
    }
}

static void note_closed(void)
{
    if (measuring || ask.hold) {
        sum.closed++;
    }
}

/* What follows an answer, a failure, a new connection depends on the mode. */
static void on_idle(struct client *client);
static void on_lost(struct client *client);

static void on_answer(struct client *client)
{
    struct reader *reader = &client->reader;
    bool good = reader->state == READER_DONE && reader->status == 200 &&
                (ask.expect_bytes == UINT64_MAX || reader->body_bytes == ask.expect_bytes);
    bool closes = reader->closes || reader->state == READER_BAD;
    if (!good) {
        note_failed();
        if (reader->status != 200) {
            sum.bad_status++;
        }
    }
    if (measuring) {
        latency_note(&latency, now_us() - client->since_us);
    }
    sum.done++;
    reader_reset(reader);
    client->fresh = false;
    client->state = CLIENT_IDLE;
    if (ask.close_each) {
        client_close(client);
    } else if (closes) {
        note_closed();
        client_close(client);
    }
    if (client->state == CLIENT_IDLE) {
        on_idle(client);
    } else {
        on_lost(client);
    }
}

/* Reads what is there, at most `most` bytes. */
static void client_read(struct client *client, size_t most)
{
    for (;;) {
        size_t room = most < SCRATCH_BYTES ? most : SCRATCH_BYTES;
        ssize_t got = recv(client->fd, scratch, room, 0);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            if (client->state == CLIENT_ASKED) {
                note_failed();
            }
            if (!ask.close_each && client->state != CLIENT_CONNECTING) {
                note_closed();
            }
            client_close(client);
            on_lost(client);
            return;
        }
        if (client->state != CLIENT_ASKED) {
            note_failed(); /* bytes nobody asked for */
            client_close(client);
            on_lost(client);
            return;
        }
        (void)reader_feed(&client->reader, scratch, (size_t)got);
        if (client->reader.state == READER_DONE || client->reader.state == READER_BAD) {
            on_answer(client);
            return;
        }
        if ((size_t)got < room || most < SCRATCH_BYTES) {
            return;
        }
    }
}

static void on_event(struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    if (client->state == CLIENT_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        (void)getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            note_failed();
            client_close(client);
            on_lost(client);
            return;
        }
        if ((events & EPOLLOUT) == 0) {
            return;
        }
        client->state = CLIENT_IDLE;
        on_idle(client);
        return;
    }
    if (ask.slow_bytes_per_s == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        int fd = client->fd;
        client_read(client, SIZE_MAX);
        if ((events & EPOLLRDHUP) != 0 && client->fd == fd && client->state == CLIENT_IDLE) {
            client_read(client, SIZE_MAX); /* the end came with the answer: one edge for both */
        }
    }
}

/* Waits at most `timeout_us` and handles what came; true when something did. */
static bool turn(uint64_t timeout_us)
{
    static struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {.tv_sec = (time_t)(timeout_us / 1000000),
                               .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    int count = epoll_pwait2(epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        on_event(&clients[events[i].data.u32], events[i].events);
    }
    return count > 0;
}

/* Turns until `*value` reaches `want`; gives up when nothing moves. */
static void turn_until(const uint64_t *value, uint64_t want)
{
    uint64_t last_us = now_us();
    while (*value < want) {
        uint64_t before = *value + sum.failed;
        (void)turn(100000);
        if (*value + sum.failed != before) {
            last_us = now_us();
        } else if (now_us() - last_us > STALL_MS * 1000ULL) {
            (void)fprintf(stderr, "bench_load: stalled at %" PRIu64 " of %" PRIu64 "\n", *value,
                          want);
            exit(EXIT_FAILURE);
        }
    }
}

/* --- hold: connections that rest, and speak when told ---------------------------------------- */

static uint64_t held;
static uint64_t opening;

static void hold_idle(struct client *client)
{
    if (client->fresh) {
        if (!client_ask(client, ask.path, now_us())) {
            note_failed();
        }
        return;
    }
    if (opening > 0 && client->asked == 1) {
        opening--;
        held++;
    }
}

static void report_hold(const char *what)
{
    printf("{\"%s\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"bad_status\": %" PRIu64
           ", \"closed\": %" PRIu64 "}\n",
           what, held, sum.failed, sum.bad_status, sum.closed);
    (void)fflush(stdout);
}

static void hold_open(uint64_t want)
{
    uint64_t started = held;
    want = want > ask.connections ? ask.connections : want;
    while (held < want) {
        while (opening < OPENING_MAX && started < want) {
            client_connect(&clients[started++]);
            opening++;
        }
        uint64_t before = held;
        turn_until(&held, before + 1);
    }
    report_hold("open");
}

static void hold_burst(const char *path)
{
    uint64_t want = sum.done + held;
    for (uint64_t i = 0; i < held; i++) {
        if (clients[i].state != CLIENT_IDLE || !client_ask(&clients[i], path, now_us())) {
            note_failed();
            want--;
        }
    }
    uint64_t failed = sum.failed;
    uint64_t last_us = now_us();
    while (sum.done + (sum.failed - failed) < want && now_us() - last_us < STALL_MS * 1000ULL) {
        if (turn(100000)) {
            last_us = now_us();
        }
    }
    report_hold("burst");
}

static void run_hold(void)
{
    char line[256];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        (void)turn(0); /* what was closed meanwhile */
        if (strncmp(line, "open ", 5) == 0) {
            hold_open(strtoull(line + 5, NULL, 10));
        } else if (strncmp(line, "burst ", 6) == 0) {
            hold_burst(line + 6);
        } else {
            break;
        }
    }
}

/* What is taken at both ends of the measurement. */
struct mark {
    uint64_t us;
    uint64_t cpu_ns;
    uint64_t syscalls;
    uint64_t done;
};

static void snapshot_copy(const char *suffix)
{
    static char bytes[64 * 1024];
    char path[1024];
    if (ask.snapshot == NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s%s", ask.snapshot, suffix);
    FILE *from = fopen(ask.snapshot, "re");
    FILE *to = fopen(path, "we");
    if (from == NULL || to == NULL) {
        die(path);
    }
    size_t len = fread(bytes, 1, sizeof(bytes), from);
    if (fwrite(bytes, 1, len, to) != len || fclose(to) != 0) {
        die(path);
    }
    (void)fclose(from);
}

static struct mark mark_take(void)
{
    snapshot_copy(measuring ? ".end" : ".start");
    return (struct mark){.us = now_us(),
                         .cpu_ns = cpu_ns(),
                         .syscalls = ask.syscalls ? syscalls_total() : 0,
                         .done = sum.done};
}

/* --- closed loop ------------------------------------------------------------------------------ */

static void report(const struct mark *from, const struct mark *to)
{
    printf("{\"requests\": %" PRIu64 ", \"seconds\": %.4f, \"failed\": %" PRIu64
           ", \"bad_status\": %" PRIu64 ", \"closed\": %" PRIu64
           ", \"cpu_us\": %.1f, \"syscalls\": %" PRIu64 ", "
           "\"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64 ", \"p999_us\": %" PRIu64
           ", \"max_us\": %" PRIu64 "}\n",
           to->done - from->done, (double)(to->us - from->us) / 1e6, sum.failed, sum.bad_status,
           sum.closed, (double)(to->cpu_ns - from->cpu_ns) / 1000, to->syscalls - from->syscalls,
           latency_percentile(&latency, 0.5), latency_percentile(&latency, 0.99),
           latency_percentile(&latency, 0.999), latency.max_us);
    (void)fflush(stdout);
}

static void run_closed(void)
{
    for (uint32_t i = 0; i < ask.connections; i++) {
        client_connect(&clients[i]);
        if (i % 64 == 63) {
            (void)turn(0);
        }
    }
    turn_until(&sum.done, ask.warmup);
    struct mark from = mark_take();
    measuring = true;
    turn_until(&sum.done, from.done + ask.requests);
    struct mark to = mark_take();
    report(&from, &to);
}

/* --- open loop -------------------------------------------------------------------------------- */

static void rate_idle(struct client *client)
{
    if (due_len == 0) {
        return;
    }
    uint64_t since = due_us[due_first];
    due_first = (due_first + 1) % due_room;
    due_len--;
    if (!client_ask(client, ask.path, since)) {
        note_failed();
    }
}

/* The connections take turns, so that each of them is used. */
static bool rate_take(uint32_t *next, uint32_t *taken)
{
    for (uint32_t tries = 0; tries < ask.connections; tries++) {
        uint32_t at = *next;
        *next = (*next + 1) % ask.connections;
        if (clients[at].state == CLIENT_IDLE) {
            *taken = at;
            return true;
        }
    }
    return false;
}

static void run_rate(void)
{
    due_room = (size_t)(ask.rate * (ask.seconds + 2)) + 16;
    due_us = calloc(due_room, sizeof(*due_us));
    if (due_us == NULL) {
        die("calloc");
    }
    for (uint32_t i = 0; i < ask.connections; i++) {
        client_connect(&clients[i]);
        (void)turn(i % 64 == 63 ? 1000 : 0);
    }
    uint64_t opened_us = now_us();
    for (uint32_t up = 0; up < ask.connections && now_us() - opened_us < 5000000;) {
        (void)turn(1000);
        up = 0;
        while (up < ask.connections && clients[up].state == CLIENT_IDLE) {
            up++;
        }
    }

    /* One second to warm up, then what counts. */
    uint64_t gap_ns = (uint64_t)(1e9 / ask.rate);
    uint64_t start_us = now_us();
    uint64_t measure_us = start_us + 1000000;
    uint64_t stop_us = measure_us + (uint64_t)(ask.seconds * 1e6);
    uint64_t sent = 0;
    struct mark from = {0};
    uint32_t next = 0;
    for (;;) {
        uint64_t now = now_us();
        if (!measuring && now >= measure_us) {
            from = mark_take();
            measuring = true;
        }
        if (now >= stop_us) {
            break;
        }
        uint64_t due = start_us + sent * gap_ns / 1000;
        while (due <= now) {
            uint32_t taken = 0;
            sent++;
            if (rate_take(&next, &taken)) {
                if (!client_ask(&clients[taken], ask.path, due)) {
                    note_failed();
                }
            } else {
                due_us[(due_first + due_len) % due_room] = due;
                due_len++;
            }
            due = start_us + sent * gap_ns / 1000;
        }
        now = now_us();
        (void)turn(due > now ? due - now : 0);
    }
    struct mark to = mark_take();
    if (to.cpu_ns < from.cpu_ns) {
        to.cpu_ns = from.cpu_ns; /* a reload replaced the process that was watched */
    }
    uint64_t drain_us = now_us();
    for (bool busy = true; busy && now_us() - drain_us < 2000000;) {
        busy = false;
        (void)turn(1000);
        for (uint32_t i = 0; i < ask.connections; i++) {
            busy = busy || clients[i].state == CLIENT_ASKED;
        }
    }
    for (uint32_t i = 0; i < ask.connections; i++) {
        if (clients[i].state == CLIENT_ASKED) {
            note_failed(); /* asked and not answered within 2 s */
        }
    }
    report(&from, &to);
}

/* --- slow readers ----------------------------------------------------------------------------- */

static void run_slow(void)
{
    for (uint32_t i = 0; i < ask.connections; i++) {
        client_connect(&clients[i]);
        (void)turn(i % 64 == 63 ? 1000 : 0);
    }
    uint64_t start_us = now_us();
    uint64_t settled_us = start_us + (uint64_t)(ask.settle_s * 1e6);
    uint64_t most_us = start_us + 120ULL * 1000000;
    size_t each = ask.slow_bytes_per_s / SLOW_TICKS_PER_S;
    bool reported = false;
    uint64_t tick_us = start_us;
    while (sum.done + sum.failed < ask.connections && now_us() < most_us) {
        tick_us += 1000000 / SLOW_TICKS_PER_S;
        for (uint64_t now = now_us(); now < tick_us; now = now_us()) {
            (void)turn(tick_us - now);
        }
        measuring = true;
        uint64_t flowing = 0;
        for (uint32_t i = 0; i < ask.connections; i++) {
            if (clients[i].state == CLIENT_ASKED) {
                flowing++;
                client_read(&clients[i], each);
            }
        }
        if (!reported && now_us() >= settled_us) {
            printf("{\"flowing\": %" PRIu64 "}\n", flowing);
            (void)fflush(stdout);
            reported = true;
        }
    }
    struct mark from = {.us = start_us};
    struct mark to = {.us = now_us(), .done = sum.done};
    report(&from, &to);
}

/* ---------------------------------------------------------------------------------------------- */

static void on_idle(struct client *client)
{
    if (ask.hold) {
        hold_idle(client);
    } else if (ask.rate > 0) {
        rate_idle(client);
    } else if (ask.slow_bytes_per_s > 0) {
        if (client->fresh && !client_ask(client, ask.path, now_us())) {
            note_failed();
        }
    } else if (!client_ask(client, ask.path, now_us())) {
        note_failed();
    }
}

static void on_lost(struct client *client)
{
    if (!ask.hold && ask.slow_bytes_per_s == 0) {
        client_connect(client);
    }
}

static void usage(const char *what)
{
    (void)fprintf(stderr, "bench_load: what is '%s'? See the head of bench_load.c.\n", what);
    exit(2);
}

static void parse_to(const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    ask.to.sin_family = AF_INET;
    (void)snprintf(host, sizeof(host), "%.*s", colon == NULL ? 0 : (int)(colon - text), text);
    if (colon == NULL || inet_pton(AF_INET, host, &ask.to.sin_addr) != 1) {
        usage(text);
    }
    ask.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
}

/* The next of "12,34,56"; 0 at its end. */
static long next_number(const char **text)
{
    char *rest = NULL;
    long value = strtol(*text, &rest, 10);
    *text = *rest == ',' ? rest + 1 : rest;
    return value;
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--close") == 0) {
            ask.close_each = true;
            continue;
        }
        if (strcmp(name, "--hold") == 0) {
            ask.hold = true;
            continue;
        }
        if (++i == argc) {
            usage(name);
        }
        const char *value = argv[i];
        if (strcmp(name, "--to") == 0) {
            parse_to(value);
        } else if (strcmp(name, "--path") == 0) {
            ask.path = value;
        } else if (strcmp(name, "--connections") == 0) {
            ask.connections = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--hosts") == 0) {
            ask.hosts = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--requests") == 0) {
            ask.requests = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--warmup") == 0) {
            ask.warmup = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            ask.rate = strtod(value, NULL);
        } else if (strcmp(name, "--seconds") == 0) {
            ask.seconds = strtod(value, NULL);
        } else if (strcmp(name, "--settle") == 0) {
            ask.settle_s = strtod(value, NULL);
        } else if (strcmp(name, "--slow") == 0) {
            ask.slow_bytes_per_s = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--expect") == 0) {
            ask.expect_bytes = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--snapshot") == 0) {
            ask.snapshot = value;
        } else if (strcmp(name, "--cpu-pid") == 0) {
            for (const char *rest = value; ask.pids_len < PIDS_MAX;) {
                long pid = next_number(&rest);
                if (pid <= 0) {
                    break;
                }
                ask.pids[ask.pids_len++] = pid;
            }
        } else if (strcmp(name, "--syscalls") == 0) {
            const char *rest = value;
            for (long tid = next_number(&rest); tid > 0; tid = next_number(&rest)) {
                if (!syscalls_watch(tid)) {
                    (void)fprintf(stderr, "bench_load: cannot count system calls of %ld\n", tid);
                    exit(3);
                }
                ask.syscalls = true;
            }
        } else {
            usage(name);
        }
    }
    if (ask.to.sin_port == 0 || ask.connections == 0 || ask.connections > CLIENTS_MAX) {
        usage("--to, --connections");
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    struct rlimit files = {.rlim_cur = CLIENTS_MAX + 1000, .rlim_max = CLIENTS_MAX + 1000};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    clients = calloc(ask.connections, sizeof(*clients));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || epoll_fd < 0) {
        die("start");
    }
    for (uint32_t i = 0; i < ask.connections; i++) {
        clients[i].fd = -1;
    }

    if (ask.hold) {
        run_hold();
    } else if (ask.rate > 0) {
        run_rate();
    } else if (ask.slow_bytes_per_s > 0) {
        run_slow();
    } else {
        run_closed();
    }
    return EXIT_SUCCESS;
}
