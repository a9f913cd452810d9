/*
 * forwarded - who a request comes from, as proxies before us tell it, and how we tell it to
 * servers.
 *
 * What is told is believed of trusted addresses only, from the end of the list backwards: the peer
 * vouches for the last member, that one (when it is trusted, too) for the one before it, and the
 * first that is not trusted is the client. What stands further left is the client's own claim: it
 * is not looked at and not passed on.
 *
 *     X-Forwarded-For: claim, client, proxy-a          peer = proxy-b
 *                      ignored  hops[2] hops[1]        hops[0]      trusted: proxy-a, proxy-b
 *
 * Read: X-Forwarded-For (addresses with or without port and brackets) with X-Forwarded-Proto, -Host
 * and -Port, or Forwarded (RFC 7239). A client that is hidden ("unknown", "_name") or cannot be
 * read ends the walk: then the proxy that told of it is the client, for it is the last that is
 * known. Lists are taken apart from the right, so nothing that a client wrote can change what a
 * proxy appended to it.
 *
 * Limits: `depth` members, at most FORWARDED_DEPTH_MAX. Memory: what is found lies in the headers'
 * block; texts in the arena. Threads: any.
 */
#ifndef LBD_HTTP_FORWARDED_H
#define LBD_HTTP_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/cidr.h"
#include "lbd/base/slice.h"
#include "lbd/http/headers.h"

#define FORWARDED_DEPTH_MAX 32U

struct forwarded_rules {
    struct cidr_set trusted;
    bool reads_forwarded; /* Forwarded; else X-Forwarded-For and its like */
    bool sends_forwarded;
    bool sends_x;   /* X-Forwarded-For and its like */
    uint32_t depth; /* members of the list that are read, 1 to FORWARDED_DEPTH_MAX */
};

struct forwarded_found {
    struct addr_small hops[FORWARDED_DEPTH_MAX + 1]; /* the peer, proxies before it, the client */
    uint32_t count;                                  /* of them; the last one is the client */
    bool is_broken; /* a trusted proxy told something that cannot be read */
    /* What a trusted proxy says the client used; empty: nothing, or nothing valid. */
    struct slice proto; /* "http" or "https" */
    struct slice host;  /* host[:port] */
    struct slice port;  /* digits, not 0 */
};

void forwarded_find(const struct forwarded_rules *rules, const struct headers *headers,
                    const struct addr_small *peer, struct forwarded_found *found);
static inline const struct addr_small *forwarded_client(const struct forwarded_found *found)
{
    return &found->hops[found->count - 1];
}
/* Values of X-Forwarded-For and Forwarded that tell a server of it: the client first, the peer
 * last. Empty `host`: none is told. */
struct slice forwarded_write_list(const struct forwarded_found *found, struct arena *arena);
struct slice forwarded_write(const struct forwarded_found *found, struct slice proto,
                             struct slice host, struct arena *arena);

#endif
