/*
 * Clients and servers that do anything at any moment: half requests, half answers, resets, silence,
 * upgrades, uploads, drains. Nothing is asserted of the answers; what must hold is that no memory
 * is touched that is gone (sanitizers), that nothing hangs, and that the books agree at the end.
 *
 * Each seed is a story of its own and always the same; STORM_SEED=n tells one alone.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/exchange.h"
#include "lbd/upstream/idle.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

enum { CLIENTS = 16, SERVERS = 2, PEERS = 32, STEPS = 1000, SEEDS = 150 };

static struct proxy_stand stand;
static uint64_t dice;
static uint32_t wildness; /* one act in so many is a bad one */
static char block[40000];

/* One end of a connection that the test plays. */
struct actor {
    int fd;      /* -1: none */
    size_t owed; /* bytes of a body that it has announced */
    bool waits;  /* a client: for an answer */
};

static struct actor clients[CLIENTS];
static struct actor peers[PEERS]; /* accepted by the servers */

/* A generator that gives the same numbers everywhere. */
static uint32_t below(uint32_t n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(dice >> 33) % n;
}

#define SWITCH                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst"

enum { GOOD_REQUESTS = 14, GOOD_ANSWERS = 9 };

/* The first GOOD_REQUESTS are well-formed. */
static const char *const requests[] = {
    GET("/a"),
    GET("/a"),
    GET("/a") GET("/b") GET("/fixed"),
    GET("/fixed"),
    GET("/moved"),
    "HEAD /h HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "GET /c HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    "GET /old HTTP/1.0\r\nHost: a.example\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n",
    ("POST /trailers HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0\r\nT: 1\r\n\r\n"),
    "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    "GET / HTTP/1.1\r\nHost: none.example\r\n\r\n",
    "POST /fixed HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "GET / HTTP/1.1\r\nHost: a.ex",
    "BAD\r\n\r\n",
    "lo\r\n0\r\n\r\n",
    "x",
};

/* The first GOOD_ANSWERS are well-formed and whole, but for a body that is owed. */
static const char *const answers[] = {
    OK_ANSWER,
    OK_ANSWER,
    OK_ANSWER,
    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\n\r\n",
    ("HTTP/1.1 103 Early Hints\r\n\r\n" OK_ANSWER),
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nto the end",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    SWITCH,
    "HTTP/1.1 200 OK\r\nConte",
    "garbage\r\n\r\n",
    "x",
};

static void send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    if (below(4) == 0 && len > 1) {
        len = 1 + below((uint32_t)len - 1); /* not all of it */
    }
    (void)peer_write(fd, text, len);
}

/* Reads a little or all; the last bytes of it as text. */
static const char *drink(int fd)
{
    static char sink[100001];
    static const uint32_t sips[] = {10, 1000, 100000, 100000};
    sink[peer_read(fd, sink, sips[below(4)])] = '\0';
    return sink;
}

static void pay(struct actor *actor)
{
    size_t most = actor->owed < sizeof(block) ? actor->owed : sizeof(block);
    actor->owed -= peer_write(actor->fd, block, most);
}

static void part(struct actor *actor)
{
    switch (below(4)) {
    case 0:
        (void)shutdown(actor->fd, SHUT_WR);
        return;
    case 1:
        peer_reset(actor->fd);
        break;
    default:
        (void)close(actor->fd);
        break;
    }
    *actor = (struct actor){.fd = -1};
}

/* Anything that a peer should not do. */
static void misbehave(struct actor *actor, const char *text)
{
    switch (below(4)) {
    case 0:
        part(actor);
        break;
    case 1:
        (void)peer_write(actor->fd, block, 1 + below(sizeof(block)));
        break;
    default:
        send_text(actor->fd, text);
        break;
    }
}

static void act_as_client(struct actor *client)
{
    if (client->fd < 0) {
        *client = (struct actor){.fd = proxy_stand_client(&stand)};
    } else if (below(wildness) == 0) {
        misbehave(client, requests[below(ARRAY_LEN(requests))]);
        return;
    }
    if (client->owed > 0 && below(3) != 0) {
        pay(client);
    } else if (client->waits) {
        const char *heard = drink(client->fd);
        client->waits = heard[0] == '\0' || below(3) == 0;
    } else {
        const char *request = requests[below(GOOD_REQUESTS)];
        (void)peer_write(client->fd, request, strlen(request));
        client->owed = strstr(request, "100000") != NULL ? 100000 : 0;
        client->waits = true;
    }
}

