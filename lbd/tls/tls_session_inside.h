/*
 * tls_session_inside - what the rest of this room needs of a tls_session.
 *
 * Threads: the connection's.
 */
#ifndef LBD_TLS_TLS_SESSION_INSIDE_H
#define LBD_TLS_TLS_SESSION_INSIDE_H

#include <stdbool.h>

#include "lbd/base/slice.h"
#include "lbd/tls/tls_front.h"
#include "lbd/tls/tls_session.h"

struct ssl_st;

/* Of a client's connection to a listener. NULL: no memory. */
struct tls_session *tls_session_of_client(struct tls_front *front, int fd);
/* Before a handshake's step or a read: will its owner hear of what comes after a short read? (Not
 * when an end is known to lie there.) Not said: no. */
void tls_session_is_told(struct tls_session *session, bool is_told);
struct ssl_st *tls_session_handle(const struct tls_session *session);
struct tls_session *tls_session_of(const struct ssl_st *ssl);
const struct tls_front *tls_session_front(const struct tls_session *session);
/* What SNI says (lower case; empty: nothing), and whether there is a certificate for it. */
void tls_session_note_name(struct tls_session *session, struct slice name, bool is_known);

#endif
