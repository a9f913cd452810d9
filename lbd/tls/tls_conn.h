/*
 * tls_conn - the transport over OpenSSL: a connection of net/ that speaks TLS.
 *
 *     conn_init(conn, ...) -> tls_conn_init(conn, context) -> handshake until 0
 *         -> conn_read, conn_write, conn_shut, conn_close as with any other
 *
 * The owner calls conn->transport->handshake from on_readable and on_room until it gives 0 (or -1
 * with another errno than EAGAIN: over), and writes nothing before. Reading goes on until the
 * socket is empty, so that a short read means what it means with a plain one. Half-close is
 * close_notify and then the kernel's.
 *
 * Bytes of such a connection cannot be spliced.
 *
 * Memory: beside the conn, until conn_close. Threads: the connection's.
 */
#ifndef LBD_TLS_TLS_CONN_H
#define LBD_TLS_TLS_CONN_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/net/conn.h"
#include "lbd/tls/tls_client.h"
#include "lbd/tls/tls_context.h"
#include "lbd/tls/tls_front.h"
#include "lbd/tls/tls_session.h"

/* After conn_init, before any byte. `peer_name`: see tls_session_new. False: *err; the connection
 * is still a plain one. */
LB_MUST_CHECK bool tls_conn_init(struct conn *conn, struct tls_context *context,
                                 const char *peer_name, struct err *err);
/* The same for a client's connection to one of our listeners ... */
LB_MUST_CHECK bool tls_conn_server(struct conn *conn, struct tls_front *front, struct err *err);
/* ... and for ours to a server. `name`: what its certificate must be for and SNI, a host name or an
 * IP address (which is no SNI). `reuse`: kept beside the server; NULL: none. */
LB_MUST_CHECK bool tls_conn_client(struct conn *conn, struct tls_client *client, const char *name,
                                   struct tls_reuse *reuse, struct err *err);

/* Before the handshake with a server: only this protocol is offered, whatever the tls_client
 * offers. At most 32 bytes. */
void tls_conn_offer(struct conn *conn, struct slice protocol);

/* Of a connection whose handshake is through. */
struct slice tls_conn_alpn(const struct conn *conn); /* "h2"; empty: none was agreed on */
struct slice tls_conn_sni(const struct conn *conn);  /* what the client asked for, lower case */
bool tls_conn_is_resumed(const struct conn *conn);
const char *tls_conn_version(const struct conn *conn); /* "TLSv1.3" */
bool tls_conn_is_1_3(const struct conn *conn);
/* After a handshake that failed: it is a plain connection from here on, to be read until its end.
 */
void tls_conn_give_up(struct conn *conn);
/* Why it failed, in words; for a server's certificate with its subject. Until conn_close. */
const char *tls_conn_why(const struct conn *conn);

/* What the handshake with a server failed for. */
enum tls_client_failure tls_conn_failure(const struct conn *conn);

/* The certificate of a client: false when it showed none. The first common name of its subject is
 * written to `out` and is *name; empty: it has none of at most `max` bytes without control
 * characters. *is_verified: it was found to be good. */
bool tls_conn_certificate(const struct conn *conn, char *out, size_t max, struct slice *name,
                          bool *is_verified);

/* Did a server end it with an alert? Of any connection. */
bool tls_conn_was_refused(const struct conn *conn);

/* Of such a connection. */
const struct tls_session *tls_conn_session(const struct conn *conn);
void tls_conn_keep_peer(struct conn *conn, bool with_certificate); /* tls_session_keep_peer */
bool tls_conn_is_let_in(const struct conn *conn, const struct tls_front *front);
bool tls_conn_is_one(const struct conn *conn);

/* What logs and lists say of a connection; the texts live as long as it does. */
struct tls_conn_facts {
    struct slice version; /* "TLSv1.3" */
    struct slice cipher;  /* "TLS_AES_128_GCM_SHA256" */
    struct slice sni;     /* empty: the client named nobody */
    struct slice subject; /* of the client's certificate, where it is kept; else empty */
};
/* False: it is a clear one, or its handshake is not through. */
bool tls_conn_look(const struct conn *conn, struct tls_conn_facts *facts);

#endif
