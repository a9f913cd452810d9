/*
 * exchange - one request and its answer: a stream to the client, a stream to a server, a plan, a
 * record.
 *
 *     route -> filter -> admit -> body -> pick -> connect -> send -> receive   each step: go on
 *                                          ^------- retry -----|                  | wait | answered
 *
 * The steps are a table in exchange.c; exchange_forward.c does what concerns the server,
 * exchange_body.c what is collected before that, exchange_queue.c what waits for a place (and may
 * have a newer pool afterwards), exchange_retry.c what follows when a try fails, exchange_reply.c
 * the answers lbd makes itself, exchange_filter.c asks the policies. Bodies flow between the two
 * streams without being kept here; a large plain one is handed to net/relay, an upgrade to
 * proxy/tunnel. What may last (gRPC, WebSocket over HTTP/2) has a deadline of its own and stays:
 * exchange_call.c, exchange_websocket.c. Clients that belong to a server: exchange_sticky.c; to a
 * pool of a split: exchange_split.c.
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
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/list.h"
#include "lbd/filter/filter.h"
#include "lbd/http/hop.h"
#include "lbd/http/stream.h"
#include "lbd/http/websocket_frames.h"
#include "lbd/http/websocket_key.h"
#include "lbd/net/relay.h"
#include "lbd/proxy/mirror.h"
#include "lbd/proxy/session.h"
#include "lbd/upstream/upstream_stream.h"

#define EXCHANGE_HEAD_BYTES 4096U
#define EXCHANGE_TRIES      8U

struct access_kept;
struct access_record;
struct cause;

/* A try at a server that failed: exchange_trace.c. In the arena. */
struct exchange_try {
    struct exchange_try *before; /* NULL: it was the first */
    const struct server *server;
    uint64_t ended_us;
    uint16_t status; /* of an answer that was not good enough; 0: none came */
    uint8_t reason;  /* enum close_reason */
    bool reused;
};

enum exchange_verdict {
    EXCHANGE_GO_ON,
    EXCHANGE_WAIT, /* an event goes on, or it is over: the exchange must not be touched */
};

enum exchange_step {
    EXCHANGE_ROUTE,
    EXCHANGE_FILTER,
    EXCHANGE_ADMIT,
    EXCHANGE_BODY,
    EXCHANGE_PICK,
    EXCHANGE_CONNECT,
    EXCHANGE_SEND,
    EXCHANGE_RECEIVE
};

/* The head of the request and what is made from it; given back early when only a slow client is
 * left. */
struct exchange_head {
    struct message request;
    struct filter_run *filters; /* in `arena`; NULL: no policies */
    struct hop_told *told;      /* in the arena; NULL: the listener has no rules for it */
    struct mirror_body *mirror; /* in the arena; NULL: nothing is kept for a copy */
    struct flow body;           /* that was collected: exchange_body.c */
    struct arena arena;
    char block[]; /* the arena's first */
};

/* What may last and be silent for long: a gRPC call, a tunnel. exchange_call.c */
struct exchange_call {
    struct loop_timer timer;
    union {
        uint64_t deadline_us;     /* of gRPC, the client's; 0: none */
        struct filter_hold *hold; /* of tunnels, for policies; NULL: nothing */
    };
    uint64_t moved;     /* bytes either way when the timer was set */
    uint32_t silent_ms; /* how long nothing may be said */
    /* tunnels: exchange_websocket.c */
    bool server_paused;                /* nothing more is read of the server: the client is slow */
    struct upstream_conn *server_conn; /* NULL: none (any more) */
    struct access_kept *kept;          /* NULL: the log is off */
    struct websocket_frames frames;    /* from the server */
};

