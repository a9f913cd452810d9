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
#include "lbd/net/conn.h"
#include "lbd/tls/tls_context.h"
#include "lbd/tls/tls_session.h"

/* After conn_init, before any byte. `peer_name`: see tls_session_new. False: *err; the connection
 * is still a plain one. */
LB_MUST_CHECK bool tls_conn_init(struct conn *conn, struct tls_context *context,
                                 const char *peer_name, struct err *err);
/* Of such a connection. */
const struct tls_session *tls_conn_session(const struct conn *conn);
bool tls_conn_is_one(const struct conn *conn);

#endif
