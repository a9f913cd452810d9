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
 *     --tls 1.2|1.3                           over TLS, with --resume sessions are resumed
 *     --http2 STREAMS [--grpc]                HTTP/2, so many requests at once on each connection;
 *                                             in clear with prior knowledge
 *     --upgrade                               the first request asks for WebSocket, the next
 *                                             questions are its messages
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
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/crowd.h"
#include "tests/bench/mark.h"
#include "tests/bench/syscalls.h"

enum {
    OPENING_MAX = 128, /* connects at once: no listen queue overflows */
    SLOW_TICKS_PER_S = 10
};

static struct {
    uint64_t requests;
    uint64_t warmup;
    double rate;
    double seconds;
    double settle_s;
    bool hold;
} options = {.settle_s = 3};

/* The open loop: times of requests that are due and found no free connection, a ring. */
static uint64_t *due_us;
static size_t due_room;
static size_t due_first;
static size_t due_len;

/* --- hold: connections that rest, and speak when told ---------------------------------------- */

static uint64_t held;
static uint64_t opening;

static void hold_idle(struct client *client)
{
    if (client->fresh) {
        if (!crowd_ask_one(client, crowd_ask.path, crowd_now_us())) {
            crowd_note_failed();
        }
        return;
    }
    if (crowd_ask.upgrade && client->asked == 1) {
        /* A tunnel rests once a message has gone each way. */
        if (!crowd_ask_one(client, crowd_ask.path, crowd_now_us())) {
            crowd_note_failed();
        }
        return;
    }
    if (opening > 0 && client->asked == (crowd_ask.upgrade ? 2 : 1)) {
        opening--;
        held++;
    }
}

static void report_hold(const char *what)
{
    printf("{\"%s\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"bad_status\": %" PRIu64
           ", \"closed\": %" PRIu64 "}\n",
           what, held, crowd_sum.failed, crowd_sum.bad_status, crowd_sum.closed);
    (void)fflush(stdout);
}

static void hold_open(uint64_t want)
{
    uint64_t started = held;
    want = want > crowd_ask.connections ? crowd_ask.connections : want;
    while (held < want) {
        while (opening < OPENING_MAX && started < want) {
            crowd_connect(&crowd_clients[started++]);
            opening++;
        }
        uint64_t before = held;
        crowd_turn_until(&held, before + 1);
    }
    report_hold("open");
}

static void hold_burst(const char *path)
{
    uint64_t want = crowd_sum.done + held;
    for (uint64_t i = 0; i < held; i++) {
        if (crowd_clients[i].state != CLIENT_IDLE ||
            !crowd_ask_one(&crowd_clients[i], path, crowd_now_us())) {
            crowd_note_failed();
            want--;
        }
    }
    uint64_t failed = crowd_sum.failed;
    uint64_t last_us = crowd_now_us();
    while (crowd_sum.done + (crowd_sum.failed - failed) < want &&
           crowd_now_us() - last_us < CROWD_STALL_MS * 1000ULL) {
        if (crowd_turn(100000)) {
            last_us = crowd_now_us();
        }
    }
    report_hold("burst");
}

static void run_hold(void)
{
    char line[256];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        (void)crowd_turn(0); /* what was closed meanwhile */
        if (strncmp(line, "open ", 5) == 0) {
            hold_open(strtoull(line + 5, NULL, 10));
        } else if (strncmp(line, "burst ", 6) == 0) {
            hold_burst(line + 6);
        } else {
            break;
        }
    }
}
/* --- closed loop ------------------------------------------------------------------------------ */

static void run_closed(void)
{
    for (uint32_t i = 0; i < crowd_ask.connections; i++) {
        crowd_connect(&crowd_clients[i]);
        if (i % 64 == 63) {
            (void)crowd_turn(0);
        }
    }
    crowd_turn_until(&crowd_sum.done, options.warmup);
    struct mark from = mark_take();
    crowd_measuring = true;
    crowd_turn_until(&crowd_sum.done, from.done + options.requests);
    struct mark to = mark_take();
    mark_report(&from, &to);
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
    if (!crowd_ask_one(client, crowd_ask.path, since)) {
        crowd_note_failed();
    }
}

/* The connections take turns, so that each of them is used. */
static bool rate_take(uint32_t *next, uint32_t *taken)
{
    for (uint32_t tries = 0; tries < crowd_ask.connections; tries++) {
        uint32_t at = *next;
        *next = (*next + 1) % crowd_ask.connections;
        if (crowd_clients[at].state == CLIENT_IDLE) {
            *taken = at;
            return true;
        }
    }
    return false;
}

