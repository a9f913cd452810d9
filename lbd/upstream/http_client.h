/*
 * http_client - what a loop needs to make calls again and again: connections that wait for the next
 * one, and a resolver, made by the first host that is a name.
 *
 * Memory: owns both. Threads: the loop's owner.
 */
#ifndef LBD_UPSTREAM_HTTP_CLIENT_H
#define LBD_UPSTREAM_HTTP_CLIENT_H

#include <stdint.h>

#include "lbd/upstream/http_call.h"

struct http_client {
    struct loop *loop;
    struct http_lines lines;
    struct resolve *resolve; /* NULL: no host was a name yet */
    const struct slice *resolvers;
    uint32_t resolver_count;
};

/* `resolvers` are borrowed for its life: "ip:port"; none: the system's. */
void http_client_init(struct http_client *client, struct loop *loop, const struct slice *resolvers,
                      uint32_t resolver_count);
/* Every call has ended. Also one that is zeroed. */
void http_client_fini(struct http_client *client);
/* http_call_start with the client's connections and resolver. */
struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_request *request, http_call_fn *fn,
                                   void *arg);

#endif
