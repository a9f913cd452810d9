/*
 * gzip_coder - turns pieces of a body into pieces of gzip (RFC 1952), in memory that is bounded.
 *
 *     take --> run(piece) run(piece) ... run(last) --> give
 *
 * A pool keeps coders that were given back for the next answers, and has the room that they code
 * into: what is in it stands until the next run of any of them.
 *
 * Limits: GZIP_CODERS_MAX under way in a pool. Memory: about 70 KiB each, counted with the
 * buffers of the worker (net_worker.held_bytes): when these run short nobody gets one. Threads: one
 * worker.
 */
#ifndef LBD_FILTER_GZIP_CODER_H
#define LBD_FILTER_GZIP_CODER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/net/flow.h"

#define GZIP_CODERS_MAX  1024U
#define GZIP_CODERS_KEPT 16U /* that wait for work */
#define GZIP_OUT_BYTES   (32U * 1024)

struct gzip_coder;

/* Zeroed: empty. */
struct gzip_pool {
    struct gzip_coder *kept;
    uint32_t kept_count;
    uint32_t taken;
    char *out; /* GZIP_OUT_BYTES; NULL: nobody needed it yet */
};

/* None is taken any more. */
void gzip_pool_fini(struct gzip_pool *pool, struct net_worker *net);
/* `level` is zlib's, 1 to 9. NULL: there are too many, or memory is short. */
struct gzip_coder *gzip_coder_take(struct gzip_pool *pool, struct net_worker *net, int level);
void gzip_coder_give(struct gzip_pool *pool, struct net_worker *net, struct gzip_coder *coder);

enum gzip_push {
    GZIP_MORE,  /* what is coded may wait for more */
    GZIP_FLUSH, /* all of it is to be read by the client now */
    GZIP_END    /* nothing follows */
};

/* Takes from the front of *in; *out: what there is to send. True: there is more, call it again with
 * what is left of `in` and the same `push`. */
bool gzip_coder_run(struct gzip_pool *pool, struct gzip_coder *coder, struct slice *in,
                    enum gzip_push push, struct slice *out);

#endif
