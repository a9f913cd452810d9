/*
 * resolve - host names to addresses on an event loop, without waiting. The only user of c-ares.
 *
 * /etc/hosts and "localhost" count first, then the given name servers or those of the system. A is
 * asked before AAAA; the addresses of the first kind that has any are the answer, for a machine
 * with both is one machine. SRV (RFC 2782) gives hosts with ports, priorities and weights.
 *
 * Limits: 1.5 s per try, 2 tries per name server, 8 s per question in all; RESOLVE_ANSWERS_MAX
 * records, times to live between 1 s and 1 h. Memory: resolve_new to resolve_free; a question lives
 * until its callback or its cancelling. Threads: the loop's owner.
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

#define RESOLVE_ANSWERS_MAX 128U
#define RESOLVE_NAME_MAX    256U /* with its NUL */
#define RESOLVE_TTL_MIN_S   1U
#define RESOLVE_TTL_MAX_S   3600U

struct resolve;
struct resolve_question;

/* address: port 0; NULL when there is none, then `why` is a sentence for the log ("" otherwise).
 * Both are borrowed for the call. */
typedef void resolve_fn(const struct addr *address, const char *why, void *arg);

enum resolve_kind { RESOLVE_ADDRESSES, RESOLVE_SERVICES };
enum resolve_verdict {
    RESOLVE_FOUND,
    RESOLVE_EMPTY, /* the DNS says that there is nothing */
    RESOLVE_FAILED /* nobody who knows has answered */
};

struct resolve_service {
    uint16_t priority; /* the lowest comes first */
    uint16_t weight;
    uint16_t port;
    char host[RESOLVE_NAME_MAX]; /* without a dot at its end */
};

struct resolve_answer {
    enum resolve_verdict verdict;
    const char *why;                        /* a sentence; "" with FOUND */
    uint32_t ttl_s;                         /* with FOUND */
    const struct addr *addresses;           /* port 0, in the order of the answer; or */
    const struct resolve_service *services; /* these */
    uint32_t count;                         /* 1 or more with FOUND, else 0 */
};
/* Borrowed for the call. */
typedef void resolve_answer_fn(const struct resolve_answer *answer, void *arg);

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
/* The same with all that the DNS knows. */
struct resolve_question *resolve_ask_all(struct resolve *resolve, struct slice name,
                                         enum resolve_kind kind, resolve_answer_fn *fn, void *arg);
/* fn will not come. */
void resolve_cancel(struct resolve_question *question);

/* The SRV records of a DNS message and their shortest time to live; "." as a host is none. False:
 * it is malformed. */
LB_MUST_CHECK bool resolve_parse_services(const unsigned char *message, size_t len,
                                          struct resolve_service services[RESOLVE_ANSWERS_MAX],
                                          uint32_t *count, uint32_t *ttl_s);

#endif
