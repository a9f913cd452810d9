/*
 * bench_mail - the mail clients of the benchmark (and those of HTTP beside them).
 *
 *     bench_mail --to DIALECT[s]:PORT ... [--connections 64] [--users 1000000] [--mailbox INBOX]
 * [--cpu-pid P,...] MODE
 *
 *     --script greeting|session|click --requests R [--warmup W]
 *             closed loop of whole conversations: connect, read the greeting, log in, SELECT, with
 * click FETCH, LOGOUT. --note greeting|login|select: latency of that part alone (greeting: since
 * connect)
 *     --script held|idle --hold [--opening 128]
 *             obeys lines on stdin, answers each with a line of JSON: "open N", "rate PER_S
 * SECONDS" (a NOOP or a page, of one connection after the other), "quit"
 *
 * DIALECT is imap, pop3, smtp or http, with an s over TLS; the connections take the targets in
 * turn. Every answer is checked. See mail_talk.h for what is said, mark.h for what is measured; the
 * JSON is bench_load's.
 *
 * Limits: 19,000 connections, 16 targets. Threads: the main thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/crowd.h"
#include "tests/bench/mail_talk.h"
#include "tests/bench/mark.h"
#include "tests/bench/secure.h"

enum { TARGETS_MAX = 16, EVENTS_MAX = 256, OPENING_DEFAULT = 128 };

struct target {
    enum talk_dialect dialect;
    bool tls;
    uint16_t port;
};

struct mail_client {
    int fd;
    enum client_state state;
    bool rests; /* its script is over, and it stays */
    uint64_t connected_us;
    uint64_t since_us;
    struct secure secure;
    struct mail_talk talk;
};

static struct {
    enum talk_script script;
    enum talk_part note;
    bool notes_whole; /* latency of whole conversations */
    uint64_t requests;
    uint64_t warmup;
    uint32_t connections;
    uint32_t users;
    uint32_t opening; /* how many connections come up at once */
    bool hold;
} options = {.script = TALK_SCRIPT_SESSION,
             .notes_whole = true,
             .connections = 64,
             .users = 1000000,
             .opening = OPENING_DEFAULT};

static struct target targets[TARGETS_MAX];
static uint32_t targets_len;
static struct mail_client *clients;
static int epoll_fd;
static uint32_t next_user;
static uint64_t held;
static uint64_t opening;

static void start_talk(struct mail_client *client);

static struct target *target_of(const struct mail_client *client)
{
    return &targets[(uint32_t)(client - clients) % targets_len];
}

static void client_close(struct mail_client *client)
{
    mail_talk_end(&client->talk);
    secure_close(&client->secure);
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
    client->state = CLIENT_CLOSED;
    client->rests = false;
}

static void client_connect(struct mail_client *client)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(target_of(client)->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        crowd_die("socket");
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    client->fd = fd;
    client->state = CLIENT_CONNECTING;
    client->connected_us = crowd_now_us();
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS) {
        crowd_die("connect");
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u32 = (uint32_t)(client - clients)};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        crowd_die("epoll_ctl");
    }
}

/* The connection is gone, or speaks nonsense. */
static void client_lose(struct mail_client *client)
{
    if (getenv("BENCH_MAIL_TELL") != NULL) {
        (void)fprintf(stderr, "lost at step %u of %u: %.*s\n", client->talk.step,
                      client->talk.dialect, (int)client->talk.line_len, client->talk.line);
    }
    if (crowd_measuring || options.hold) {
        if (client->rests) {
            crowd_sum.closed++;
        } else {
            crowd_sum.failed++;
        }
    }
    if (options.hold && !client->rests) {
        opening--;
    }
    client_close(client);
    if (!options.hold) {
        client_connect(client);
    }
}

static bool client_send(struct mail_client *client, const char *bytes, size_t len)
{
    client->since_us = crowd_now_us();
    return len == 0 || (client->secure.ssl != NULL
                            ? secure_write(&client->secure, bytes, len)
                            : send(client->fd, bytes, len, MSG_NOSIGNAL)) == (ssize_t)len;
}

/* The script is over. */
static void on_end(struct mail_client *client)
{
    if (options.hold) {
        client->state = CLIENT_IDLE;
        client->rests = true;
        held++;
        opening--;
        return;
    }
    crowd_sum.done++;
    if (crowd_measuring && options.notes_whole) {
        latency_note(&crowd_latency, crowd_now_us() - client->connected_us);
    }
    client_close(client);
    client_connect(client);
}

