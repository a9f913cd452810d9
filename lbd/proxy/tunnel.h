/*
 * tunnel - two connections whose bytes nobody reads, until both ends are done: after 101, of a TCP
 * listener, and of mail once its user is logged in.
 *
 * Of a WebSocket the server's frames are counted off (websocket_frames), payloads unseen; an IMAP
 * session may be followed (mail_tracked).
 *
 * Takes the connections from an exchange or a tcp_session, which ends; what the log needs is copied
 * when the log is on. Pins no snapshot: only the session, the server's connection and the server.
 *
 * Memory: the proxy_worker's slab, 136 bytes; no buffer and no pipe while idle. Threads:
 * worker.
 */
#ifndef LBD_PROXY_TUNNEL_H
#define LBD_PROXY_TUNNEL_H

#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/http/stream.h"
#include "lbd/http/websocket_frames.h"
#include "lbd/net/relay.h"
#include "lbd/proxy/mail_users.h"
#include "lbd/proxy/proxy_worker.h"

struct access_record;
struct exchange;
struct session;
struct smtp_guard;
struct upstream_conn;
struct access_kept;
struct mail_tracked;

/* Of mail: all that is kept of the login. The log's line is made of it at the end. */
struct tunnel_mail {
    struct mail_seat seat;
    struct addr_small *behind; /* owned: the client that the peer speaks for; NULL: the peer */
    union {
        struct mail_tracked *tracked; /* owned; NULL: nobody looks at what passes */
        struct tunnel_guard *guard;   /* the tunnel's, when it began with one */
    };
};

struct tunnel {
    struct relay relay; /* way 0: from the session's connection to the server's, whose server counts
                           it as in flight */
    union {
        struct {
            struct access_kept *log;        /* NULL: log off */
            struct websocket_frames frames; /* the server's, when it is WebSocket */
            struct filter_hold *hold;       /* of policies; NULL: nothing */
        };
        struct tunnel_mail mail;
    };
};

/* Of a TCP session that has its server. */
struct tunnel_begin {
    struct session *session;
    struct upstream_conn *server_conn; /* its server: counted as in flight, the tunnel's now */
    uint32_t idle_ms;
    uint32_t first_byte_ms;             /* 0: the client may be silent */
    const struct access_record *record; /* NULL: log off */
    const struct tunnel_mail *mail;     /* NULL: it is none; what it has is the tunnel's now */
    const struct smtp_guard *smtp;      /* of a client that nobody trusts; else NULL */
    bool is_sieve_guarded;              /* the server would let another user in: sieve_guard */
};

/* What came from either end before is passed on first. False: no memory, nothing was taken. */
LB_MUST_CHECK bool tunnel_open(const struct tunnel_begin *begin);

/* Sends the 101 and what followed it, and takes over. The exchange is over. */
void tunnel_start(struct exchange *x, const struct stream_head *head, struct slice bytes);
/* Ends the tunnel of this session and the session. */
void tunnel_abort(struct session *session, enum close_reason reason);
/* The same, but both ends see our end first; what they still send is thrown away. A WebSocket
 * client is told by a close frame when the server's frames end here. */
void tunnel_leave(struct session *session, enum close_reason reason);
/* Of mail: who is logged in; else NULL. */
const struct mail_seat *tunnel_seat(const struct session *session);
/* Of mail: the client that the peer speaks for; NULL: the peer. */
const struct addr_small *tunnel_behind(const struct session *session);
/* Of the tunnel of this session. */
const struct server *tunnel_server(const struct session *session);

#endif