static void act_as_server(struct actor *peer)
{
    if (peer->fd < 0) {
        for (uint32_t i = 0; i < SERVERS && peer->fd < 0; i++) {
            int fd = accept4(stand.up.listening[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            *peer = (struct actor){.fd = fd};
        }
        return;
    }
    if (below(wildness) == 0) {
        misbehave(peer, answers[below(ARRAY_LEN(answers))]);
        return;
    }
    if (peer->owed > 0) {
        pay(peer);
        return;
    }
    const char *heard = drink(peer->fd);
    if (strstr(heard, "\r\n\r\n") == NULL) {
        return; /* the rest of a body, or nothing */
    }
    const char *answer = answers[below(GOOD_ANSWERS)];
    if (strncmp(heard, "HEAD ", 5) == 0) {
        answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    } else if (strstr(heard, "Upgrade: ") != NULL) {
        answer = SWITCH;
    }
    (void)peer_write(peer->fd, answer, strlen(answer));
    peer->owed = strstr(answer, "100000") != NULL ? 100000 : 0;
}

static void act_as_control(void)
{
    struct server *server = stand.up.servers[below(SERVERS)];
    static const enum server_health healths[] = {SERVER_UP, SERVER_UP, SERVER_UP, SERVER_DOWN};
    static const enum server_admin admins[] = {SERVER_READY, SERVER_READY, SERVER_READY,
                                               SERVER_DRAIN};
    (void)server_set_health(server, healths[below(4)], 0);
    (void)server_set_admin(server, admins[below(4)], 0);
    idle_sweep(&stand.up.upstream);
    front_adopt(stand.front, &stand.plan, 0);
}

static void close_all(struct actor *actors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (actors[i].fd >= 0) {
            (void)close(actors[i].fd);
        }
        actors[i] = (struct actor){.fd = -1};
    }
}

/* How a story ends: while everything is open, or after a drain of some kind. */
static void finish(void)
{
    uint32_t how = below(4);
    if (how == 1 || how == 2) {
        front_drain(stand.front, &stand.lease, 300);
        stand.front = NULL;
    }
    if (how == 0 || how == 2) {
        close_all(clients, CLIENTS);
        close_all(peers, PEERS);
    }
    for (int i = 0; i < 20 && how != 3; i++) {
        upstream_stand_tick(&stand.up, 400);
    }
    if (how != 3) {
        ck_assert_msg(stand.proxy.exchanges.objects == 0, "an exchange hangs");
        ck_assert_msg(stand.proxy.tunnels.objects == 0, "a tunnel hangs");
        ck_assert_msg(proxy_stand_open_count(&stand) == 0, "a client hangs");
    }
}

static void tell_story(unsigned seed)
{
    struct proxy_stand_options options = {
        .upstream = {.servers = SERVERS, .retries = 2, .max_in_flight = seed % 3 == 0 ? 4 : 0},
        .no_log = seed % 2 == 0,
        .max_connections = seed % 5 == 0 ? 8 : 100,
    };
    dice = seed * 7919ULL + 1;
    static const uint32_t wild[] = {100, 30, 10, 3};
    wildness = wild[seed % 4];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].fd = -1;
    }
    for (size_t i = 0; i < PEERS; i++) {
        peers[i].fd = -1;
    }
    proxy_stand_open(&stand, &options);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = below(20);
        if (what < 9) {
            act_as_client(&clients[below(CLIENTS)]);
        } else if (what < 18) {
            act_as_server(&peers[below(PEERS)]);
        } else if (what < 19) {
            upstream_stand_tick(&stand.up, below(wildness < 20 ? 300 : 60));
        } else {
            act_as_control();
        }
        if (below(3) != 0) { /* sometimes much happens between two turns */
            loop_run_once(stand.up.base.loop, 0);
        }
        ck_assert_uint_le(stand.up.base.net.buffered_bytes, 64U * 1024 * 1024);
        if (stand.log != NULL) {
            (void)proxy_stand_log(&stand);
        }
    }
    finish();
    close_all(clients, CLIENTS);
    close_all(peers, PEERS);
    proxy_stand_close(&stand);
}

START_TEST(anything_at_any_moment)
{
    const char *alone = getenv("STORM_SEED");
    if (alone != NULL) {
        tell_story((unsigned)strtoul(alone, NULL, 10));
        return;
    }
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        tell_story(seed);
    }
}
END_TEST

UNIT_TESTS("exchange_storm", anything_at_any_moment)
