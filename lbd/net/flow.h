/*
 * flow - a queue of bytes in slab buffers; owns nothing while it is empty.
 *
 * What could not be sent at once, or was read and cannot be used yet, waits here. Buffers are 4 KB
 * for little and 32 KB for more. A flow is one pointer: an idle connection pays 8 bytes for it.
 *
 * Limits: the caller's; flow_len tells. What a thread holds in all its flows is bounded, too
 * (net_worker_limit): nothing can be put beyond. Memory: the net_worker's slabs. Threads: worker.
 */
#ifndef LBD_NET_FLOW_H
#define LBD_NET_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lbd/base/slice.h"
#include "lbd/net/slab.h"

#define FLOW_SMALL_BYTES   4096U
#define FLOW_LARGE_BYTES   32768U
#define FLOW_SCRATCH_BYTES 65536U            /* one read at most */
#define FLOW_HEAD_BYTES    (65536U + 16384U) /* the largest head with what we add */

struct flow_buffer;

struct flow {
    struct flow_buffer *first;
};

/* What the connections of one thread share: scratch for reading, room for writing heads, slabs.
 * Slot LOOP_SLOT_NET. */
enum net_spared { /* what was not taken when memory was short, so often */
                  NET_SPARED_LARGE,
                  NET_SPARED_PIPE,
                  NET_SPARED_CODER,
                  NET_SPARED_COUNT
};

struct net_worker {
    char *
        scratch; /* FLOW_SCRATCH_BYTES of kept bytes in front, then FLOW_SCRATCH_BYTES for a read */
    char *head_scratch; /* FLOW_HEAD_BYTES */
    struct slab small_buffers;
    struct slab large_buffers;
    size_t buffered_bytes; /* in all flows */
    size_t held_bytes;     /* the buffers that they lie in ... */
    size_t held_max;       /* ... at most */
    size_t held_short;     /* beyond this nothing new is begun ... */
    size_t held_tight;     /* ... and beyond this nobody is let in */
    int pipes[64][2];      /* empty pipes for relay */
    unsigned pipe_count;
    uint32_t tls_conns; /* connections that speak TLS */
    bool is_lean; /* memory is short: buffers are small, bodies take no pipes, nothing is compressed
                   */
    uint64_t denied; /* times that there was no room: held_max */
    uint64_t spared[NET_SPARED_COUNT];
};

void net_worker_init(struct net_worker *net);
void net_worker_fini(struct net_worker *net);
/* At most so many bytes of buffers; SIZE_MAX, as at first: any number. */
void net_worker_limit(struct net_worker *net, size_t held_max);
/* More than 80 % of them are in use, more than 90 %. */
static inline bool net_worker_is_tight(const struct net_worker *net)
{
    return net->held_bytes > net->held_tight;
}
static inline bool net_worker_is_short(const struct net_worker *net)
{
    return net->held_bytes > net->held_short;
}

/* Is memory too short for what only makes things faster? Counts it then. */
static inline bool net_worker_spares(struct net_worker *net, enum net_spared what)
{
    bool spares = net->is_lean || (what == NET_SPARED_CODER && net_worker_is_tight(net));
    net->spared[what] += spares ? 1 : 0;
    return spares;
}

/* Appends a copy. False when there is no memory; the flow is then unchanged. */
LB_MUST_CHECK bool flow_put(struct net_worker *net, struct flow *flow, struct slice bytes);
static inline bool flow_is_empty(const struct flow *flow)
{
    return flow->first == NULL;
}
size_t flow_len(const struct flow *flow);
/* Up to `max` pieces from the front; returns how many. */
int flow_pieces(const struct flow *flow, struct iovec *pieces, int max);
/* One piece after the other: *at is NULL before the first call and after the last piece. False: it
 * is empty. Nothing is put or dropped in between. */
bool flow_next(const struct flow *flow, const struct flow_buffer **at, struct slice *piece);
/* Drops bytes from the front. */
void flow_consume(struct net_worker *net, struct flow *flow, size_t len);
/* Moves everything into `out`, which has room for flow_len bytes; the flow is empty then. Returns
 * the length. */
size_t flow_take(struct net_worker *net, struct flow *flow, char *out);
void flow_clear(struct net_worker *net, struct flow *flow);

#endif
