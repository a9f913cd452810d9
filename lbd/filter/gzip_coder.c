#include "lbd/filter/gzip_coder.h"

#include <assert.h>
#include <stdlib.h>

#include <zlib.h>

#include "lbd/base/mem.h"

/* zlib.h: (1 << (window + 2)) + (1 << (memory + 9)) bytes, and some kilobytes. That is 64 KiB here,
 * with a window of 8 KiB; zlib's own choice would be 256. */
#define WINDOW_BITS  13
#define MEMORY_LEVEL 6
#define GZIP_HEAD    16 /* added to the bits: not zlib's own format */

struct gzip_coder {
    z_stream z;
    struct gzip_coder *next; /* in pool->kept */
    int level;
    size_t held; /* bytes that zlib has asked for */
};

static voidpf take_memory(voidpf owner, uInt count, uInt size)
{
    struct gzip_coder *coder = owner;
    coder->held += (size_t)count * size;
    return mem_zero(count, size);
}

static void give_memory(voidpf owner, voidpf memory)
{
    (void)owner;
    free(memory);
}

static struct gzip_coder *coder_new(struct net_worker *net, int level)
{
    struct gzip_coder *coder = mem_zero(1, sizeof(*coder));
    coder->z.zalloc = take_memory;
    coder->z.zfree = give_memory;
    coder->z.opaque = coder;
    coder->level = level;
    int made = deflateInit2(&coder->z, level, Z_DEFLATED, WINDOW_BITS + GZIP_HEAD, MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY);
    assert(made == Z_OK); /* these are numbers it takes, and there is memory */
    net->held_bytes += coder->held;
    return coder;
}

static void coder_free(struct net_worker *net, struct gzip_coder *coder)
{
    net->held_bytes -= coder->held;
    (void)deflateEnd(&coder->z); /* in the middle of one: Z_DATA_ERROR */
    free(coder);
}

void gzip_pool_fini(struct gzip_pool *pool, struct net_worker *net)
{
    assert(pool->taken == 0);
    while (pool->kept != NULL) {
        struct gzip_coder *coder = pool->kept;
        pool->kept = coder->next;
        coder_free(net, coder);
    }
    free(pool->out);
    *pool = (struct gzip_pool){0};
}

struct gzip_coder *gzip_coder_take(struct gzip_pool *pool, struct net_worker *net, int level)
{
    struct gzip_coder *coder = pool->kept;
    if (pool->taken >= GZIP_CODERS_MAX || net_worker_spares(net, NET_SPARED_CODER)) {
        return NULL;
    }
    if (coder == NULL) {
        coder = coder_new(net, level);
    } else {
        pool->kept = coder->next;
        pool->kept_count--;
        (void)deflateReset(&coder->z);
        if (coder->level != level) {
            (void)deflateParams(&coder->z, level, Z_DEFAULT_STRATEGY);
            coder->level = level;
        }
    }
    if (pool->out == NULL) {
        pool->out = mem_alloc(GZIP_OUT_BYTES);
    }
    pool->taken++;
    return coder;
}

void gzip_coder_give(struct gzip_pool *pool, struct net_worker *net, struct gzip_coder *coder)
{
    pool->taken--;
    if (pool->kept_count >= GZIP_CODERS_KEPT || net_worker_is_tight(net) || net->is_lean) {
        coder_free(net, coder);
        return;
    }
    coder->next = pool->kept;
    pool->kept = coder;
    pool->kept_count++;
}

bool gzip_coder_run(struct gzip_pool *pool, struct gzip_coder *coder, struct slice *in,
                    enum gzip_push push, struct slice *out)
{
    static const int flushes[] = {
        [GZIP_MORE] = Z_NO_FLUSH, [GZIP_FLUSH] = Z_SYNC_FLUSH, [GZIP_END] = Z_FINISH};
    z_stream *z = &coder->z;
    assert(in->len <= UINT32_MAX);
    z->next_in = (Bytef *)(uintptr_t)in->ptr; /* which it does not write to */
    z->avail_in = (uInt)in->len;
    z->next_out = (Bytef *)pool->out;
    z->avail_out = GZIP_OUT_BYTES;
    int how = deflate(z, flushes[push]);
    assert(how != Z_STREAM_ERROR);
    *in = slice_from_at(*in, in->len - z->avail_in);
    *out = slice_of(pool->out, GZIP_OUT_BYTES - z->avail_out);
    return push == GZIP_END ? how != Z_STREAM_END : z->avail_out == 0;
}