struct exchange {
    struct stream *down;   /* to the client; NULL once it ended */
    struct stream *up;     /* to the server; NULL: none now */
    struct list_node link; /* the client's http_conn.exchanges */
    struct session *session;
    struct proxy_worker *proxy;
    const struct plan *plan;
    struct lease *lease;       /* keeps plan, route and pool */
    const struct route *route; /* NULL: none */
    const struct pool *pool;
    struct server *server; /* counted as in flight there; NULL: none */
    uint32_t member;
    uint32_t tries;
    uint8_t step;    /* enum exchange_step */
    uint8_t reason;  /* enum close_reason: how it ends; CLOSE_OK until then */
    uint8_t failure; /* enum close_reason of the last try */
    uint8_t version; /* enum stream_version of the client */
    uint16_t status;
    uint8_t grpc_status; /* 1 + that of the server's answer, or of a policy's; 0: none was seen */
    bool reused;         /* the server's connection had served before */
    bool fresh;          /* the next try takes a new connection */
    bool head_sent;      /* the final head went to the client */
    bool request_done;   /* the server has all of the request */
    bool request_broken; /* the server takes no more of it */
    bool body_begun;     /* some of its body may have been pulled */
    bool rested;         /* the same server may be asked again now */
    bool is_upgrade;     /* the client asks for websocket */
    bool is_grpc;        /* failures are told as gRPC tells them */
    bool is_open;        /* an answer without a length has begun: trailers may end it any time */
    bool with_trailers;  /* they go on, both ways */
    bool is_connect;     /* WebSocket over HTTP/2: an extended CONNECT (RFC 8441) */
    bool is_call;        /* `call` is in use */
    bool is_tunnel;      /* ... which the server has switched: bytes both ways */
    bool is_small;       /* ... with EXCHANGE_TUNNEL_BYTES */
    bool is_relaying;
    bool host_is_servers;     /* an HTTP/1.0 client named none */
    uint8_t tells_arm;        /* 1 + the one of its split that the client is told; 0: none */
    struct addr_small client; /* who asks: exchange_client() */
    uint64_t revision;
    uint64_t start_us;
    uint64_t request_bytes; /* of bodies */
    uint64_t response_bytes;
    struct exchange_head *head; /* NULL: not needed any more */
    union {
        struct exchange_call call; /* when is_call, which is never relayed; not zeroed */
        struct relay_paces paces;  /* of `relay` */
    };

    /* Of a tunnel that stands nothing is kept from here on (EXCHANGE_TUNNEL_BYTES). */
    uint64_t sent_us;                   /* the request went to the server */
    uint64_t connect_us;                /* how long connecting took */
    uint64_t first_byte_us;             /* of the answer */
    struct slice trace_id;              /* in the arena; empty: none, or nobody looks */
    const struct slice *answer_headers; /* that lines of the log have, in the arena; NULL: none */
    struct exchange_try *failed; /* the last one that did; NULL: none did, or they are forgotten */
    uint32_t tried_count;
    uint32_t belongs_to;          /* 1 + the member its client named; 0: none, or it had to move */
    struct lease *pool_lease;     /* keeps a newer pool; NULL: `lease` does */
    struct slice request_id_used; /* ours, or a valid one of the client's */
    struct slice path;            /* as it came, for the log */
    struct slice host;            /* likewise, where servers get another one; empty: they do not */
    bool collects;                /* its body is taken in first */
    bool owes_continue;           /* ... and asked for by us */
    bool has_whole_body;          /* head->body is all of it */
    bool sends_body;              /* some of head->body is still to be sent: body_at */
    struct slice kept_body;       /* all of a small one, while a server may still refuse it */
    struct slice own_left;        /* of an answer of lbd itself, not sent yet: the snapshot's */
    /* last, and not zeroed, but for what says that the first three wait for nothing */
    struct upstream_waiter waiter;
    struct loop_timer timer; /* of the try that is under way, of the wait before it, of a pause */
    struct queue_waiter queued;        /* while every server is full */
    uint64_t queued_us;                /* since when */
    const struct flow_buffer *body_at; /* where sends_body goes on */
    struct slice body_trailers;        /* behind head->body, when has_whole_body */
    uint32_t tried[EXCHANGE_TRIES];
    char request_id[16];
    char accept[WEBSOCKET_ACCEPT_MAX]; /* what answers our key */
    struct relay relay;                /* while is_relaying */
};

/* Up to there it begins with zeros. */
#define EXCHANGE_ZEROED_BYTES offsetof(struct exchange, waiter)
#define EXCHANGE_TUNNEL_BYTES offsetof(struct exchange, sent_us)

/* The client's address, for whatever asks who it is: keys, lists, limits, logs. Set before the
 * first step. session->conn.peer is who holds the connection, which may be a proxy. */
static inline const struct addr_small *exchange_client(const struct exchange *x)
{
    return &x->client;
}
/* How the client asked, "http" or "https", and for which host: by what trusted proxies say, or else
 * by its connection and its request. As long as there is a head. */
struct slice exchange_proto(const struct exchange *x);
struct slice exchange_host(const struct exchange *x);
static inline bool exchange_is_https(const struct exchange *x)
{
    return exchange_proto(x).len == sizeof("https") - 1;
}

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
enum exchange_verdict exchange_filter(struct exchange *x);
/* The policies it passes; NULL: none. */
static inline const struct filter_chain *exchange_filters(const struct exchange *x)
{
    return x->route != NULL ? x->route->filters : x->plan->filters;
}
/* Finds or makes request_id_used, once. */
void exchange_know_id(struct exchange *x);
/* Who the client is by its certificate, as far as servers are told by the plan of this request.
 * NULL: they are not, or there is none. */
