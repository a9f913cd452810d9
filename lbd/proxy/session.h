/*
 * session - one client connection, from accept to close.
 *
 *     accept --> (door) --> serving <--> idle --> lingering --> closed
 *                      |        \--> tunnel --> closed
 *                      \--> opening (tcp_session, mail_session) --> tunnel --> closed
 *
 *     the events belong to: door, http_conn (serving), tcp_session (opening), relay (tunnel), the
 *     session (idle, lingering)
 *
 * An idle one is this struct and nothing else: at most 192 bytes beside its struct event.
 *
 * Memory: the proxy_worker's slab. Threads: one worker for life.
 */
#ifndef LBD_PROXY_SESSION_H
#define LBD_PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/list.h"
#include "lbd/net/conn.h"
#include "lbd/proxy/front.h"

struct session_proxy;

struct session {
    struct conn conn;      /* its count: requests so far */
    struct list_node link; /* front->sessions */
    struct front *front;
    uint64_t opened_us;
    uint64_t id;
    struct session_proxy *proxied; /* what its PROXY header said; NULL: nothing */
};

/* An id is the worker's number, from 1, above the number of the client there, from 1. */
#define SESSION_NUMBER_BITS 48U
#define SESSION_NUMBER_MASK ((UINT64_C(1) << SESSION_NUMBER_BITS) - 1)

enum session_state {
    SESSION_IS_IDLE,
    SESSION_IS_OPENING,
    SESSION_IS_REQUEST,
    SESSION_IS_TUNNEL,
    SESSION_IS_LINGER
};
const char *session_state_word(enum session_state state);

struct exchange;
struct mail_seat;
struct server;

enum session_protocol {
    SESSION_SPEAKS_HTTP1,
    SESSION_SPEAKS_HTTP2,
    SESSION_SPEAKS_TCP,
    SESSION_SPEAKS_IMAP, /* from here on as enum mail_protocol */
    SESSION_SPEAKS_POP3,
    SESSION_SPEAKS_SMTP,
    SESSION_SPEAKS_SIEVE
};
const char *session_protocol_word(enum session_protocol protocol);

/* What a client is doing. */
struct session_facts {
    enum session_state state;
    enum session_protocol protocol;
    uint32_t streams;                 /* requests under way */
    struct slice pool;                /* of the request or tunnel; empty: none */
    const struct server *server;      /* that has it; NULL: none */
    const struct exchange *request;   /* that is looked at; NULL: none */
    const struct list_node *requests; /* of the connection */
    struct slice user;                /* of mail; empty: not known yet */
    const struct mail_seat *seat;     /* of mail; NULL: none */
    const struct addr_small *behind;  /* of mail: whom the peer speaks for; NULL: itself */
};

/* TUNNEL: conn.user is the tunnel's relay. OPENS: it is the tcp_session, or with MAIL the
 * mail_session. */
enum {
    SESSION_TUNNEL = CONN_OWNER_1,
    SESSION_LINGERS = CONN_OWNER_2,
    SESSION_OPENS = CONN_OWNER_3,
    SESSION_MAIL = CONN_OWNER_4
};

static inline struct session *session_of(struct conn *conn)
{
    return container_of(conn, struct session, conn);
}

/* Do its answers say close: its listener goes, or connections or memory are short? */
static inline bool session_closes(const struct session *session)
{
    return session->front->closes || session->front->proxy->relief.closes;
}

/* Takes an accepted descriptor; it is closed when there is no memory. */
void session_start(struct front *front, int fd, const struct sockaddr *peer);
/* The client speaks HTTP/2: by ALPN, or its preface lies in conn->in. */
void session_open_http2(struct session *session);
/* The door let it through: begins with its protocol. `name`: SNI, `alpn`: what was agreed on; both
 * empty without TLS. */
void session_open(struct session *session, struct slice name, struct slice alpn);
/* Closes at once. The connection's events must be the session's or nobody's (no http_conn). */
void session_end(struct session *session, enum close_reason reason);
/* Closes once the peer has seen the end: bytes of its own may be under way (RFC 9112 9.6). */
void session_linger(struct session *session, enum close_reason reason);
/* Closes after this time, or as soon as the client says something or ends. `says_bye`: one
 * of IMAP hears "* BYE" then. */
void session_end_later(struct session *session, enum close_reason reason, uint64_t delay_ms,
                       bool says_bye);
/* Nothing new after what is under way: an HTTP/2 client is told at once (GOAWAY), one of HTTP/1
 * with its next answer. */
void session_drain(struct session *session);
/* Of a listener with TLS: has the client shown what is asked for now (R12)? */
bool session_has_shown(const struct session *session, const struct tls_front *front);
/* The same of any. */
static inline bool session_is_let_in(const struct session *session)
{
    const struct tls_front *front = session->front->plan->tls;
    return LB_LIKELY(front == NULL) || session_has_shown(session, front);
}
/* Its listener asks for something else than before. Of a client who has not shown that, tunnels and
 * WebSockets end and nothing new is served (session_drain); `at_last`: all of it ends. True:
 * nothing was done. */
bool session_judge(struct session *session, bool at_last);
/* Ends it whatever it does. `polite`: the peer sees our end before the connection goes, and a
 * request that has no answer yet gets one. */
void session_abort(struct session *session, enum close_reason reason, bool polite);
/* Where the client connected to; family 0 when the kernel does not say. */
struct addr_small session_destination(const struct session *session);
/* Did a PROXY header say who the client is? */
bool session_is_behind_proxy(const struct session *session);
/* The facts live until the session is touched; of several requests it is the oldest. */
void session_look(struct session *session, struct session_facts *facts);
/* On to its next request; false: that was the last. */
bool session_look_on(struct session_facts *facts);
/* Ends the requests or the tunnel that this server has for the client, politely. How many. */
uint32_t session_leave_server(struct session *session, const struct server *server,
                              enum close_reason reason);

#endif
