/*
 * tls_front - what the TLS of a listener is compiled to: which certificate for which name, which
 * versions and protocols, who must show a certificate.
 *
 *     ClientHello --SNI--> exact name -> wildcard -> default | unrecognized_name
 *         --> an identity: one certificate for each kind of key (the client's abilities choose; a
 * wildcard's only where none of the exact name's will do), and what tickets and sessions of it are
 * bound to (R12)
 *
 * A change makes another tls_front, which shares the identities that are the same; handshakes and
 * connections keep theirs. Whether the other would let a connection in is asked anew where what
 * clients must show has another number (tls_session_is_let_in).
 *
 * Memory: counted; never changed once made. Threads: built on control; used on any.
 */
#ifndef LBD_TLS_TLS_FRONT_H
#define LBD_TLS_TLS_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/tls_ca.h"
#include "lbd/tls/tls_cert.h"
#include "lbd/tls/tls_tickets.h"
#include "lbd/tls/tls_version.h"

enum tls_profile {
    TLS_PROFILE_INTERMEDIATE, /* TLS 1.2 with ECDHE and authenticated ciphers, and TLS 1.3 */
    TLS_PROFILE_MODERN,       /* TLS 1.3 */
};

enum tls_client_auth { TLS_CLIENT_AUTH_OFF, TLS_CLIENT_AUTH_OPTIONAL, TLS_CLIENT_AUTH_REQUIRED };

/* Everything is borrowed for the call; what stays is referenced or copied. */
struct tls_front_options {
    struct slice listener;         /* its name: tickets of one are not for another */
    struct tls_cert *const *certs; /* the first is shown to who names nobody we know */
    uint32_t cert_count;           /* at least 1 */
    uint64_t now_us; /* wall clock: of several for one name and kind of key those that are valid
                        go first; 0: nobody asks. Not part of what a front is made of */
    enum tls_profile profile;
    enum tls_version min_version; /* TLS_VERSION_ANY: the profile's */
    enum tls_version max_version;
    const struct slice *alpn; /* ours, the best first; "h2", "http/1.1"; a client that knows none of
                                 them is refused (RFC 7301 3.2) */
    uint32_t alpn_count;      /* 0: none is spoken of */
    bool strict_sni;          /* no or an unknown name: refused */
    enum tls_client_auth client_auth;
    struct tls_ca *client_ca;    /* for client_auth other than OFF */
    struct tls_tickets *tickets; /* NULL: no session tickets */
    bool is_strict;              /* no sessions are kept, and an end without close_notify is a
                                    failure: for who administers us */
    bool staples;                /* shows what tls_cert_ocsp_set put there */
};

struct tls_front;

/* `previous`: of the same listener, whose identities are taken over where they are the same; may be
 * NULL. NULL: *err says which certificate cannot be used and why. */
LB_MUST_CHECK struct tls_front *tls_front_new(const struct tls_front_options *options,
                                              const struct tls_front *previous, struct err *err);
struct tls_front *tls_front_ref(struct tls_front *front);
void tls_front_unref(struct tls_front *front); /* NULL is fine */
/* Was it made of the same? */
bool tls_front_is_made_of(const struct tls_front *front, const struct tls_front_options *options);

/* What clients must show, as a number: another one where client_auth or its authorities are others.
 * 0: nothing. */
uint64_t tls_front_demand(const struct tls_front *front);
/* Must they show a certificate? */
bool tls_front_is_closed(const struct tls_front *front);

/* Which certificates a name gets, `certs` of TLS_FRONT_SHOWN; how many. 0: the name is refused. For
 * answering "what would be shown"; `name` empty: who names nobody. */
#define TLS_FRONT_SHOWN 4U
uint32_t tls_front_certs_for(const struct tls_front *front, struct slice name,
                             const struct tls_cert *certs[TLS_FRONT_SHOWN]);

#endif