struct tls_peer;
const struct tls_peer *exchange_peer(const struct exchange *x);
enum exchange_verdict exchange_pick(struct exchange *x);
enum exchange_verdict exchange_connect(struct exchange *x);
enum exchange_verdict exchange_send(struct exchange *x);
/* Answers with `reason` when no head was sent, else cuts the client off. The exchange is over or
 * ends by itself. */
void exchange_fail(struct exchange *x, enum close_reason reason);
/* The answer of lbd itself for a failure; of a route. Nothing of the server is held any more. */
void exchange_reply_reason(struct exchange *x, enum close_reason reason);
void exchange_reply_route(struct exchange *x);
/* The client takes more of an answer whose `own_left` is not empty; its own bytes are dropped. */
void exchange_reply_more(struct exchange *x);
void exchange_reply_drop(struct exchange *x);
/* What a policy says to it. */
void exchange_reply_filter(struct exchange *x, const struct filter_answer *said);
/* Ends an answer that has begun with the trailers that tell of a failure. False: they do not go
 * out. */
bool exchange_reply_trailers(struct exchange *x, enum close_reason reason);
/* "/pools/api/timeouts/response=60s", the setting behind x->reason, in the arena; empty: none is.
 */
struct slice exchange_cause_text(struct exchange *x);
/* Each counts the bytes of a stream that is about to end. */
void exchange_count_client(struct exchange *x, const struct stream *stream);
void exchange_count_server(struct exchange *x, const struct stream *stream);
/* Gives up whatever is under way at the server: dialling, the stream, the place in flight. */
void exchange_reset_server(struct exchange *x, enum close_reason reason);
/* Parts of it: the stream; the place. */
void exchange_reset_stream(struct exchange *x, enum close_reason reason);
void exchange_release_server(struct exchange *x);
/* The answer is complete: the connection may serve another request. */
void exchange_finish_server(struct exchange *x);
/* The client's bytes of the body are to go on to the server. */
void exchange_on_request_body(struct exchange *x);
/* The whole answer is under way and nobody will look at the request again. */
void exchange_forget_head(struct exchange *x);
void exchange_free_head(struct exchange *x);
/* Ends the record: counters, log, lease, memory. The streams are gone before. */
void exchange_end(struct exchange *x, enum close_reason reason);
/* What exchange_end would write to the log now, for a tunnel; NULL: the log is off. */
struct access_kept *exchange_keep_record(const struct exchange *x);
/* The client is gone, or nothing more can be sent to it; the exchange is over. */
void exchange_client_lost(struct exchange *x);

/* A server that is not tried yet, with a place taken there; BALANCER_NONE and why. */
uint32_t exchange_pick_member(struct exchange *x, enum close_reason *reason);
/* What follows: a try there, or the end. */
enum exchange_verdict exchange_take_member(struct exchange *x, uint32_t member,
                                           enum close_reason reason);

/* -- exchange_body.c -- */

/* Is its body to be collected? Before the head is edited. */
void exchange_body_plan(struct exchange *x);
/* The step. */
enum exchange_verdict exchange_body(struct exchange *x);
/* Some came meanwhile. */
void exchange_collect(struct exchange *x);
/* The next of what was collected; from the front when body_at is NULL. */
enum stream_pull exchange_body_next(struct exchange *x, struct stream_piece *piece);
/* Goes on with it as far as the server takes it. */
void exchange_body_send(struct exchange *x);
/* The next of the request's body, counted and held against what policies allow. */
enum stream_pull exchange_pull_body(struct exchange *x, struct stream_piece *piece);
/* Sends a piece of the request's body. False: the server takes no more. */
bool exchange_send_up(struct exchange *x, const struct stream_piece *piece, bool is_last);

/* -- exchange_queue.c -- */

/* Waits for a place. */
enum exchange_verdict exchange_queue(struct exchange *x);
/* Waits no more. Nothing happens when it did not. */
void exchange_queue_leave(struct exchange *x);

/* -- exchange_retry.c -- */

/* What the server sent cannot be used, or it stopped: not to be tried again. */
void exchange_server_failed(struct exchange *x, enum close_reason reason);
/* A try failed and nothing of it is held but the place on the server: there is another, or the
 * exchange fails. */
void exchange_try_failed(struct exchange *x, enum close_reason reason, enum retry_failure failure);
/* In on_head, of a status that the pool tries again. False: not this request, the answer stands. */
bool exchange_try_answered(struct exchange *x, uint16_t status);
/* Another try got a place on `member`. True: which has failed already, so it rests before it asks
 * again and the place is given back. */
bool exchange_rests(struct exchange *x, uint32_t member);
/* The try that begins has retry.per_try_timeout. */
void exchange_watch_try(struct exchange *x);
/* How long the server took, for who balances by it. */
void exchange_note_latency(const struct exchange *x, uint64_t took_us);

/* -- exchange_split.c: routes with `split` only -- */

