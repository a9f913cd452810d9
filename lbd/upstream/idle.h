/*
 * idle - server connections that wait to be used again, per worker and server, newest first.
 *
 * They stay watched: a byte or an end that comes while idle closes them (unsolicited bytes are
 * poison, R6). A server keeps what the last half second needed: what stood unused all that time and
 * exceeds 64 is closed, the oldest first, a few at a time so that no request waits for it; the rest
 * stays for the pool's idle timeout. Of a server that is drained, in maintenance or removed all are
 * closed.
 *
 * Threads: worker.
 */
#ifndef LBD_UPSTREAM_IDLE_H
#define LBD_UPSTREAM_IDLE_H

#include <stdint.h>

#include "lbd/upstream/upstream_conn.h"

/* The newest connection to this address version, now in use, or NULL. Its events are the caller's.
 */
struct upstream_conn *idle_take(struct upstream_worker *upstream, const struct server *server,
                                uint32_t address_version);
/* Gives a connection that is clean (h1_conn_release said so). */
void idle_give(struct upstream_worker *upstream, struct upstream_conn *conn);
/* Closes those of servers that are not to be used any more. After a snapshot was adopted. */
void idle_sweep(struct upstream_worker *upstream);
/* Closes all, at the worker's end. */
void idle_close_all(struct upstream_worker *upstream);

#endif
