#include "api/api_blocks.h"

#include <string.h>

#include "lbd/base/now.h"

static ssize_t read_block(struct api_stream *stream, char *out, size_t max)
{
    struct api_blocks *self = container_of(stream, struct api_blocks, stream);
    if (self->taken == self->block.len && !self->is_complete) {
        if (now_us() - self->began_us > API_BLOCKS_LIMIT_S * 1000000ULL) {
            return API_STREAM_BROKEN;
        }
        buf_clear(&self->block);
        self->taken = 0;
        self->is_complete = !self->more(self, &self->block, max);
        if (self->block.overflow) {
            return API_STREAM_BROKEN;
        }
    }
    size_t len = self->block.len - self->taken;
    if (len == 0) {
        return API_STREAM_END;
    }
    if (len > max) {
        len = max;
    }
    memcpy(out, self->block.data + self->taken, len);
    self->taken += len;
    return (ssize_t)len;
}

static void free_stream(struct api_stream *stream)
{
    struct api_blocks *self = container_of(stream, struct api_blocks, stream);
    buf_fini(&self->block);
    self->fini(self);
}

void api_blocks_start(struct api_request *request, struct api_blocks *blocks,
                      bool (*more)(struct api_blocks *blocks, struct buf *out, size_t bytes),
                      void (*fini)(struct api_blocks *blocks))
{
    blocks->stream.read = read_block;
    blocks->stream.free = free_stream;
    blocks->began_us = now_us();
    blocks->more = more;
    blocks->fini = fini;
    buf_init(&blocks->block, API_REPLY_MAX);
    request->reply.stream = &blocks->stream;
}
