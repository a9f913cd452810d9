/*
 * tunnel - after 101: two connections whose bytes nobody looks at, until both ends are done.
 *
 * Takes the connections from an exchange, which ends; what the log needs is copied when the log is
 * on. Pins no snapshot: only the session, the server's connection and the server.
 *
 * Memory: the proxy_worker's slab, about 300 bytes; no buffer and no pipe while idle. Threads:
 * worker.
 */
#ifndef LBD_PROXY_TUNNEL_H
#define LBD_PROXY_TUNNEL_H

#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/stream.h"
#include "lbd/net/relay.h"
#include "lbd/proxy/proxy_worker.h"

struct exchange;
struct session;
struct upstream_conn;
struct tunnel_log;

struct tunnel {
    struct relay relay; /* way 0: client to server */
    struct proxy_worker *proxy;
    struct session *session;
    struct upstream_conn *server_conn;
    struct server *server;  /* counted as in flight; the connection holds the reference */
    struct tunnel_log *log; /* NULL: log off */
    uint32_t pool_id;
};

/* Sends the 101 and what followed it, and takes over. The exchange is over. */
void tunnel_start(struct exchange *x, const struct stream_head *head, struct slice bytes);
/* Ends the tunnel of this session and the session. */
void tunnel_abort(struct session *session, enum close_reason reason);
/* The same, but both ends see our end first; what they still send is thrown away. */
void tunnel_leave(struct session *session, enum close_reason reason);
/* Of the tunnel of this session. */
const struct server *tunnel_server(const struct session *session);

#endif
