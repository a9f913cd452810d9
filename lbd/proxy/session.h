/*
 * session - one client connection, from accept to close.
 *
 *     accept --> serving <--> idle --> lingering --> closed
 *                    \--> tunnel --> closed
 *
 *     the events belong to: h1_conn (serving), the session (idle, lingering), relay (tunnel)
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

struct session {
    struct conn conn;
    struct list_node link; /* front->sessions */
    struct front *front;
    uint64_t opened_us;
    uint64_t id;
    uint32_t requests;
};

/* An id is the worker's number, from 1, above the number of the client there, from 1. */
#define SESSION_NUMBER_BITS 48U
#define SESSION_NUMBER_MASK ((UINT64_C(1) << SESSION_NUMBER_BITS) - 1)

enum session_state { SESSION_IS_IDLE, SESSION_IS_REQUEST, SESSION_IS_TUNNEL, SESSION_IS_LINGER };
const char *session_state_word(enum session_state state);

struct exchange;
struct server;

/* What a client is doing. */
struct session_facts {
    enum session_state state;
    struct slice pool;           /* of the request or tunnel; empty: none */
    const struct server *server; /* that has it; NULL: none */
};

/* TUNNEL: conn.user is the tunnel's relay. */
enum { SESSION_TUNNEL = CONN_OWNER_1, SESSION_LINGERS = CONN_OWNER_2 };

static inline struct session *session_of(struct conn *conn)
{
    return container_of(conn, struct session, conn);
}

/* Takes an accepted descriptor; it is closed when there is no memory. */
void session_start(struct front *front, int fd, const struct sockaddr *peer);
/* Closes at once. The connection's events must be the session's or nobody's (no h1_conn). */
void session_end(struct session *session, enum close_reason reason);
/* Closes once the peer has seen the end: bytes of its own may be under way (RFC 9112 9.6). */
void session_linger(struct session *session, enum close_reason reason);
/* Ends it whatever it does. `polite`: the peer sees our end before the connection goes, and a
 * request that has no answer yet gets one. */
void session_abort(struct session *session, enum close_reason reason, bool polite);
/* The facts live until the session is touched. */
void session_look(struct session *session, struct session_facts *facts);
/* Ends the request or tunnel that this server has for the client, politely; false: it has none. */
bool session_leave_server(struct session *session, const struct server *server,
                          enum close_reason reason);

#endif
