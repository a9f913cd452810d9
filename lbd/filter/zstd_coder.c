#include "lbd/filter/zstd_coder.h"

#if LB_ZSTD

#    include <assert.h>
#    include <stdlib.h>

#    include <zstd.h>

#    include "lbd/base/compiler.h"
#    include "lbd/base/mem.h"

/* Measured with libzstd 1.5.4 over levels 1 to 9: 270 to 370 KiB. Half of it is the window of
 * 32 KiB with a block beside it, in and out; the tables are the rest. */
#    define WINDOW_LOG 15
#    define TABLE_LOG  14

struct zstd_coder {
    struct coder coder; /* first */
    ZSTD_CCtx *context;
};

static struct zstd_coder *zstd_of(struct coder *coder)
{
    return container_of(coder, struct zstd_coder, coder);
}

/* It asks for memory when it begins to code, so nothing but a lack of it makes anything fail. */
static void must(size_t result)
{
    assert(!ZSTD_isError(result));
}

static void reset(struct coder *coder, int level)
{
    ZSTD_CCtx *context = zstd_of(coder)->context;
    must(ZSTD_CCtx_reset(context, ZSTD_reset_session_only));
    must(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level));
}

static struct coder *make(int level)
{
    struct zstd_coder *zstd = mem_zero(1, sizeof(*zstd));
    zstd->context = ZSTD_createCCtx();
    assert(zstd->context != NULL);
    must(ZSTD_CCtx_setParameter(zstd->context, ZSTD_c_windowLog, WINDOW_LOG));
    must(ZSTD_CCtx_setParameter(zstd->context, ZSTD_c_hashLog, TABLE_LOG));
    must(ZSTD_CCtx_setParameter(zstd->context, ZSTD_c_chainLog, TABLE_LOG));
    reset(&zstd->coder, level);
    zstd->coder.held_bytes = ZSTD_sizeof_CCtx(zstd->context);
    return &zstd->coder;
}

static bool run(struct coder *coder, struct slice *in, enum coder_push push, char *out,
                size_t *room)
{
    static const ZSTD_EndDirective directives[] = {
        [CODER_MORE] = ZSTD_e_continue, [CODER_FLUSH] = ZSTD_e_flush, [CODER_END] = ZSTD_e_end};
    ZSTD_CCtx *context = zstd_of(coder)->context;
    ZSTD_inBuffer from = {.src = in->ptr, .size = in->len};
    ZSTD_outBuffer to = {.dst = out, .size = *room};
    size_t left = ZSTD_compressStream2(context, &to, &from, directives[push]);
    must(left);
    coder->held_bytes = ZSTD_sizeof_CCtx(context);
    *in = slice_from_at(*in, from.pos);
    *room = to.pos;
    return push == CODER_MORE ? in->len > 0 : left > 0;
}

static void zstd_free(struct coder *coder)
{
    struct zstd_coder *zstd = zstd_of(coder);
    (void)ZSTD_freeCCtx(zstd->context);
    free(zstd);
}

const struct coder_ops zstd_coder_ops = {
    .most_bytes = (size_t)384 * 1024,
    .most_taken = 192,
    .most_kept = 8,
    .make = make,
    .reset = reset,
    .run = run,
    .free = zstd_free,
};

#endif
