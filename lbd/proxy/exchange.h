/*
 * exchange - one request and its answer: a stream to the client, a stream to a server, a plan, a
 * record.
 *
 *     route -> pick -> connect -> send -> receive          each step: go on | wait | answered
 *                ^------- retry -----|
 *
 * The steps are a table in exchange.c; exchange_forward.c does what concerns the server,
 * exchange_reply.c the answers lbd makes itself. Bodies flow between the two streams without being
 * kept here; a large plain one is handed to net/relay, an upgrade to proxy/tunnel.
 *
 * The head of the request lives in an arena (retry and log need it) that dies with the exchange, or
 * before it when only the rest of a body is left to be sent.
 *
 * Limits: one retry budget per pool and worker; tried servers are remembered up to EXCHANGE_TRIES.
 * Memory: one slab object with the arena's first block inside; holds its worker's lease on the
 * snapshot. Threads: worker.
 */
#ifndef LBD_PROXY_EXCHANGE_H
#define LBD_PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/http/stream.h"
#include "lbd/net/relay.h"
#include "lbd/proxy/session.h"
#include "lbd/upstream/upstream_stream.h"

#define EXCHANGE_HEAD_BYTES 3072U
#define EXCHANGE_TRIES      8U

enum exchange_verdict {
    EXCHANGE_GO_ON,
    EXCHANGE_WAIT, /* an event goes on, or it is over: the exchange must not be touched */
};

enum exchange_step {
    EXCHANGE_ROUTE,
    EXCHANGE_PICK,
    EXCHANGE_CONNECT,
    EXCHANGE_SEND,
    EXCHANGE_RECEIVE
};

/* The head of the request and what is made from it; given back early when only a slow client is
 * left. */
struct exchange_head {
    struct message request;
    struct arena arena;
    char block[]; /* the arena's first */
};

struct exchange {
    struct stream *down; /* to the client; NULL once it ended */
    struct stream *up;   /* to the server; NULL: none now */
    struct session *session;
    struct proxy_worker *proxy;
    const struct plan *plan;
    struct lease *lease;       /* keeps plan, route and pool */
    const struct route *route; /* NULL: none */
    const struct pool *pool;
    struct server *server; /* counted as in flight there; NULL: none */
    uint32_t member;
    uint32_t tries;
    uint32_t tried[EXCHANGE_TRIES];
    uint32_t tried_count;
    uint8_t step;    /* enum exchange_step */
    uint8_t reason;  /* enum close_reason: how it ends; CLOSE_OK until then */
    uint8_t failure; /* enum close_reason of the last try */
    uint16_t status;
    bool reused;         /* the server's connection had served before */
    bool fresh;          /* the next try takes a new connection */
    bool head_sent;      /* the final head went to the client */
    bool request_done;   /* the server has all of the request */
    bool request_broken; /* the server takes no more of it */
    bool is_upgrade;     /* the client asks for websocket */
    bool is_relaying;
    bool host_is_servers; /* an HTTP/1.0 client named none */
    uint64_t revision;
    uint64_t start_us;
    uint64_t sent_us;       /* the request went to the server */
    uint64_t connect_us;    /* how long connecting took */
    uint64_t first_byte_us; /* of the answer */
    uint64_t request_bytes; /* of bodies */
    uint64_t response_bytes;
    struct upstream_waiter waiter;
    struct relay relay;
    char request_id[16];
    struct slice request_id_used; /* ours, or a valid one of the client's */
    struct slice path;            /* as it came, for the log */
    struct exchange_head *head;   /* NULL: not needed any more */
};

/* Begins with a request whose head was parsed; events of `down` become the exchange's. */
void exchange_start(struct session *session, struct stream *down, struct message *message);
/* A request that could not be parsed: answers with the reason's status and closes. */
void exchange_refuse(struct session *session, struct stream *down, enum close_reason reason);

/* Ends a request that its server must let go of: without an answer so far with one of ours, in the
 * middle of an answer with the connection, whose client sees our end first. */
void exchange_give_up(struct exchange *x, enum close_reason reason);

/* -- between the files of the exchange -- */

/* Runs steps from `step` on. */
void exchange_run(struct exchange *x, enum exchange_step step);
enum exchange_verdict exchange_pick(struct exchange *x);
enum exchange_verdict exchange_connect(struct exchange *x);
enum exchange_verdict exchange_send(struct exchange *x);
/* Answers with `reason` when no head was sent, else cuts the client off. The exchange is over or
 * ends by itself. */
void exchange_fail(struct exchange *x, enum close_reason reason);
/* The answer of lbd itself for a failure; of a route. Nothing of the server is held any more. */
void exchange_reply_reason(struct exchange *x, enum close_reason reason);
void exchange_reply_route(struct exchange *x);
/* Each counts the bytes of a stream that is about to end. */
void exchange_count_client(struct exchange *x, const struct stream *stream);
void exchange_count_server(struct exchange *x, const struct stream *stream);
/* Gives up whatever is under way at the server: dialling, the stream, the place in flight. */
void exchange_reset_server(struct exchange *x, enum close_reason reason);
/* The client's bytes of the body are to go on to the server. */
void exchange_on_request_body(struct exchange *x);
/* The whole answer is under way and nobody will look at the request again. */
void exchange_forget_head(struct exchange *x);
/* Ends the record: counters, log, lease, memory. The streams are gone before. */
void exchange_end(struct exchange *x, enum close_reason reason);
/* What exchange_end writes to the log; a tunnel that takes over keeps it. */
struct access_record;
void exchange_fill_record(const struct exchange *x, struct access_record *record);

#endif
