/*
 * tls_cert - a certificate that we can show: its chain, its key, and what a person or a table wants
 * to know of it.
 *
 * Never changed once made: what comes from a file that changed, or from the API, makes another one.
 * The answer of its authority's OCSP responder is the exception: control puts a fresh one beside it
 * and handshakes take it from there.
 *
 *     files | PEM texts --> tls_cert --> tls_front (to clients), tls_client (to servers)
 *
 * Limits: TLS_CERT_PEM_MAX bytes of each text, TLS_CERT_CHAIN_MAX certificates, TLS_CERT_NAMES_MAX
 * names. Memory: counted. Threads: made by one, used by any.
 */
#ifndef LBD_TLS_TLS_CERT_H
#define LBD_TLS_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define TLS_CERT_PEM_MAX   (256U * 1024)
#define TLS_CERT_CHAIN_MAX 16U
#define TLS_CERT_NAMES_MAX 1024U
#define TLS_CERT_SHA256    32U
#define TLS_CERT_HEX       (2 * TLS_CERT_SHA256 + 1)

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_EC, TLS_KEY_ED25519, TLS_KEY_OTHER };
const char *tls_key_kind_word(enum tls_key_kind kind); /* "rsa", "ec", "ed25519", "other" */

/* Of our own certificate, the first of the chain. Texts live as long as the tls_cert. */
struct tls_cert_facts {
    struct slice subject; /* RFC 2253: "CN=shop.example,O=Shop" */
    struct slice issuer;
    struct slice serial;       /* hexadecimal */
    const struct slice *names; /* DNS names, lower case, "*.shop.example" too; the subject's common
                                  name only when there are none; with strange bytes: left out */
    uint32_t name_count;
    const struct slice *addresses; /* IP addresses, as text */
    uint32_t address_count;
    uint64_t not_before_us; /* wall clock */
    uint64_t not_after_us;
    enum tls_key_kind key_kind;
    uint32_t key_bits;
    uint32_t chain_count; /* certificates that are shown, ours with them */
    bool is_self_signed;
    bool must_staple;              /* RFC 7633 */
    struct slice ocsp_url;         /* empty: its authority runs no responder */
    char sha256[TLS_CERT_HEX];     /* of the certificate (DER), hexadecimal, lower case */
    char key_sha256[TLS_CERT_HEX]; /* of its public key (SubjectPublicKeyInfo), the same of a pin */
};

struct tls_cert;

/* PEM: our certificate first, then those that lead to a root; a key without a passphrase. NULL:
 * *err says why and where ("chain" or "key"): not PEM, too many, a key that is another one's. That
 * it has expired, or that its chain is not whole, is no error: see below. */
LB_MUST_CHECK struct tls_cert *tls_cert_from_pem(struct slice chain, struct slice key,
                                                 struct err *err);
/* From files; the key's may not be open to others. err->place is "chain_file" or "key_file". */
LB_MUST_CHECK struct tls_cert *tls_cert_from_files(const char *chain_file, const char *key_file,
                                                   struct err *err);
struct tls_cert *tls_cert_ref(struct tls_cert *cert);
void tls_cert_unref(struct tls_cert *cert); /* NULL is fine */

const struct tls_cert_facts *tls_cert_facts(const struct tls_cert *cert);
/* Is its own certificate valid at this time (wall clock)? */
bool tls_cert_is_valid(const struct tls_cert *cert, uint64_t now_us);
/* Same chain, same key? */
bool tls_cert_is_same(const struct tls_cert *a, const struct tls_cert *b);
/* Is it for this host name (RFC 6125) or address? */
bool tls_cert_is_for(const struct tls_cert *cert, struct slice host);

enum tls_chain {
    TLS_CHAIN_WHOLE,
    TLS_CHAIN_TORN,      /* a certificate of it is not signed by the next */
    TLS_CHAIN_CUT_SHORT, /* the last one's issuer is neither there nor trusted by the system:
                            an intermediate is missing, or it is a private authority's */
};
/* Reads the system's certificates the first time. */
enum tls_chain tls_cert_chain(const struct tls_cert *cert);

/* -- OCSP (RFC 6960) -- */

#define TLS_CERT_OCSP_MAX 16384U

enum tls_ocsp_status { TLS_OCSP_GOOD, TLS_OCSP_REVOKED, TLS_OCSP_UNKNOWN };
struct tls_ocsp_facts {
    enum tls_ocsp_status status;
    uint64_t this_update_us; /* wall clock */
    uint64_t next_update_us; /* 0: it does not say */
};
/* What to ask ocsp_url for (DER; application/ocsp-request). *out is the caller's (free). False:
 * the chain has no issuer to ask about. */
LB_MUST_CHECK bool tls_cert_ocsp_request(const struct tls_cert *cert, uint8_t **out, size_t *len,
                                         struct err *err);
/* Takes an answer (DER) when it is for this certificate, signed by who may, and valid at `now_us`.
 * One that says GOOD is shown to clients from here on; another one is only told of. */
LB_MUST_CHECK bool tls_cert_ocsp_set(struct tls_cert *cert, struct slice answer, uint64_t now_us,
                                     struct tls_ocsp_facts *facts, struct err *err);
/* Shows none any more (it ran out). */
void tls_cert_ocsp_clear(struct tls_cert *cert);
/* Copies what is shown now; 0: nothing. */
size_t tls_cert_ocsp_copy(const struct tls_cert *cert, uint8_t out[TLS_CERT_OCSP_MAX]);
/* Until when it may be shown; 0: there is none. */
uint64_t tls_cert_ocsp_until_us(const struct tls_cert *cert);

/* For this room only. */
struct x509_st;
struct stack_st_X509;
struct tls_key;
struct x509_st *tls_cert_leaf(const struct tls_cert *cert);
struct stack_st_X509 *tls_cert_rest(const struct tls_cert *cert); /* of the chain, without ours */
const struct tls_key *tls_cert_key(const struct tls_cert *cert);

#endif
