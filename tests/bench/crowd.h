/*
 * crowd - the connections of the load generator, and what became of their requests.
 *
 * Knows how to connect, ask, read and check an answer. What comes after an answer, a new connection
 * or a lost one is the mode's business: bench_load.c sets on_idle and on_lost.
 *
 *     CLOSED --connect--> CONNECTING --> IDLE --ask--> ASKED --answer--> IDLE
 *                             |            ^
 *                             +-> SECURING-+   with TLS
 *
 * With HTTP/2 a connection is IDLE as long as it may ask once more, and on_idle is called once for
 * each request that it may make. With `upgrade` the first answer is 101, what is asked next is a
 * message of WebSocket.
 *
 * Limits: CROWD_MAX connections; an answer is read through one scratch buffer of 256 KiB.
 * Memory: crowd_clients is owned here. Threads: the main thread.
 */
#ifndef TESTS_BENCH_CROWD_H
#define TESTS_BENCH_CROWD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/latency.h"
#include "tests/bench/reader.h"
#include "tests/bench/secure.h"
#include "tests/bench/streams.h"

enum { CROWD_MAX = 19000, CROWD_STALL_MS = 30000 /* nothing moved for so long: give up */ };

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_SECURING, CLIENT_IDLE, CLIENT_ASKED };

struct client {
    int fd;
    enum client_state state;
    bool fresh; /* nothing was answered on this connection yet */
    uint64_t since_us;
    uint32_t asked; /* chooses the host of the next request */
    struct reader reader;
    struct secure secure;
    struct streams *streams; /* owned: its HTTP/2, or NULL */
    bool feeding;            /* inside streams_feed(): what is asked goes out after it */
};

/* What the crowd was told. */
struct crowd_ask {
    struct sockaddr_in to;
    const char *path;
    uint32_t connections;
    uint32_t hosts;
    uint32_t slow_bytes_per_s; /* each reads no faster, by crowd_read(); 0: as it comes */
    uint64_t expect_bytes;     /* of every body; UINT64_MAX: any */
    uint32_t streams;          /* requests at once on a connection of HTTP/2; 0: HTTP/1.1 */
    bool grpc;                 /* calls instead of pages */
    bool tls;
    bool resume; /* every handshake but a client's first must be short */
    bool upgrade;
    bool close_each;
    bool count_always;                      /* failures count before crowd_measuring too */
    void (*on_idle)(struct client *client); /* connected, or answered */
    void (*on_lost)(struct client *client); /* its connection is gone */
};

struct crowd_sum {
    uint64_t done;
    uint64_t failed;     /* not answered, or answered wrongly */
    uint64_t closed;     /* keep-alive connections the other side closed */
    uint64_t bad_status; /* of failed: a status other than 200 */
    uint64_t full;       /* handshakes that were not short, while they had to be */
};

extern struct crowd_ask crowd_ask;
extern struct crowd_sum crowd_sum;
extern struct client *crowd_clients;
extern struct latency crowd_latency; /* of what was answered while crowd_measuring */
extern bool crowd_measuring;

/* Makes crowd_ask.connections clients, all closed. */
void crowd_init(void);
uint64_t crowd_now_us(void);
/* Says what failed and ends the program. */
_Noreturn void crowd_die(const char *what);
void crowd_connect(struct client *client);
/* Sends one request on an idle connection; it counts from `since_us`. False: the connection was
 * gone. */
bool crowd_ask_one(struct client *client, const char *path, uint64_t since_us);
/* Reads what is there, at most `most` bytes. */
void crowd_read(struct client *client, size_t most);
/* How many of its requests are on their way. */
uint32_t crowd_unanswered(const struct client *client);
void crowd_note_failed(void);
/* Waits at most `timeout_us` and handles what came; true when something did. */
bool crowd_turn(uint64_t timeout_us);
/* Turns until `*value` reaches `want`; ends the program when nothing moves. */
void crowd_turn_until(const uint64_t *value, uint64_t want);

#endif
