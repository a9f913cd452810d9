/*
 * tls_peer - who the client is, by the certificate that it showed: what servers are told.
 *
 * Made for a connection when its handshake is through, or when a request is the first to need it.
 *
 * Limits: TLS_PEER_SUBJECT_MAX bytes of subject, TLS_PEER_CERT_MAX of certificate; a longer one is
 * not told. Memory: its owner's. Threads: the connection's.
 */
#ifndef LBD_TLS_TLS_PEER_H
#define LBD_TLS_TLS_PEER_H

#include <stdbool.h>

#include "lbd/base/slice.h"
#include "lbd/tls/tls_cert.h"

#define TLS_PEER_SUBJECT_MAX 1024U
#define TLS_PEER_CERT_MAX    8192U

struct tls_peer {
    struct slice subject; /* RFC 4514, printable ASCII only: other bytes are escaped */
    struct slice field;   /* the certificate as RFC 9440 has it, ":base64:"; empty: not asked for */
    char sha256[TLS_CERT_HEX];
    char text[];
};

struct x509_st;
/* NULL: there is no certificate. */
struct tls_peer *tls_peer_new(struct x509_st *certificate, bool with_certificate);
void tls_peer_free(struct tls_peer *peer); /* NULL is fine */

#endif
