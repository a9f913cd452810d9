/*
 * talk - a short conversation of lbd's own with a server: bytes out, bytes in, and a word for every
 * failure.
 *
 *     talk_begin -> dial -> PROXY header -> TLS -> ops->connected -> [send] -> ops->received ...
 *              '--------- refused, not trusted, lost ------------------------> ops->failed
 *
 * Where TLS begins only after some words (STARTTLS), talk_secure shakes hands then, and
 * ops->connected comes a second time.
 *
 * Health checks and http_call say what is said; connecting, sending and receiving are here. The
 * time limit is the owner's. lbd's own shortages (descriptors, ports, memory) are told apart.
 *
 * Limits: TALK_OUT_MAX bytes that wait to be sent, in_max received. Memory: embedded in its owner;
 * talk_end gives back what it holds, also from a callback that then returns false. Threads: the
 * loop's owner.
 */
#ifndef LBD_UPSTREAM_TALK_H
#define LBD_UPSTREAM_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/net/dial.h"
#include "lbd/net/loop.h"
#include "lbd/net/proxy_header.h"
#include "lbd/tls/tls_client.h"
#include "lbd/tls/tls_session.h"

#define TALK_OUT_MAX  (256U * 1024)
#define TALK_WHY_MAX  TLS_CLIENT_WHY_MAX
#define TALK_NAME_MAX 256U

struct talk;

/* Each false: the talk is over, talk_end was called and the object may be gone. */
struct talk_ops {
    /* It stands: put what is to be said into talk->out. */
    bool (*connected)(struct talk *talk);
    /* More lies in talk->in (the owner consumes it), or the server has shut its side (`ended`). */
    bool (*received)(struct talk *talk, bool ended);
    /* TLS: the server has taken our certificate, which it asked for. May come again. NULL: nobody
     * waits for that. */
    bool (*accepted)(struct talk *talk);
    /* It cannot be, or it broke. `is_ours`: for want of something that lbd itself lacks. */
    void (*failed)(struct talk *talk, bool is_ours, const char *why);
};

/* How the server is reached. Borrowed for the call. */
struct talk_way {
    const struct addr *address;
    struct tls_client *tls;          /* NULL: clear */
    const char *tls_name;            /* for SNI, and what the certificate must be for */
    enum proxy_header_version proxy; /* such a header goes first: of our own connection */
    struct dial_sources sources;     /* where it leaves from */
    uint32_t turn;
};

enum talk_step { TALK_DIALS, TALK_SHAKES_HANDS, TALK_IS_OPEN };

struct talk {
    struct loop *loop;
    const struct talk_ops *ops;
    int fd;
    uint8_t step; /* enum talk_step */
    uint8_t proxy;
    bool wants_write;        /* TLS cannot go on without room */
    int error;               /* errno of a beginning that failed */
    struct tls_session *tls; /* NULL: clear */
    struct loop_watch watch;
    unsigned watched;
    struct loop_ready ready; /* ends that are known at once are told later */
    struct buf out;
    struct buf in;
};

/* ops are called later, from the loop. */
void talk_begin(struct talk *talk, struct loop *loop, const struct talk_ops *ops,
                const struct talk_way *way, size_t in_max);
/* Closes without a word. Also one that is zeroed or has ended. */
void talk_end(struct talk *talk);
/* More was put into talk->out outside of a callback. False: as in ops. */
bool talk_send(struct talk *talk);
/* From received(): the other side waits for a handshake, nothing of talk->in or out is left. The
 * handshake begins when received() returns. False: OpenSSL has no room. */
LB_MUST_CHECK bool talk_secure(struct talk *talk, struct tls_client *tls, const char *tls_name);
static inline bool talk_is_open(const struct talk *talk)
{
    return talk->step == TALK_IS_OPEN;
}

#endif