static void run_rate(void)
{
    due_room = (size_t)(options.rate * (options.seconds + 2)) + 16;
    due_us = calloc(due_room, sizeof(*due_us));
    if (due_us == NULL) {
        crowd_die("calloc");
    }
    for (uint32_t i = 0; i < crowd_ask.connections; i++) {
        crowd_connect(&crowd_clients[i]);
        (void)crowd_turn(i % 64 == 63 ? 1000 : 0);
    }
    uint64_t opened_us = crowd_now_us();
    for (uint32_t up = 0; up < crowd_ask.connections && crowd_now_us() - opened_us < 5000000;) {
        (void)crowd_turn(1000);
        up = 0;
        while (up < crowd_ask.connections && crowd_clients[up].state == CLIENT_IDLE) {
            up++;
        }
    }

    /* One second to warm up, then what counts. */
    uint64_t gap_ns = (uint64_t)(1e9 / options.rate);
    uint64_t start_us = crowd_now_us();
    uint64_t measure_us = start_us + 1000000;
    uint64_t stop_us = measure_us + (uint64_t)(options.seconds * 1e6);
    uint64_t sent = 0;
    struct mark from = {0};
    uint32_t next = 0;
    for (;;) {
        uint64_t now = crowd_now_us();
        if (!crowd_measuring && now >= measure_us) {
            from = mark_take();
            crowd_measuring = true;
        }
        if (now >= stop_us) {
            break;
        }
        uint64_t due = start_us + sent * gap_ns / 1000;
        while (due <= now) {
            uint32_t taken = 0;
            sent++;
            if (rate_take(&next, &taken)) {
                if (!crowd_ask_one(&crowd_clients[taken], crowd_ask.path, due)) {
                    crowd_note_failed();
                }
            } else {
                due_us[(due_first + due_len) % due_room] = due;
                due_len++;
            }
            due = start_us + sent * gap_ns / 1000;
        }
        now = crowd_now_us();
        (void)crowd_turn(due > now ? due - now : 0);
    }
    struct mark to = mark_take();
    if (to.cpu_ns < from.cpu_ns) {
        to.cpu_ns = from.cpu_ns; /* a reload replaced the process that was watched */
    }
    uint64_t drain_us = crowd_now_us();
    for (bool busy = true; busy && crowd_now_us() - drain_us < 2000000;) {
        busy = false;
        (void)crowd_turn(1000);
        for (uint32_t i = 0; i < crowd_ask.connections; i++) {
            busy = busy || crowd_unanswered(&crowd_clients[i]) > 0;
        }
    }
    for (uint32_t i = 0; i < crowd_ask.connections; i++) {
        for (uint32_t left = crowd_unanswered(&crowd_clients[i]); left > 0; left--) {
            crowd_note_failed(); /* asked and not answered within 2 s */
        }
    }
    mark_report(&from, &to);
}

/* --- slow readers ----------------------------------------------------------------------------- */

static void run_slow(void)
{
    for (uint32_t i = 0; i < crowd_ask.connections; i++) {
        crowd_connect(&crowd_clients[i]);
        (void)crowd_turn(i % 64 == 63 ? 1000 : 0);
    }
    uint64_t start_us = crowd_now_us();
    uint64_t settled_us = start_us + (uint64_t)(options.settle_s * 1e6);
    uint64_t most_us = start_us + 120ULL * 1000000;
    size_t each = crowd_ask.slow_bytes_per_s / SLOW_TICKS_PER_S;
    bool reported = false;
    uint64_t tick_us = start_us;
    while (crowd_sum.done + crowd_sum.failed < crowd_ask.connections && crowd_now_us() < most_us) {
        tick_us += 1000000 / SLOW_TICKS_PER_S;
        for (uint64_t now = crowd_now_us(); now < tick_us; now = crowd_now_us()) {
            (void)crowd_turn(tick_us - now);
        }
        crowd_measuring = true;
        uint64_t flowing = 0;
        for (uint32_t i = 0; i < crowd_ask.connections; i++) {
            if (crowd_clients[i].state == CLIENT_ASKED) {
                flowing++;
                crowd_read(&crowd_clients[i], each);
            }
        }
        if (!reported && crowd_now_us() >= settled_us) {
            printf("{\"flowing\": %" PRIu64 "}\n", flowing);
            (void)fflush(stdout);
            reported = true;
        }
    }
    struct mark from = {.us = start_us};
    struct mark to = {.us = crowd_now_us(), .done = crowd_sum.done};
    mark_report(&from, &to);
}

