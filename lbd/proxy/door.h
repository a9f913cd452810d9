/*
 * door - the way of a client from accept to the first byte of its protocol: who it is, and TLS.
 *
 *     accept --> [PROXY header, from proxies that the plan knows] --> [access] --> [TLS handshake]
 *            --> session_open: HTTP, or what ALPN and the listener say
 *     mail: STARTTLS --> TLS handshake --> session_open
 *
 * Both stages share one deadline, timeouts.handshake. A handshake costs as much as thirty requests,
 * so handshakes wait in a queue: at most DOOR_STEPS of them go one step in a pass of the loop,
 * after what had happened on open connections (PERFORMANCE 2.4). Whoever speaks something else than
 * TLS gets an alert, or in plain HTTP a sentence, and is closed. The access log names who failed
 * and why, and whom a policy does not let in, DOOR_LINES a second at most; the counters have them
 * all.
 *
 * Memory: the session's; the queue is linked through its connections. Threads: the worker's.
 */
#ifndef LBD_PROXY_DOOR_H
#define LBD_PROXY_DOOR_H

#include <stdbool.h>

#include "lbd/base/list.h"
#include "lbd/net/conn.h"
#include "lbd/net/loop.h"

#define DOOR_STEPS 4
#define DOOR_LINES 20 /* of the access log about those who did not come in, a second */

struct plan;
struct session;

/* The handshakes of a worker that wait for their turn. */
struct door_queue {
    struct list_node waiting; /* conn.queue.ready.link */
    struct loop_ready turn;
    struct loop *loop;
    uint64_t lines_from_us; /* the second that `lines` were written in */
    uint32_t lines;
};

void door_queue_init(struct door_queue *queue, struct loop *loop);
void door_queue_fini(struct door_queue *queue);

/* Must clients of this plan come through the door? */
bool door_is_needed(const struct plan *plan);
/* Takes a connection that was just accepted. It may be over afterwards. */
void door_enter(struct session *session);
/* TLS on a connection that began in clear (STARTTLS), everything of ours sent. Comes back by
 * session_open. */
void door_secure(struct session *session);
/* The first policy that would not have let the client in, in shadow mode; empty: none, or it speaks
 * HTTP. */
struct slice door_shadow_policy(const struct session *session);
/* Is it still there? */
bool door_has(const struct conn *conn);

#endif