/* Sets the pool, and takes our cookie out of the request. Before the head is edited. */
void exchange_split_find(struct exchange *x);
/* The name of our cookie; empty: there is none. For every route. */
static inline struct slice exchange_split_cookie(const struct exchange *x)
{
    const struct route_split *split = x->route != NULL ? x->route->split : NULL;
    return split != NULL && split->cookie != NULL ? split->cookie->name : SLICE_NONE;
}
/* Tells the client where it belongs; only with tells_arm. */
void exchange_split_answer(struct exchange *x, struct message *answer);

/* -- exchange_sticky.c: pools with `sticky` only -- */

/* Whom the client belongs to; takes our cookie out of the request. Once its pool is known. */
void exchange_sticky_find(struct exchange *x);
/* The name of our cookie, not of the application's; empty: there is none. For every pool. */
static inline struct slice exchange_sticky_cookie(const struct exchange *x)
{
    const struct pool_sticky *sticky = x->pool->sticky;
    return sticky != NULL && sticky->mode == POOL_STICKY_INSERT ? sticky->name : SLICE_NONE;
}
/* Takes the client's server, counted as in flight there, where that is possible. */
enum exchange_sticky { EXCHANGE_STICKY_TAKEN, EXCHANGE_STICKY_ANY, EXCHANGE_STICKY_REFUSED };
enum exchange_sticky exchange_sticky_pick(struct exchange *x, uint32_t *member);
/* Tells the client whom it belongs to, in the head of its answer. */
void exchange_sticky_answer(struct exchange *x, struct message *answer);

/* Fills it with what is known; whatever the head said is missing once that is forgotten. `cause`:
 * room for texts of the record. */
void exchange_fill_record(const struct exchange *x, struct access_record *record,
                          struct cause *cause);

/* Keeps of an answer's head what lines of the log have of it; there is a log. */
void exchange_note_answer(struct exchange *x, const struct headers *headers);

/* -- exchange_told.c: where the listener or route asks for it -- */

/* Finds the trace that the request belongs to, or begins one. */
void exchange_follow_trace(struct exchange *x);
/* The same for one that no server sees, once. */
void exchange_know_trace(struct exchange *x);
/* Adds Server-Timing. */
void exchange_tell_times(struct exchange *x, struct message *answer);
static inline bool exchange_tells_times(const struct exchange *x)
{
    return x->route != NULL ? x->route->server_timing : x->plan->seeing.server_timing;
}
/* From the first byte of the request until its last try began; 0: none reached a server. */
static inline uint64_t exchange_queue_us(const struct exchange *x)
{
    return x->sent_us != 0 ? x->sent_us - x->connect_us - x->start_us : 0;
}

/* -- exchange_trace.c: for those who ask why -- */

/* A try failed, or was answered with a status that is tried again (else 0), and its place on the
 * server is still held. */
void exchange_trace_try(struct exchange *x, enum close_reason reason, uint16_t status);
/* At the end: keeps what led there. */
LB_COLD void exchange_trace_keep(const struct exchange *x);
/* Did it fail, or was it slow? A tunnel is neither. */
static inline bool exchange_is_notable(const struct exchange *x)
{
    const struct plan_seeing *seeing = &x->plan->seeing;
    if (x->is_tunnel) {
        return false;
    }
    return !close_reason_is_good((enum close_reason)x->reason) || x->status >= 500 ||
           x->first_byte_us >= x->start_us + seeing->slow_us || x->failed != NULL ||
           (seeing->sample != 0 && x->proxy->requests % seeing->sample == 0);
}

/* -- exchange_call.c -- */

/* A request that may last: begins to watch over it. Before its body is pulled. */
void exchange_call_begin(struct exchange *x);
void exchange_call_end(struct exchange *x);
/* Watches on, after the exchange has moved in memory. */
void exchange_call_watch(struct exchange *x);

/* -- exchange_websocket.c -- */

/* Makes a GET that asks for an upgrade of the extended CONNECT (RFC 8441 to RFC 6455). */
void exchange_websocket_ask(struct exchange *x);
/* What the server said to it: CLOSE_OK, or why it cannot be passed on. */
enum close_reason exchange_websocket_check(const struct exchange *x, struct message *answer);
/* Sends 200 for the server's 101, and `bytes`. From here on it is a tunnel, or over: the exchange
 * must not be touched. */
void exchange_websocket_start(struct exchange *x, struct stream_head *head, struct slice bytes);
/* The client said something, or has room again. */
void exchange_websocket_up(struct exchange *x);
void exchange_websocket_room(struct exchange *x);
/* Tells the client that its tunnel goes. False: not here, in the middle of a frame. */
bool exchange_websocket_leave(struct exchange *x, enum close_reason reason);
/* Closes the server's connection, if there is one. */
void exchange_websocket_end(struct exchange *x);

#endif
