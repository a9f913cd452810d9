/*
 * coder - turns pieces of a body into pieces of zstd, br or gzip, in memory that is bounded.
 *
 *     take --> run(piece) run(piece) ... run(last) --> give
 *
 * An encoding is a row of verbs (struct coder_ops) in a file of its own; who codes does not know
 * which it is. A pool keeps coders that were given back for the next answers, and has the room that
 * they code into: what is in it stands until the next run of any of them.
 *
 * Limits: those of each encoding, under way in a pool: gzip 1024 of 70 KiB, zstd 192 of 380 KiB,
 * br 64 of 1 MiB at the most. Memory: counted with the buffers of the worker
 * (net_worker.held_bytes): when these run short nobody gets one. Nothing before somebody takes one.
 * Threads: one worker.
 */
#ifndef LBD_FILTER_CODER_H
#define LBD_FILTER_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/slice.h"
#include "lbd/net/flow.h"

#define CODER_OUT_BYTES (32U * 1024)

enum coder_push {
    CODER_MORE,  /* what is coded may wait for more */
    CODER_FLUSH, /* all of it is to be read by the client now */
    CODER_END    /* nothing follows */
};

struct coder_ops;

/* An encoding's own begins with this. */
struct coder {
    const struct coder_ops *ops;
    struct coder *next; /* in pool->kept */
    int level;
    size_t held_bytes; /* that its library has asked for */
};

struct coder_ops {
    size_t most_bytes;   /* that one of them ever holds */
    uint32_t most_taken; /* that are under way in a pool */
    uint32_t most_kept;  /* that wait there for work; 0: one cannot be used again */
    /* `level` is 1 to 9. */
    struct coder *(*make)(int level);
    void (*reset)(struct coder *coder, int level); /* NULL when most_kept is 0 */
    /* Takes from the front of *in, and writes at most *room bytes to `out`: *room is how many.
     * True: there is more, call it again with what is left of `in` and the same `push`. */
    bool (*run)(struct coder *coder, struct slice *in, enum coder_push push, char *out,
                size_t *room);
    void (*free)(struct coder *coder);
};

/* Zeroed: empty. */
struct coder_pool {
    struct coder *kept[CONF_ENCODING_COUNT];
    uint32_t kept_count[CONF_ENCODING_COUNT];
    uint32_t taken[CONF_ENCODING_COUNT];
    char *out; /* CODER_OUT_BYTES; NULL: nobody needed it yet */
};

/* None is taken any more. */
void coder_pool_fini(struct coder_pool *pool, struct net_worker *net);
/* Of an encoding that this build has; `level` 1 to 9. NULL: there are too many, or memory is
 * short. */
struct coder *coder_take(struct coder_pool *pool, struct net_worker *net,
                         enum conf_encoding encoding, int level);
void coder_give(struct coder_pool *pool, struct net_worker *net, struct coder *coder);

/* Takes from the front of *in; *out: what there is to send. True: there is more, call it again with
 * what is left of `in` and the same `push`. */
bool coder_run(struct coder_pool *pool, struct net_worker *net, struct coder *coder,
               struct slice *in, enum coder_push push, struct slice *out);

#endif