static void on_answer(struct mail_client *client, enum talk_part part)
{
    uint64_t now = crowd_now_us();
    if (client->rests) { /* a command beyond the script */
        client->state = CLIENT_IDLE;
        crowd_sum.done++;
        if (crowd_measuring) {
            latency_note(&crowd_latency, now - client->since_us);
        }
        return;
    }
    if (crowd_measuring && !options.notes_whole && part == options.note) {
        latency_note(&crowd_latency,
                     now - (part == TALK_GREETING ? client->connected_us : client->since_us));
    }
    start_talk(client);
}

/* Says what comes next. */
static void start_talk(struct mail_client *client)
{
    char question[TALK_QUESTION_MAX];
    size_t len = 0;
    client->state = CLIENT_ASKED;
    if (!mail_talk_ask(&client->talk, question, &len)) {
        on_end(client);
    } else if (!client_send(client, question, len)) {
        client_lose(client);
    }
}

static void client_ready(struct mail_client *client)
{
    mail_talk_begin(&client->talk, target_of(client)->dialect, options.script,
                    next_user++ % options.users);
    start_talk(client);
}

static void client_read(struct mail_client *client)
{
    static char scratch[64 * 1024];
    int fd = client->fd;
    while (client->fd == fd && client->state != CLIENT_CLOSED &&
           client->state != CLIENT_CONNECTING) {
        ssize_t got = client->secure.ssl != NULL
                          ? secure_read(&client->secure, scratch, sizeof(scratch))
                          : recv(fd, scratch, sizeof(scratch), 0);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0 || client->state != CLIENT_ASKED) {
            client_lose(client);
            return;
        }
        enum talk_part part = TALK_REST;
        switch (mail_talk_feed(&client->talk, scratch, (size_t)got, &part)) {
        case TALK_MORE:
            break;
        case TALK_BAD:
            client_lose(client);
            return;
        case TALK_ANSWERED:
            on_answer(client, part);
            break;
        }
    }
}

static void client_secure(struct mail_client *client)
{
    switch (secure_handshake(&client->secure)) {
    case SECURE_DONE:
        client_ready(client);
        client_read(client); /* a greeting may have come with the end of the handshake */
        return;
    case SECURE_MORE:
        return;
    case SECURE_BAD:
        client_lose(client);
        return;
    }
}

static void on_event(struct mail_client *client, uint32_t events)
{
    switch (client->state) {
    case CLIENT_CLOSED:
        return;
    case CLIENT_CONNECTING:
        if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
            client_lose(client);
        } else if ((events & EPOLLOUT) != 0) {
            if (target_of(client)->tls) {
                client->state = CLIENT_SECURING;
                secure_open(&client->secure, client->fd);
                client_secure(client);
            } else {
                client_ready(client);
                client_read(client);
            }
        }
        return;
    case CLIENT_SECURING:
        client_secure(client);
        return;
    case CLIENT_IDLE:
    case CLIENT_ASKED:
        client_read(client);
        return;
    }
}

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

static void turn_until(const uint64_t *value, uint64_t want)
{
    uint64_t last_us = crowd_now_us();
    while (*value < want) {
        uint64_t before = *value + crowd_sum.failed;
        (void)turn(100000);
        if (*value + crowd_sum.failed != before) {
            last_us = crowd_now_us();
        } else if (crowd_now_us() - last_us > CROWD_STALL_MS * 1000ULL) {
            (void)fprintf(stderr, "bench_mail: stalled at %" PRIu64 " of %" PRIu64 "\n", *value,
                          want);
            exit(EXIT_FAILURE);
        }
    }
}

/* --- modes ------------------------------------------------------------------------------------ */

static void run_closed(void)
{
    for (uint32_t i = 0; i < options.connections; i++) {
        client_connect(&clients[i]);
        if (i % 64 == 63) {
            (void)turn(0);
        }
    }
    turn_until(&crowd_sum.done, options.warmup);
    struct mark from = mark_take();
    crowd_measuring = true;
    turn_until(&crowd_sum.done, from.done + options.requests);
    struct mark to = mark_take();
    mark_report(&from, &to);
}

