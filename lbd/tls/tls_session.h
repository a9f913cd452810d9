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

struct tls_session;

/* `peer_name`: for clients, the name or IP address that the certificate must be for (and SNI); NULL
 * for servers. NULL: *err says why. */
LB_MUST_CHECK struct tls_session *tls_session_new(struct tls_context *context, int fd,
                                                  const char *peer_name, struct err *err);
void tls_session_free(struct tls_session *session); /* NULL is fine */

enum tls_verdict tls_session_handshake(struct tls_session *session);
bool tls_session_is_open(const struct tls_session *session); /* the handshake is complete */
/* Reads until `len` bytes are there or nothing more comes; TLS_DONE with *got > 0 although the rest
 * may have ended. */
enum tls_verdict tls_session_read(struct tls_session *session, void *out, size_t len, size_t *got);
/* Takes at most TLS_SESSION_RECORD_MAX of them. */
enum tls_verdict tls_session_write(struct tls_session *session, const void *data, size_t len,
                                   size_t *taken);
/* Says that we send no more (close_notify). Reading goes on. */
enum tls_verdict tls_session_shut(struct tls_session *session);
/* Nothing more can be read: the peer said so, or it failed. */
bool tls_session_has_ended(const struct tls_session *session);
/* What went wrong. */
const char *tls_session_why(const struct tls_session *session);

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
