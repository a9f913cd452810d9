/*
 * mirror - copies of requests for another pool, whose answers nobody waits for.
 *
 *     admit: does it get a copy?  -->  its body is kept while it passes  -->  all of it is there:
 *     the copy goes out by upstream/http_call, as HTTP/1.1 on a connection of its own
 *
 * The client never feels it: a copy begins when the request has gone on, has no say in it, and
 * whatever becomes of it is counted at the mirror's pool and nothing else. There is no retry and no
 * queue. What is no plain request (upgrades, gRPC), has more than MIRROR_BODY_MAX bytes of body or
 * a URL of URL_MAX, or comes while MIRROR_FLIGHTS_MAX copies are under way gets none, and
 * that is counted too.
 *
 * Memory: a body in the request's arena until it is whole, then the copy's own. A copy holds the
 * snapshot's lease. Threads: worker.
 */
#ifndef LBD_PROXY_MIRROR_H
#define LBD_PROXY_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/http/stream.h"
#include "lbd/upstream/pool.h"

#define MIRROR_BODY_MAX    65536U
#define MIRROR_FLIGHTS_MAX 128U   /* of one worker */
#define MIRROR_ANSWER_MAX  65536U /* bytes; a longer one is cut off */

struct exchange;

/* Of a route: whose copies go where. */
struct mirror {
    const struct pool *pool; /* held by the snapshot */
    uint32_t percent;
};

/* A body on its way, in the arena of its request. */
struct mirror_body {
    char *bytes;
    uint32_t len;
    uint32_t max;
};

/* What is under way on one worker. */
struct mirror_worker {
    struct list_node flights;
    uint32_t count;
};

void mirror_worker_init(struct mirror_worker *worker);
/* Nobody hears of what is under way any more. */
void mirror_worker_fini(struct mirror_worker *worker);

/* The request is as it goes on: it gets a copy, or begins to be kept, or not. */
void mirror_begin(struct exchange *x);
/* A piece of its body went by; only while x->head->mirror is not NULL. */
void mirror_keep(struct exchange *x, const struct stream_piece *piece, enum stream_pull pulled);

#endif