static void hold_open(uint64_t want)
{
    uint64_t started = held;
    uint64_t last_us = crowd_now_us();
    while (held < want && crowd_now_us() - last_us < CROWD_STALL_MS * 1000ULL) {
        uint64_t before = held;
        while (opening < options.opening && started < want) {
            client_connect(&clients[started++]);
            opening++;
        }
        if (opening == 0) {
            break; /* the others failed */
        }
        (void)turn(100000);
        if (held != before) {
            last_us = crowd_now_us();
        }
    }
    crowd_sum.failed += opening;
    printf("{\"open\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"bad_status\": 0, \"closed\": %" PRIu64 "}\n",
           held, crowd_sum.failed, crowd_sum.closed);
    (void)fflush(stdout);
}

static void hold_rate(double rate, double seconds)
{
    char question[TALK_QUESTION_MAX];
    uint64_t start_us = crowd_now_us();
    uint64_t end_us = start_us + (uint64_t)(seconds * 1e6);
    uint64_t sent = 0;
    struct mark from = mark_take();
    crowd_measuring = true;
    while (crowd_now_us() < end_us) {
        uint64_t due_us = start_us + (uint64_t)((double)sent * 1e6 / rate);
        uint64_t now = crowd_now_us();
        if (due_us > now) {
            (void)turn(due_us - now);
            continue;
        }
        /* a stride that meets all of them, far apart */
        struct mail_client *client = &clients[sent * 7919 % held];
        sent++;
        if (client->state != CLIENT_IDLE) {
            continue;
        }
        size_t len = 0;
        mail_talk_command(&client->talk, question, &len);
        client->state = CLIENT_ASKED;
        if (!client_send(client, question, len)) {
            client_lose(client);
        }
    }
    struct mark to = mark_take();
    mark_report(&from, &to);
}

static void run_hold(void)
{
    char line[256];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        double rate = 0;
        double seconds = 0;
        while (turn(0)) { /* what was closed meanwhile */
        }
        if (strncmp(line, "open ", 5) == 0) {
            uint64_t want = strtoull(line + 5, NULL, 10);
            hold_open(want > options.connections ? options.connections : want);
        } else if (sscanf(line, "rate %lf %lf", &rate, &seconds) == 2 && rate > 0 && held > 0) {
            hold_rate(rate, seconds);
        } else {
            break;
        }
    }
}

/* ---------------------------------------------------------------------------------------------- */

static void usage(const char *what)
{
    (void)fprintf(stderr, "bench_mail: what is '%s'? See the head of bench_mail.c.\n", what);
    exit(2);
}

static int word_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    usage(word);
    return 0;
}

static void parse_to(const char *text)
{
    const char *colon = strchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    struct target *target = &targets[targets_len++];
    if (targets_len > TARGETS_MAX || len < 2) {
        usage(text);
    }
    target->tls = text[len - 1] == 's';
    if (!mail_talk_dialect(text, len - (target->tls ? 1 : 0), &target->dialect)) {
        usage(text);
    }
    target->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static void parse(int argc, char **argv)
{
    static const char *const scripts[] = {"greeting", "held", "idle", "session", "click", NULL};
    static const char *const parts[] = {"greeting", "login", "select", NULL};
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
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
        } else if (strcmp(name, "--script") == 0) {
            options.script = (enum talk_script)word_of(value, scripts);
        } else if (strcmp(name, "--note") == 0) {
            options.note = (enum talk_part)word_of(value, parts);
            options.notes_whole = false;
        } else if (strcmp(name, "--mailbox") == 0) {
            mail_talk_mailbox(value);
        } else if (strcmp(name, "--connections") == 0) {
            options.connections = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--users") == 0) {
            options.users = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--opening") == 0) {
            options.opening = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--requests") == 0) {
            options.requests = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--warmup") == 0) {
            options.warmup = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--cpu-pid") == 0) {
            for (const char *at = value; at != NULL; at = strchr(at, ',')) {
                at += *at == ',' ? 1 : 0;
                mark_watch_pid(strtol(at, NULL, 10));
            }
        } else {
            usage(name);
        }
    }
    if (targets_len == 0 || options.connections == 0 || options.connections > CROWD_MAX ||
        options.users == 0) {
        usage("--to, --connections, --users");
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    struct rlimit files = {.rlim_cur = CROWD_MAX + 1000, .rlim_max = CROWD_MAX + 1000};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    secure_init("1.3", NULL, false);
    clients = calloc(options.connections, sizeof(*clients));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || epoll_fd < 0) {
        crowd_die("start");
    }
    for (uint32_t i = 0; i < options.connections; i++) {
        clients[i].fd = -1;
    }
    if (options.hold) {
        run_hold();
    } else {
        run_closed();
    }
    return EXIT_SUCCESS;
}
