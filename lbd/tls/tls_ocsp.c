#include "lbd/tls/tls_ocsp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ocsp.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_time.h"

/* Clocks differ. */
#define SLACK_US (300U * UINT64_C(1000000))

struct tls_ocsp {
    pthread_mutex_t lock; /* held for a copy */
    uint8_t *answer;
    size_t len;
    uint64_t until_us;
};

/* -- asking -- */

bool tls_ocsp_request(struct x509_st *leaf, struct x509_st *issuer, uint8_t **out, size_t *len,
                      struct err *err)
{
    bool ok = false;
    unsigned char *der = NULL;
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf, issuer);
    if (request != NULL && id != NULL && OCSP_request_add0_id(request, id) != NULL) {
        id = NULL; /* the request's */
        int der_len = i2d_OCSP_REQUEST(request, &der);
        if (der_len > 0) {
            *out = mem_alloc((size_t)der_len);
            *len = (size_t)der_len;
            memcpy(*out, der, (size_t)der_len);
            ok = true;
        }
    }
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    return ok || tls_error_set(err, ERR_SYSTEM, "cannot make a question about the certificate");
}

/* -- judging -- */

/* Signed by the issuer, or by a responder that the issuer signed for this? */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer, uint64_t now_us)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    bool ok = false;
    if (store != NULL && known != NULL && sk_X509_push(known, issuer) > 0 &&
        X509_STORE_add_cert(store, issuer) == 1) {
        X509_VERIFY_PARAM *rules = X509_STORE_get0_param(store);
        (void)X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_time(rules, (time_t)(now_us / 1000000U));
        ok = OCSP_basic_verify(basic, known, store, 0) == 1;
    }
    sk_X509_free(known);
    X509_STORE_free(store);
    return ok;
}

/* The single answer about our certificate; ids may be made with SHA-1 or SHA-256. */
static bool find_single(X509 *leaf, OCSP_BASICRESP *basic, X509 *issuer,
                        struct tls_ocsp_facts *facts)
{
    const EVP_MD *const kinds[] = {EVP_sha1(), EVP_sha256()};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int status = 0;
        ASN1_GENERALIZEDTIME *from = NULL;
        ASN1_GENERALIZEDTIME *until = NULL;
        OCSP_CERTID *id = OCSP_cert_to_id(kinds[i], leaf, issuer);
        bool found =
            id != NULL && OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until) == 1;
        OCSP_CERTID_free(id);
        if (found) {
            facts->status = status == V_OCSP_CERTSTATUS_GOOD      ? TLS_OCSP_GOOD
                            : status == V_OCSP_CERTSTATUS_REVOKED ? TLS_OCSP_REVOKED
                                                                  : TLS_OCSP_UNKNOWN;
            facts->this_update_us = tls_time_us(from);
            facts->next_update_us = tls_time_us(until);
            return true;
        }
    }
    return false;
}

static bool judge_basic(X509 *leaf, OCSP_BASICRESP *basic, X509 *issuer, uint64_t now_us,
                        struct tls_ocsp_facts *facts, struct err *err)
{
    if (!is_signed(basic, issuer, now_us)) {
        return tls_error_set(err, ERR_INVALID, "the OCSP answer is not signed by who may");
    }
    if (!find_single(leaf, basic, issuer, facts)) {
        return err_set(err, ERR_INVALID, "the OCSP answer is about another certificate");
    }
    if (facts->this_update_us > now_us + SLACK_US ||
        (facts->next_update_us != 0 && facts->next_update_us + SLACK_US < now_us)) {
        return err_set(err, ERR_INVALID, "the OCSP answer is not of this time");
    }
    return true;
}

bool tls_ocsp_judge(struct slice answer, struct x509_st *leaf, struct x509_st *issuer,
                    uint64_t now_us, struct tls_ocsp_facts *facts, struct err *err)
{
    const unsigned char *at_byte = (const unsigned char *)answer.ptr;
    bool ok = false;
    if (answer.len == 0 || answer.len > TLS_CERT_OCSP_MAX) {
        return err_set(err, ERR_INVALID, "an OCSP answer has 1 to %u bytes", TLS_CERT_OCSP_MAX);
    }
    tls_error_clear();
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at_byte, (long)answer.len);
    OCSP_BASICRESP *basic = NULL;
    if (response == NULL) {
        (void)tls_error_set(err, ERR_INVALID, "this is no OCSP answer");
    } else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        (void)err_set(err, ERR_INVALID, "the OCSP responder says '%s'",
                      OCSP_response_status_str(OCSP_response_status(response)));
    } else if ((basic = OCSP_response_get1_basic(response)) == NULL) {
        (void)tls_error_set(err, ERR_INVALID, "the OCSP answer is of an unknown kind");
    } else {
        ok = judge_basic(leaf, basic, issuer, now_us, facts, err);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    tls_error_clear();
    return ok;
}

/* -- showing -- */

struct tls_ocsp *tls_ocsp_new(void)
{
    struct tls_ocsp *ocsp = mem_zero(1, sizeof(*ocsp));
    (void)pthread_mutex_init(&ocsp->lock, NULL);
    return ocsp;
}

void tls_ocsp_free(struct tls_ocsp *ocsp)
{
    if (ocsp != NULL) {
        (void)pthread_mutex_destroy(&ocsp->lock);
        free(ocsp->answer);
        free(ocsp);
    }
}

void tls_ocsp_show(struct tls_ocsp *ocsp, struct slice answer, uint64_t until_us)
{
    uint8_t *copy = answer.len != 0 ? mem_alloc(answer.len) : NULL;
    if (copy != NULL) {
        memcpy(copy, answer.ptr, answer.len);
    }
    (void)pthread_mutex_lock(&ocsp->lock);
    uint8_t *old = ocsp->answer;
    ocsp->answer = copy;
    ocsp->len = answer.len;
    ocsp->until_us = until_us;
    (void)pthread_mutex_unlock(&ocsp->lock);
    free(old);
}

size_t tls_ocsp_copy(struct tls_ocsp *ocsp, uint8_t out[TLS_CERT_OCSP_MAX])
{
    (void)pthread_mutex_lock(&ocsp->lock);
    size_t len = ocsp->len;
    if (len != 0) {
        memcpy(out, ocsp->answer, len);
    }
    (void)pthread_mutex_unlock(&ocsp->lock);
    return len;
}

uint64_t tls_ocsp_until_us(struct tls_ocsp *ocsp)
{
    (void)pthread_mutex_lock(&ocsp->lock);
    uint64_t until_us = ocsp->until_us;
    (void)pthread_mutex_unlock(&ocsp->lock);
    return until_us;
}
