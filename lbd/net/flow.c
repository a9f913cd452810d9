/* flow - see flow.h. */
#include "lbd/net/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "lbd/base/mem.h"

struct flow_buffer {
    struct flow_buffer *next;
    struct flow_buffer *last; /* kept in the first buffer */
    size_t flow_len;          /* kept in the first buffer: bytes in the whole flow */
    uint32_t start;
    uint32_t end;
    uint32_t capacity;
    char bytes[];
};

#define CHUNK_SMALL (64U * 1024)
#define CHUNK_LARGE (256U * 1024)

void net_worker_init(struct net_worker *net)
{
    *net = (struct net_worker){0};
    net->scratch = mem_alloc(2U * FLOW_SCRATCH_BYTES);
    net->head_scratch = mem_alloc(FLOW_HEAD_BYTES);
    slab_init(&net->small_buffers, FLOW_SMALL_BYTES, CHUNK_SMALL);
    slab_init(&net->large_buffers, FLOW_LARGE_BYTES, CHUNK_LARGE);
    net_worker_limit(net, SIZE_MAX);
}

void net_worker_limit(struct net_worker *net, size_t held_max)
{
    net->held_max = held_max;
    net->held_short = held_max / 10 * 9;
    net->held_tight = held_max / 10 * 8;
}

void net_worker_fini(struct net_worker *net)
{
    for (unsigned i = 0; i < net->pipe_count; i++) {
        (void)close(net->pipes[i][0]);
        (void)close(net->pipes[i][1]);
    }
    slab_fini(&net->small_buffers);
    slab_fini(&net->large_buffers);
    free(net->scratch);
    free(net->head_scratch);
}

static struct flow_buffer *buffer_take(struct net_worker *net, size_t wanted)
{
    bool large = wanted > FLOW_SMALL_BYTES - sizeof(struct flow_buffer) &&
                 !net_worker_spares(net, NET_SPARED_LARGE);
    size_t size = large ? FLOW_LARGE_BYTES : FLOW_SMALL_BYTES;
    if (net->held_bytes + size > net->held_max) {
        net->denied++;
        return NULL;
    }
    struct flow_buffer *buffer = slab_take(large ? &net->large_buffers : &net->small_buffers);
    if (buffer != NULL) {
        *buffer = (struct flow_buffer){0};
        buffer->capacity = (uint32_t)(size - sizeof(struct flow_buffer));
        net->held_bytes += size;
    }
    return buffer;
}

static void buffer_give(struct net_worker *net, struct flow_buffer *buffer)
{
    bool large = buffer->capacity > FLOW_SMALL_BYTES;
    net->held_bytes -= large ? FLOW_LARGE_BYTES : FLOW_SMALL_BYTES;
    slab_give(large ? &net->large_buffers : &net->small_buffers, buffer);
}

static void append(struct flow_buffer *buffer, struct slice *rest)
{
    size_t room = buffer->capacity - buffer->end;
    size_t part = rest->len < room ? rest->len : room;
    if (part > 0) {
        memcpy(buffer->bytes + buffer->end, rest->ptr, part);
        buffer->end += (uint32_t)part;
        *rest = slice_from_at(*rest, part);
    }
}

bool flow_put(struct net_worker *net, struct flow *flow, struct slice bytes)
{
    if (bytes.len == 0) {
        return true;
    }
    size_t total = bytes.len;
    /* Take all buffers before a byte moves, so that failing changes nothing. */
    struct flow_buffer *fresh = NULL;
    struct flow_buffer *fresh_last = NULL;
    struct flow_buffer *last = flow->first != NULL ? flow->first->last : NULL;
    size_t room = last != NULL ? last->capacity - last->end : 0;
    while (room < bytes.len) {
        struct flow_buffer *buffer = buffer_take(net, bytes.len - room);
        if (buffer == NULL) {
            while (fresh != NULL) {
                struct flow_buffer *next = fresh->next;
                buffer_give(net, fresh);
                fresh = next;
            }
            return false;
        }
        room += buffer->capacity;
        if (fresh_last != NULL) {
            fresh_last->next = buffer;
        } else {
            fresh = buffer;
        }
        fresh_last = buffer;
    }
    if (last != NULL) {
        append(last, &bytes);
        last->next = fresh;
    } else {
        flow->first = fresh;
    }
    if (fresh_last != NULL) {
        flow->first->last = fresh_last;
    }
    for (struct flow_buffer *buffer = fresh; buffer != NULL; buffer = buffer->next) {
        append(buffer, &bytes);
    }
    flow->first->flow_len += total;
    net->buffered_bytes += total;
    return true;
}

size_t flow_len(const struct flow *flow)
{
    return flow->first != NULL ? flow->first->flow_len : 0;
}

int flow_pieces(const struct flow *flow, struct iovec *pieces, int max)
{
    int count = 0;
    for (struct flow_buffer *buffer = flow->first; buffer != NULL && count < max;
         buffer = buffer->next) {
        pieces[count].iov_base = buffer->bytes + buffer->start;
        pieces[count].iov_len = buffer->end - buffer->start;
        count++;
    }
    return count;
}

bool flow_next(const struct flow *flow, const struct flow_buffer **at, struct slice *piece)
{
    const struct flow_buffer *buffer = *at != NULL ? *at : flow->first;
    *piece = SLICE_NONE;
    if (buffer == NULL) {
        return false;
    }
    *piece = slice_of(buffer->bytes + buffer->start, buffer->end - buffer->start);
    *at = buffer->next;
    return true;
}

void flow_consume(struct net_worker *net, struct flow *flow, size_t len)
{
    size_t left = flow_len(flow);
    assert(len <= left);
    net->buffered_bytes -= len;
    left -= len;
    while (flow->first != NULL) {
        struct flow_buffer *buffer = flow->first;
        size_t here = buffer->end - buffer->start;
        if (len < here) {
            buffer->start += (uint32_t)len;
            buffer->flow_len = left;
            return;
        }
        len -= here;
        struct flow_buffer *next = buffer->next;
        if (next != NULL) {
            next->last = buffer->last;
            next->flow_len = left;
        }
        flow->first = next;
        buffer_give(net, buffer);
    }
}

size_t flow_take(struct net_worker *net, struct flow *flow, char *out)
{
    size_t len = 0;
    for (struct flow_buffer *buffer = flow->first; buffer != NULL; buffer = buffer->next) {
        memcpy(out + len, buffer->bytes + buffer->start, buffer->end - buffer->start);
        len += buffer->end - buffer->start;
    }
    flow_clear(net, flow);
    return len;
}

void flow_clear(struct net_worker *net, struct flow *flow)
{
    if (flow->first != NULL) {
        flow_consume(net, flow, flow_len(flow));
    }
}
