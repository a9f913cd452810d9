/*
 * mail_tracked - an IMAP session that is looked at while it is relayed: what may be said to the
 * client at its end, and whether its server connection may be somebody else's next.
 *
 *     tunnel --mail_tracked_pass, _look--> imap_track
 *     LOGOUT, the client's end --> over(): --mail_tracked_park--> mail_cache
 *                                     '--mail_tracked_goodbye--> client
 *
 * A LOGOUT that the server need not hear of is kept back. What was asked before is answered first,
 * for MAIL_TRACKED_WAIT_MS at most; then we answer it ourselves. A client that has asked more than
 * can be followed is not read until something is answered.
 *
 * Memory: the heap, made at the login, for as long as the session. Threads: worker.
 */
#ifndef LBD_PROXY_MAIL_TRACKED_H
#define LBD_PROXY_MAIL_TRACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/mail/imap_park.h"
#include "lbd/mail/imap_track.h"
#include "lbd/net/loop.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/proxy_worker.h"

#define MAIL_TRACKED_WAIT_MS 5000U

struct mail_tracked;

/* A client that said LOGOUT, which the server did not hear. */
struct mail_tracked_logout {
    struct mail_tracked *tracked;
    struct loop_ready ready;
    struct loop_timer patience;
    size_t tag_len;
    char tag[IMAP_LINES_TAG_MAX];
};

/* A mailbox is selected that another session asked for. What the server says of it is thrown away;
 * until SELECT, or until it was left before another command. */
struct mail_tracked_inherited {
    struct mail_tracked *tracked;
    struct imap_park park;
    bool is_asked; /* UNSELECT is under way, and the client waits */
    bool is_broken;
    struct loop_ready ready;
    struct loop_timer patience;
};

struct mail_tracked {
    struct imap_track track;
    struct proxy_worker *proxy;
    struct mail_cache_entry *entry; /* NULL: not for the cache */
    /* Everything that was asked before LOGOUT is answered, or nobody waits for it any longer. */
    void (*over)(struct mail_tracked *tracked);
    void (*go_on)(struct mail_tracked *tracked); /* with what waited in mail_tracked_pass */
    struct mail_tracked_inherited *inherited;    /* NULL: nothing is */
    void *user;                                  /* of over() */
    struct loop_ready room;                      /* the client may go on */
    bool is_full;                                /* it waits for an answer */
    struct mail_tracked_logout *logout;          /* NULL: not yet */
};

/* `entry`: the login's, ours from here on; NULL: none. */
struct mail_tracked *mail_tracked_new(struct proxy_worker *proxy, struct slice capabilities,
                                      struct mail_cache_entry *entry);
/* NULL is fine. */
void mail_tracked_free(struct mail_tracked *tracked);
/* Its server connection was parked with a mailbox. Before any byte. */
void mail_tracked_inherit(struct mail_tracked *tracked);
/* What is to be done besides with the client's bytes. */
enum mail_tracked_then {
    MAIL_TRACKED_PASSES,
    MAIL_TRACKED_HOLDS, /* nothing more of it goes to the server */
    MAIL_TRACKED_WAITS, /* nothing is read of it until go_on(); `ask` goes to the server first */
};
struct mail_tracked_said {
    enum mail_tracked_then then;
    size_t ask_len;
    char ask[IMAP_PARK_OUT_MAX];
};
/* Bytes of the client: how many of them go to the server. */
size_t mail_tracked_pass(struct mail_tracked *tracked, struct slice bytes,
                         struct mail_tracked_said *said);
/* Bytes of the server (ptr NULL: that many were not seen). How many more need not be seen. *drop:
 * so many of these do not go to the client. */
uint64_t mail_tracked_look(struct mail_tracked *tracked, struct slice bytes, size_t *drop);
/* May its server connection be parked now? */
bool mail_tracked_is_clean(const struct mail_tracked *tracked);
/* True: the connection is the cache's. */
LB_MUST_CHECK bool mail_tracked_park(struct mail_tracked *tracked, struct upstream_conn *conn,
                                     const struct mail_seat *seat);
/* The last words to the client, where there are any to be said. */
void mail_tracked_goodbye(const struct mail_tracked *tracked, enum close_reason reason,
                          struct buf *out);

#endif
