/*
 * upstream_stream - a server -> a ready stream: an idle connection, or a new one.
 *
 *     open --idle there--> READY                stream's release: clean -> idle, else closed
 *          --HTTP/2------> shared: a connection for many
 *          --dialling----> PENDING --waiter->fn(stream or reason)
 *
 * Memory: the waiter is the caller's and stays until fn was called or cancel. Threads: worker.
 */
#ifndef LBD_UPSTREAM_UPSTREAM_STREAM_H
#define LBD_UPSTREAM_UPSTREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/stream.h"
#include "lbd/upstream/upstream_conn.h"
#include "lbd/upstream/upstream_worker.h"

struct upstream_waiter {
    /* stream NULL: *reason says why. */
    void (*fn)(struct upstream_waiter *waiter, struct stream *stream, enum close_reason reason);
    struct upstream_conn_waiter opening;
    uint32_t response_ms;
    /* in line for a shared connection */
    struct shared *shared; /* NULL: not */
    struct list_node link;
    const struct pool *pool; /* borrowed: the caller holds its snapshot */
    uint32_t member;
};

/* What is asked for. */
struct upstream_ask {
    const struct pool *pool;
    uint32_t member;
    bool fresh; /* do not take an idle one */
    bool http1; /* HTTP/1, where the pool leaves that to ALPN: for WebSocket */
    const struct upstream_client *client; /* for whom; NULL: it does not matter */
};

/* READY: *stream, and *reused tells whether it served before. */
enum upstream_open upstream_stream_open(struct upstream_worker *upstream,
                                        const struct upstream_ask *ask,
                                        struct upstream_waiter *waiter, struct stream **stream,
                                        bool *reused, enum close_reason *reason);
void upstream_stream_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter);
/* This client has gone: what is for nobody else is closed. */
void upstream_stream_forget_client(struct upstream_worker *upstream, uint64_t client_id);

/* For shared: a stream of a connection that was just opened, whatever it speaks. NULL: no memory;
 * the connection is then closed. */
struct stream *upstream_stream_begin(struct upstream_worker *upstream, struct upstream_conn *conn,
                                     uint32_t response_ms);

#endif
