/*
 * tls_session - TLS over one descriptor: handshake, read, write, shut. Non-blocking, and without
 * an opinion of who waits how.
 *
 *     ctl/rest_client --poll--> tls_session
 *     net/conn --> tls_conn --> tls_session --recv, send--> socket
 *
 * Memory: one for each connection; owns OpenSSL's part and a reference of the context, not the
 * descriptor. Threads: that of the connection.
 */
#ifndef LBD_TLS_TLS_SESSION_H
#define LBD_TLS_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/tls_context.h"

#define TLS_SESSION_RECORD_MAX 16384U /* bytes that one write takes at most */

enum tls_verdict {
    TLS_DONE,
    TLS_WANT_READ,  /* again when the descriptor is readable */
    TLS_WANT_WRITE, /* again, with the same bytes, when it is writable */
    TLS_END,        /* read: the peer has said that it sends no more */
    TLS_FAILED      /* tls_session_why; also an end without that word */
};

/* Why a handshake failed, as far as it matters who has to do something. */
enum tls_trouble {
    TLS_TROUBLE_NONE,
    TLS_TROUBLE_CLOSED,         /* the peer went away */
    TLS_TROUBLE_NOT_TLS,        /* it speaks something else */
    TLS_TROUBLE_PLAIN_HTTP,     /* and that is HTTP */
    TLS_TROUBLE_NOTHING_SHARED, /* no version, cipher or group in common */
    TLS_TROUBLE_NAME,           /* it asks for a name that we do not have */
    TLS_TROUBLE_PROTOCOL,       /* no protocol of ALPN in common */
    TLS_TROUBLE_NO_CERTIFICATE, /* it shows none */
    TLS_TROUBLE_CERTIFICATE,    /* its certificate is not to be trusted */
    TLS_TROUBLE_REFUSED,        /* it refuses us, usually our certificate */
    TLS_TROUBLE_OTHER
};

struct tls_front;
struct tls_session;
struct tls_peer;

/* `peer_name`: for clients, the name or IP address that the certificate must be for (and SNI); NULL
 * for servers. NULL: *err says why. Holds on to what it needs of the context. */
LB_MUST_CHECK struct tls_session *tls_session_new(struct tls_context *context, int fd,
                                                  const char *peer_name, struct err *err);
/* Takes over an SSL that knows its side (tls_client_begin). NULL: no memory; the SSL is gone. */
struct ssl_st;
LB_MUST_CHECK struct tls_session *tls_session_adopt(struct ssl_st *ssl, int fd);
void tls_session_free(struct tls_session *session); /* NULL is fine */

enum tls_verdict tls_session_handshake(struct tls_session *session);
bool tls_session_is_open(const struct tls_session *session); /* the handshake is complete */
/* Reads until `len` bytes are there or nothing more comes; TLS_DONE with *got > 0 although the rest
 * may have ended. */
enum tls_verdict tls_session_read(struct tls_session *session, void *out, size_t len, size_t *got);
/* Takes what the socket has room for. What it takes is sealed, and one byte less is said to be
 * taken while some of that still waits for room: the caller comes back with the same bytes from
 * there on.
 */
enum tls_verdict tls_session_write(struct tls_session *session, const void *data, size_t len,
                                   size_t *taken);
/* The same of at most TLS_SESSION_PIECES pieces, in records of `record_max` bytes at most
 * (TLS_SESSION_RECORD_MAX; less is sooner readable on a slow path). What fits into one record is
 * sealed together, and all of a call is sent at once. */
#define TLS_SESSION_PIECES 16U
enum tls_verdict tls_session_write_pieces(struct tls_session *session, const struct iovec *pieces,
                                          int count, size_t record_max, size_t *taken);
/* Says that we send no more (close_notify). Reading goes on. */
enum tls_verdict tls_session_shut(struct tls_session *session);
/* Of a connection to a server: has it yet to say what it thinks of our certificate? A session
 * ticket says that it is good, and is nothing that a read returns. */
bool tls_session_waits_for_verdict(const struct tls_session *session);
/* Nothing more can be read: the peer said so, or it failed. */
bool tls_session_has_ended(const struct tls_session *session);
/* What went wrong; "": nothing. */
const char *tls_session_why(const struct tls_session *session);
enum tls_trouble tls_session_trouble(const struct tls_session *session);
/* After TLS_FAILED: did the connection just end, without close_notify? */
bool tls_session_was_cut_off(const struct tls_session *session);

/* Has the peer said anything? */
bool tls_session_has_heard(const struct tls_session *session);

bool tls_session_is_resumed(const struct tls_session *session);

/* Of a client's connection: what SNI said ... */
bool tls_session_has_name(const struct tls_session *session);
bool tls_session_knows_name(const struct tls_session *session); /* ... and we have it */
/* Remembers who the client is by its certificate, `with_certificate`: the whole of it. After the
 * handshake; what is remembered already stays as it is. */
void tls_session_keep_peer(struct tls_session *session, bool with_certificate);
/* NULL: it was not asked to, or there is no certificate. */
const struct tls_peer *tls_session_peer(const struct tls_session *session);
/* Has this client shown what `front`, the listener's now, asks for (R12)? Yes, when that asks for
 * the same as the one it came in by; else its certificate is looked at anew, and what was found
 * good is remembered. */
bool tls_session_is_let_in(struct tls_session *session, const struct tls_front *front);
/* May a request for this host come over it (R8, RFC 9110 7.4)? Yes, when the host has the same
 * certificate, or the certificate that was shown is for it too, or the client named nobody. */
bool tls_session_is_for(const struct tls_session *session, struct slice host);

struct slice tls_session_alpn(const struct tls_session *session);   /* "h2"; empty: none */
const char *tls_session_version(const struct tls_session *session); /* "TLSv1.3" */

/* The names of the peer's certificate, which was verified: "DNS:", "URI:", "email:" of its subject
 * alternative names, then "CN:" of its subject; those with control characters are left out. */
#define TLS_NAMES_MAX   32
#define TLS_NAMES_BYTES 4096
struct tls_names {
    bool is_shown; /* there is a certificate */
    uint32_t count;
    struct slice items[TLS_NAMES_MAX]; /* into `text` */
    size_t len;
    char text[TLS_NAMES_BYTES];
};
void tls_session_peer_names(const struct tls_session *session, struct tls_names *out);

#endif
