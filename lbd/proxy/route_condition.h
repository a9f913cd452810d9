/*
 * route_condition - what a route asks of a request beyond its host and path: method, client,
 * headers, cookies, parameters of the query.
 *
 * They are compiled once and looked at only when host and path fit, the cheap ones first; all must
 * hold. Regular expressions for host and path are conditions too, the last ones: they do not count
 * as such in the order of routes.
 *
 *     header    name in any case; as the client sent it. Of several one is enough, and `absent`
 *               asks for none: who sends a field twice gets past no condition that way.
 *     cookie    name with its case, over all Cookie fields
 *     query     name and value as servers decode them: "%61" is 'a', '+' a space (query.h)
 *     method    an extended CONNECT (WebSocket over HTTP/2) is a GET
 *     source    the client's address
 *
 * A connection of TCP has a client and nothing else of these.
 *
 * Memory: in the arena of the table; borrows names and values of the document. Threads: any.
 */
#ifndef LBD_PROXY_ROUTE_CONDITION_H
#define LBD_PROXY_ROUTE_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/pattern.h"
#include "lbd/http/message.h"

/* A request, or a connection of TCP, and who asks. */
struct route_question {
    struct slice host; /* without port, any case, may be empty; of a connection the name in SNI */
    struct slice path; /* normalised */
    struct slice alpn; /* of a connection: a length and its bytes, again and again, may be empty */
    bool by_name;      /* it is a connection */
    const struct message *request;   /* NULL: of a connection, or nothing is known of it */
    const struct addr_small *client; /* NULL: not known */
    struct pattern_work *patterns;   /* of this thread */
};

struct route_conditions; /* hidden */

/* NULL: it asks for nothing more. */
const struct route_conditions *route_condition_build(struct arena *arena,
                                                     const struct conf_match *match);
/* How many a match has, in the order of routes; by the document alone. */
uint32_t route_condition_count(const struct conf_match *match);
bool route_condition_hold(const struct route_conditions *conditions,
                          const struct route_question *question);
/* Appends `lead` and each condition that does not hold, or each that does, in words: "header
 * X-Canary is not 'always'", with ", " between; of none, nothing. Returns how many those were. */
uint32_t route_condition_explain(const struct route_conditions *conditions,
                                 const struct route_question *question, bool want_held,
                                 const char *lead, struct buf *out);

#endif