/* ---------------------------------------------------------------------------------------------- */

static void on_idle(struct client *client)
{
    if (options.hold) {
        hold_idle(client);
    } else if (options.rate > 0) {
        rate_idle(client);
    } else if (crowd_ask.slow_bytes_per_s > 0) {
        if (client->fresh && !crowd_ask_one(client, crowd_ask.path, crowd_now_us())) {
            crowd_note_failed();
        }
    } else if (!crowd_ask_one(client, crowd_ask.path, crowd_now_us())) {
        crowd_note_failed();
    }
}

static void on_lost(struct client *client)
{
    if (!options.hold && crowd_ask.slow_bytes_per_s == 0) {
        crowd_connect(client);
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
    crowd_ask.to.sin_family = AF_INET;
    (void)snprintf(host, sizeof(host), "%.*s", colon == NULL ? 0 : (int)(colon - text), text);
    if (colon == NULL || inet_pton(AF_INET, host, &crowd_ask.to.sin_addr) != 1) {
        usage(text);
    }
    crowd_ask.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
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
    const char *tls_version = NULL;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--close") == 0) {
            crowd_ask.close_each = true;
            continue;
        }
        if (strcmp(name, "--resume") == 0) {
            crowd_ask.resume = true;
            continue;
        }
        if (strcmp(name, "--grpc") == 0) {
            crowd_ask.grpc = true;
            continue;
        }
        if (strcmp(name, "--upgrade") == 0) {
            crowd_ask.upgrade = true;
            continue;
        }
        if (strcmp(name, "--hold") == 0) {
            options.hold = true;
            continue;
        }
        if (++i == argc) {
            usage(name);
        }
        const char *value = argv[i];
        if (strcmp(name, "--to") == 0) {
            parse_to(value);
        } else if (strcmp(name, "--path") == 0) {
            crowd_ask.path = value;
        } else if (strcmp(name, "--connections") == 0) {
            crowd_ask.connections = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--hosts") == 0) {
            crowd_ask.hosts = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--tls") == 0) {
            tls_version = value;
            crowd_ask.tls = true;
        } else if (strcmp(name, "--http2") == 0) {
            crowd_ask.streams = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--requests") == 0) {
            options.requests = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--warmup") == 0) {
            options.warmup = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            options.rate = strtod(value, NULL);
        } else if (strcmp(name, "--seconds") == 0) {
            options.seconds = strtod(value, NULL);
        } else if (strcmp(name, "--settle") == 0) {
            options.settle_s = strtod(value, NULL);
        } else if (strcmp(name, "--slow") == 0) {
            crowd_ask.slow_bytes_per_s = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--expect") == 0) {
            crowd_ask.expect_bytes = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--snapshot") == 0) {
            mark_snapshot(value);
        } else if (strcmp(name, "--cpu-pid") == 0) {
            const char *rest = value;
            for (long pid = next_number(&rest); pid > 0; pid = next_number(&rest)) {
                mark_watch_pid(pid);
            }
        } else if (strcmp(name, "--syscalls") == 0) {
            const char *rest = value;
            for (long tid = next_number(&rest); tid > 0; tid = next_number(&rest)) {
                if (!syscalls_watch(tid)) {
                    (void)fprintf(stderr, "bench_load: cannot count system calls of %ld\n", tid);
                    exit(3);
                }
            }
        } else {
            usage(name);
        }
    }
    if (crowd_ask.to.sin_port == 0 || crowd_ask.connections == 0 ||
        crowd_ask.connections > CROWD_MAX) {
        usage("--to, --connections");
    }
    if (crowd_ask.streams > STREAMS_MAX || (crowd_ask.grpc && crowd_ask.streams == 0)) {
        usage("--http2");
    }
    if (tls_version != NULL) {
        secure_init(tls_version, crowd_ask.streams > 0 ? "h2" : NULL, crowd_ask.resume);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    struct rlimit files = {.rlim_cur = CROWD_MAX + 1000, .rlim_max = CROWD_MAX + 1000};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    crowd_ask.on_idle = on_idle;
    crowd_ask.on_lost = on_lost;
    crowd_ask.count_always = options.hold;
    crowd_init();

    if (options.hold) {
        run_hold();
    } else if (options.rate > 0) {
        run_rate();
    } else if (crowd_ask.slow_bytes_per_s > 0) {
        run_slow();
    } else {
        run_closed();
    }
    return EXIT_SUCCESS;
}
