/*
 * shared - HTTP/2 connections to servers, per worker and server: each carries many requests.
 *
 *     shared_open --one has room------> READY
 *                 --one is opened-----> PENDING, in its line   --SETTINGS--> fn(stream), fn(stream)
 *                 --none, or all full-> another is opened
 *
 * Of those in line the first gets its stream with the connection, the others when the server's
 * SETTINGS say how many there may be; who finds no room then asks for another connection. A server
 * that turns out to speak HTTP/1 (ALPN) is remembered, and everybody gets a connection of his own.
 *
 * A connection takes no more requests when it is too old, when the server says GOAWAY, is drained
 * or removed, or when its pool reaches servers another way: it ends after its last stream, and
 * after the pool's idle time without one.
 *
 * Limits: SHARED_STREAMS_MAX on one connection, or what the server allows. Memory: the
 * upstream_worker's slab. Threads: worker.
 */
#ifndef LBD_UPSTREAM_SHARED_H
#define LBD_UPSTREAM_SHARED_H

#include "lbd/upstream/upstream_stream.h"

#define SHARED_STREAMS_MAX 100U
#define SHARED_BYTES       256U /* a struct shared at most */

/* Does a request to this member go here? (Or to connections of HTTP/1.) */
bool shared_is_for(struct upstream_worker *upstream, const struct pool *pool, uint32_t member);
/* As upstream_stream_open. */
enum upstream_open shared_open(struct upstream_worker *upstream, const struct upstream_ask *ask,
                               struct upstream_waiter *waiter, struct stream **stream, bool *reused,
                               enum close_reason *reason);
/* Nobody waits any more. */
void shared_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter);
/* A connection that was opened for one request turns out to speak HTTP/2. NULL: no memory, it is
 * closed. */
struct stream *shared_adopt(struct upstream_worker *upstream, struct upstream_conn *conn,
                            uint32_t response_ms);
/* Ends those of servers that are not to be used any more, politely. */
void shared_sweep(struct upstream_worker *upstream);
/* Ends those that carry no request, politely. How many. */
uint32_t shared_drain_idle(struct upstream_worker *upstream);
/* This client has gone: ends those that are for nobody else. */
void shared_forget_client(struct upstream_worker *upstream, uint64_t client_id);
/* Ends all, at the worker's end. */
void shared_end_all(struct upstream_worker *upstream);

#endif
