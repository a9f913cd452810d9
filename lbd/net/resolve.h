/*
 * resolve - host names to addresses on an event loop, without waiting. The only user of c-ares.
 *
 * /etc/hosts and "localhost" count first, then the given name servers or those of the system. A is
 * asked before AAAA; the first address of the first kind that has one is the answer.
 *
 * Limits: 1.5 s per try, 2 tries per name server, 8 s per question in all. Memory: resolve_new to
 * resolve_free; a question lives until its callback or its cancelling. Threads: the loop's owner.
 */
#ifndef LBD_NET_RESOLVE_H
#define LBD_NET_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/net/loop.h"

#define RESOLVE_TRY_MS   1500
#define RESOLVE_TRIES    2
#define RESOLVE_LIMIT_MS 8000

struct resolve;
struct resolve_question;

/* address: port 0; NULL when there is none, then `why` is a sentence for the log ("" otherwise).
 * Both are borrowed for the call. */
typedef void resolve_fn(const struct addr *address, const char *why, void *arg);

/* `servers`: "ip:port" or "ip", borrowed for the call; count 0: the system's. NULL: *err says why.
 */
LB_MUST_CHECK struct resolve *resolve_new(struct loop *loop, const struct slice *servers,
                                          uint32_t count, struct err *err);
/* Questions that are open are forgotten: their callbacks do not come. NULL is fine. */
void resolve_free(struct resolve *resolve);
/* Asks; fn comes later from the loop, once, never during this call. The question is the resolver's
 * and is valid until then. */
struct resolve_question *resolve_ask(struct resolve *resolve, struct slice name, resolve_fn *fn,
                                     void *arg);
/* fn will not come. */
void resolve_cancel(struct resolve_question *question);

#endif
