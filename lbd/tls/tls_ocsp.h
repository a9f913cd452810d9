/*
 * tls_ocsp - what an authority says of a certificate (RFC 6960): asked, judged, and kept to be
 * stapled. For tls_cert, which is its face.
 *
 *     tls_ocsp_request --responder--> answer --tls_ocsp_judge--> tls_ocsp_show --> handshakes
 *
 * An answer counts when the issuer signed it, or a responder that the issuer signed for this; when
 * it is about this certificate; and when it is of now, give or take five minutes.
 *
 * Limits: TLS_CERT_OCSP_MAX bytes. Memory: one beside each tls_cert. Threads: control sets, any
 * copies; a lock for the length of a copy.
 */
#ifndef LBD_TLS_TLS_OCSP_H
#define LBD_TLS_TLS_OCSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/tls_cert.h"

struct x509_st;

/* The question, DER; *out is the caller's. */
LB_MUST_CHECK bool tls_ocsp_request(struct x509_st *leaf, struct x509_st *issuer, uint8_t **out,
                                    size_t *len, struct err *err);
/* False: *err says why the answer does not count. */
LB_MUST_CHECK bool tls_ocsp_judge(struct slice answer, struct x509_st *leaf, struct x509_st *issuer,
                                  uint64_t now_us, struct tls_ocsp_facts *facts, struct err *err);

struct tls_ocsp;
struct tls_ocsp *tls_ocsp_new(void);
void tls_ocsp_free(struct tls_ocsp *ocsp); /* NULL is fine */
/* From now on; an empty answer: none. */
void tls_ocsp_show(struct tls_ocsp *ocsp, struct slice answer, uint64_t until_us);
/* 0: none is shown. */
size_t tls_ocsp_copy(struct tls_ocsp *ocsp, uint8_t out[TLS_CERT_OCSP_MAX]);
uint64_t tls_ocsp_until_us(struct tls_ocsp *ocsp);

#endif
