/*
 * tls_hello - what a client asks for in its ClientHello, read without ending TLS (RFC 8446 4.1.2,
 * RFC 6066 3, RFC 7301). Sans-I/O; no OpenSSL.
 *
 *     bytes so far --tls_hello_feed--> MORE | BAD | DONE --tls_hello_facts--> name, protocols
 *
 * The message may lie in as many records as the client likes. A reader is asked with everything
 * that has come so far, from the first byte, and only remembers how far it got, so that bytes that
 * come one by one are looked at once. Nothing is taken off: they go on to the server as they are.
 *
 * Strict where it matters for routing: lengths must add up to the byte, an extension stands once, a
 * name is a name. Versions, ciphers and extensions that nobody knows (GREASE) are the server's
 * business; of a client that encrypts its real hello (ECH) the outer name counts. A hello in the
 * clothes of SSL 2 is refused (RFC 6176).
 *
 * Limits: TLS_HELLO_MAX bytes with the heads of their records. Threads: any.
 */
#ifndef LBD_TLS_TLS_HELLO_H
#define LBD_TLS_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define TLS_HELLO_MAX      65536U
#define TLS_HELLO_NAME_MAX 255U
#define TLS_HELLO_ALPN_MAX 512U /* bytes of protocols that are kept; the first ones */

enum tls_hello_verdict { TLS_HELLO_DONE, TLS_HELLO_MORE, TLS_HELLO_BAD };

/* Zeroed: nothing was seen. */
struct tls_hello {
    uint32_t next_record; /* where the next record begins; what lies before is counted */
    uint32_t body;        /* bytes of the message in the records that were counted */
    uint32_t want;        /* bytes of the message; 0: not known yet */
};

struct tls_hello_facts {
    size_t name_len;
    size_t alpn_len;
    bool has_ech;
    char name[TLS_HELLO_NAME_MAX]; /* SNI, lower case */
    char alpn[TLS_HELLO_ALPN_MAX]; /* as on the wire: a length and its bytes, again and again */
};

/* MORE: len < TLS_HELLO_MAX and these bytes may begin a ClientHello. BAD: they never will. */
LB_MUST_CHECK enum tls_hello_verdict tls_hello_feed(struct tls_hello *hello, const char *bytes,
                                                    size_t len);
/* After DONE, of the same bytes. False: the message does not add up. */
LB_MUST_CHECK bool tls_hello_facts(const struct tls_hello *hello, const char *bytes, size_t len,
                                   struct tls_hello_facts *facts);
static inline struct slice tls_hello_name(const struct tls_hello_facts *facts)
{
    return slice_of(facts->name, facts->name_len);
}
static inline struct slice tls_hello_alpn(const struct tls_hello_facts *facts)
{
    return slice_of(facts->alpn, facts->alpn_len);
}

#endif
