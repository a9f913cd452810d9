/*
 * idle - server connections that wait to be used again, per worker and server, newest first.
 *
 * They stay watched: a byte or an end that comes while idle closes them (unsolicited bytes are
 * poison, R6). A server keeps what the last half second needed: what stood unused all that time and
 * exceeds 64 is closed, the oldest first, a few at a time so that no request waits for it; the rest
 * stays for the pool's idle timeout. Of a server that is drained, in maintenance or removed all are
 * closed.
 *
 * A connection that began with a PROXY header stands aside: only the client that it names gets it
 * again (not the server's newest, so there is no surplus to measure), and with that client's end it
 * is closed.
 *
 * All together have a fifth of the process's descriptors (idle_max, a worker's part of them):
 * beyond, those that wait longest are closed.
 *
 * One that its server would soon close by itself is closed before (keep_alive.h); conn.count is
 * when it became idle, in ms.
 *
 * Threads: worker.
 */
#ifndef LBD_UPSTREAM_IDLE_H
#define LBD_UPSTREAM_IDLE_H

#include <stdint.h>

#include "lbd/upstream/upstream_conn.h"

/* The newest connection that fits (upstream_conn_fits), now in use, or NULL. Its events are the
 * caller's. `client_id`: 0 where the pool sends no PROXY header. */
struct upstream_conn *idle_take(struct upstream_worker *upstream, const struct pool_member *member,
                                uint64_t client_id);
/* Gives a connection that is clean (its stream was released so). */
void idle_give(struct upstream_worker *upstream, struct upstream_conn *conn);
/* This client has gone: closes those that are for nobody else. */
void idle_forget_client(struct upstream_worker *upstream, uint64_t client_id);
/* Closes those of servers that are not to be used any more. After a snapshot was adopted. */
void idle_sweep(struct upstream_worker *upstream);
/* Memory is short: closes those that wait longest, of all servers, `max` at most. How many. Those
 * of one client each stay: they go with it. */
uint32_t idle_close_oldest(struct upstream_worker *upstream, uint32_t max);
/* Closes all, at the worker's end. */
void idle_close_all(struct upstream_worker *upstream);

#endif
