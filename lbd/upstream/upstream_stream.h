/*
 * upstream_stream - a server -> a ready stream: an idle connection, or a new one.
 *
 *     open --idle there--> READY                        release: clean -> idle, else closed
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
#include "lbd/upstream/upstream_worker.h"

struct upstream_conn;

struct upstream_waiter {
    /* stream NULL: *reason says why. */
    void (*fn)(struct upstream_waiter *waiter, struct stream *stream, enum close_reason reason);
    struct upstream_conn *conn; /* while it dials */
    uint32_t response_ms;
    uint32_t connect_ms;
    uint64_t started_us;
};

enum upstream_open { UPSTREAM_READY, UPSTREAM_PENDING, UPSTREAM_FAILED };

/* READY: *stream, and *reused tells whether it served before. `fresh`: do not take an idle one. */
enum upstream_open upstream_stream_open(struct upstream_worker *upstream, const struct pool *pool,
                                        uint32_t member, bool fresh, struct upstream_waiter *waiter,
                                        struct stream **stream, bool *reused,
                                        enum close_reason *reason);
void upstream_stream_cancel(struct upstream_worker *upstream, struct upstream_waiter *waiter);
/* The exchange is through with a stream that did not end by itself. */
void upstream_stream_release(struct upstream_worker *upstream, struct stream *stream);

#endif
