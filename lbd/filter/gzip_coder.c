#include "lbd/filter/gzip_coder.h"

#include <assert.h>
#include <stdlib.h>

#include <zlib.h>

#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"

/* zlib.h: (1 << (window + 2)) + (1 << (memory + 9)) bytes, and some kilobytes. That is 64 KiB here,
 * with a window of 8 KiB; zlib's own choice would be 256. */
#define WINDOW_BITS  13
#define MEMORY_LEVEL 6
#define GZIP_HEAD    16 /* added to the bits: not zlib's own format */

struct gzip_coder {
    struct coder coder; /* first */
    z_stream z;
};

static struct gzip_coder *gzip_of(struct coder *coder)
{
    return container_of(coder, struct gzip_coder, coder);
}

static voidpf take_memory(voidpf owner, uInt count, uInt size)
{
    struct gzip_coder *gzip = owner;
    gzip->coder.held_bytes += (size_t)count * size;
    return mem_zero(count, size);
}

static void give_memory(voidpf owner, voidpf memory)
{
    (void)owner;
    free(memory);
}

static struct coder *make(int level)
{
    struct gzip_coder *gzip = mem_zero(1, sizeof(*gzip));
    gzip->z.zalloc = take_memory;
    gzip->z.zfree = give_memory;
    gzip->z.opaque = gzip;
    int made = deflateInit2(&gzip->z, level, Z_DEFLATED, WINDOW_BITS + GZIP_HEAD, MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY);
    assert(made == Z_OK); /* these are numbers it takes, and there is memory */
    return &gzip->coder;
}

static void reset(struct coder *coder, int level)
{
    struct gzip_coder *gzip = gzip_of(coder);
    (void)deflateReset(&gzip->z);
    if (coder->level != level) {
        (void)deflateParams(&gzip->z, level, Z_DEFAULT_STRATEGY);
    }
}

static bool run(struct coder *coder, struct slice *in, enum coder_push push, char *out,
                size_t *room)
{
    static const int flushes[] = {
        [CODER_MORE] = Z_NO_FLUSH, [CODER_FLUSH] = Z_SYNC_FLUSH, [CODER_END] = Z_FINISH};
    z_stream *z = &gzip_of(coder)->z;
    assert(in->len <= UINT32_MAX);
    z->next_in = (Bytef *)(uintptr_t)in->ptr; /* which it does not write to */
    z->avail_in = (uInt)in->len;
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)*room;
    int how = deflate(z, flushes[push]);
    assert(how != Z_STREAM_ERROR);
    *in = slice_from_at(*in, in->len - z->avail_in);
    *room -= z->avail_out;
    return push == CODER_END ? how != Z_STREAM_END : z->avail_out == 0;
}

static void gzip_free(struct coder *coder)
{
    struct gzip_coder *gzip = gzip_of(coder);
    (void)deflateEnd(&gzip->z); /* in the middle of one: Z_DATA_ERROR */
    free(gzip);
}

const struct coder_ops gzip_coder_ops = {
    .most_bytes = (size_t)72 * 1024,
    .most_taken = 1024,
    .most_kept = 16,
    .make = make,
    .reset = reset,
    .run = run,
    .free = gzip_free,
};
