#include "lbd/filter/coder.h"

#include <assert.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/filter/brotli_coder.h"
#include "lbd/filter/gzip_coder.h"
#include "lbd/filter/zstd_coder.h"

/* NULL: this build lacks it, as conf_encoding_is_built says, too. */
static const struct coder_ops *const all_ops[CONF_ENCODING_COUNT] = {
    [CONF_ENCODING_GZIP] = &gzip_coder_ops,
#if LB_BROTLI
    [CONF_ENCODING_BR] = &brotli_coder_ops,
#endif
#if LB_ZSTD
    [CONF_ENCODING_ZSTD] = &zstd_coder_ops,
#endif
};

static enum conf_encoding encoding_of(const struct coder *coder)
{
    enum conf_encoding encoding = 0;
    while (all_ops[encoding] != coder->ops) {
        encoding++;
    }
    return encoding;
}

static void drop(struct net_worker *net, struct coder *coder)
{
    net->held_bytes -= coder->held_bytes;
    coder->ops->free(coder);
}

void coder_pool_fini(struct coder_pool *pool, struct net_worker *net)
{
    for (size_t i = 0; i < CONF_ENCODING_COUNT; i++) {
        assert(pool->taken[i] == 0);
        while (pool->kept[i] != NULL) {
            struct coder *coder = pool->kept[i];
            pool->kept[i] = coder->next;
            drop(net, coder);
        }
    }
    free(pool->out);
    *pool = (struct coder_pool){0};
}

struct coder *coder_take(struct coder_pool *pool, struct net_worker *net,
                         enum conf_encoding encoding, int level)
{
    const struct coder_ops *ops = all_ops[encoding];
    struct coder *coder = pool->kept[encoding];
    assert(ops != NULL);
    if (pool->taken[encoding] >= ops->most_taken || net_worker_spares(net, NET_SPARED_CODER)) {
        return NULL;
    }
    if (coder == NULL) {
        coder = ops->make(level);
        coder->ops = ops;
        coder->level = level;
        net->held_bytes += coder->held_bytes;
    } else {
        pool->kept[encoding] = coder->next;
        pool->kept_count[encoding]--;
        ops->reset(coder, level);
        coder->level = level;
    }
    if (pool->out == NULL) {
        pool->out = mem_alloc(CODER_OUT_BYTES);
    }
    pool->taken[encoding]++;
    return coder;
}

void coder_give(struct coder_pool *pool, struct net_worker *net, struct coder *coder)
{
    enum conf_encoding encoding = encoding_of(coder);
    pool->taken[encoding]--;
    if (pool->kept_count[encoding] >= coder->ops->most_kept || net_worker_is_tight(net) ||
        net->is_lean) {
        drop(net, coder);
        return;
    }
    coder->next = pool->kept[encoding];
    pool->kept[encoding] = coder;
    pool->kept_count[encoding]++;
}

bool coder_run(struct coder_pool *pool, struct net_worker *net, struct coder *coder,
               struct slice *in, enum coder_push push, struct slice *out)
{
    size_t room = CODER_OUT_BYTES;
    size_t held_before = coder->held_bytes;
    bool has_more = coder->ops->run(coder, in, push, pool->out, &room);
    net->held_bytes += coder->held_bytes - held_before; /* may be less: it wraps, and fits again */
    *out = slice_of(pool->out, room);
    return has_more;
}
