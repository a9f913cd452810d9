/*
 * tls_front_inside - what the rest of this room needs of a tls_front.
 *
 * Threads: any.
 */
#ifndef LBD_TLS_TLS_FRONT_INSIDE_H
#define LBD_TLS_TLS_FRONT_INSIDE_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "lbd/base/slice.h"
#include "lbd/tls/tls_front.h"

/* A connection of a client that is to begin. NULL: no memory. */
struct ssl_st *tls_front_begin(const struct tls_front *front);
/* May a request for this host come over this connection (R8, RFC 9110 7.4): would the host have got
 * the certificate that the connection has, or is that one for it too? */
bool tls_front_is_for(const struct tls_front *front, const struct ssl_st *ssl, struct slice host);
/* Has the client of this connection, which may have come in by another front, shown what this one
 * asks for? Looks at its certificate anew: about 100 us, with allocations. */
bool tls_front_lets_in(const struct tls_front *front, const struct ssl_st *ssl);

#endif
