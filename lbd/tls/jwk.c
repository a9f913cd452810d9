#include "lbd/tls/jwk.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "lbd/base/mem.h"
#include "lbd/tls/digest.h"

#define RSA_BITS_MIN  2048
#define RSA_BITS_MAX  8192
#define SECRET_MIN    32U
#define SECRET_MAX    512U
#define P256_BYTES    32U
#define ED25519_BYTES 32U

struct jwk {
    enum jwk_alg alg;
    EVP_PKEY *key; /* NULL: HS256 */
    size_t secret_len;
    char secret[];
};

static const char *const words[] = {
    [JWK_RS256] = "RS256", [JWK_ES256] = "ES256", [JWK_EDDSA] = "EdDSA", [JWK_HS256] = "HS256"};

const char *jwk_alg_word(enum jwk_alg alg)
{
    return words[alg];
}

bool jwk_alg_find(struct slice word, enum jwk_alg *alg)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(word, slice_from(words[i]))) {
            *alg = (enum jwk_alg)i;
            return true;
        }
    }
    return false;
}

/* Takes over `key`; NULL when there is none. */
static struct jwk *new_public(enum jwk_alg alg, EVP_PKEY *key)
{
    ERR_clear_error();
    if (key == NULL) {
        return NULL;
    }
    struct jwk *self = mem_zero(1, sizeof(*self));
    self->alg = alg;
    self->key = key;
    return self;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

struct jwk *jwk_new_rsa(struct slice n, struct slice e)
{
    if (n.len > RSA_BITS_MAX / 8 + 1 || e.len == 0 || e.len > 8) {
        return NULL;
    }
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (modulus != NULL && exponent != NULL && builder != NULL &&
        BN_num_bits(modulus) >= RSA_BITS_MIN && BN_num_bits(modulus) <= RSA_BITS_MAX &&
        BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = from_params("RSA", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return new_public(JWK_RS256, key);
}

struct jwk *jwk_new_p256(struct slice x, struct slice y)
{
    unsigned char point[1 + 2 * P256_BYTES] = {4}; /* uncompressed */
    if (x.len != P256_BYTES || y.len != P256_BYTES) {
        return NULL;
    }
    memcpy(point + 1, x.ptr, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.ptr, P256_BYTES);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) ==
            1) {
        key = from_params("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return new_public(JWK_ES256, key);
}

struct jwk *jwk_new_ed25519(struct slice x)
{
    return x.len == ED25519_BYTES
               ? new_public(JWK_EDDSA,
                            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                                        (const unsigned char *)x.ptr, x.len))
               : NULL;
}

struct jwk *jwk_new_secret(struct slice k)
{
    if (k.len < SECRET_MIN || k.len > SECRET_MAX) {
        return NULL;
    }
    struct jwk *self = mem_zero(1, sizeof(*self) + k.len);
    self->alg = JWK_HS256;
    self->secret_len = k.len;
    memcpy(self->secret, k.ptr, k.len);
    return self;
}

void jwk_free(struct jwk *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->key);
        mem_wipe(key->secret, key->secret_len);
        free(key);
    }
}

enum jwk_alg jwk_alg(const struct jwk *key)
{
    return key->alg;
}

/* What OpenSSL calls a signature is DER; a token has the two numbers side by side (RFC 7518 3.4).
 */
static int der_of(struct slice signature, unsigned char **der)
{
    *der = NULL;
    if (signature.len != (size_t)2 * P256_BYTES) {
        return -1;
    }
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(bytes + P256_BYTES, (int)P256_BYTES, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return -1;
    }
    int len = i2d_ECDSA_SIG(pair, der);
    ECDSA_SIG_free(pair);
    return len;
}

static bool verify_public(const struct jwk *key, struct slice data, const unsigned char *signature,
                          size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->alg == JWK_EDDSA ? NULL : EVP_sha256();
    bool ok =
        context != NULL && EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
        EVP_DigestVerify(context, signature, len, (const unsigned char *)data.ptr, data.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return ok;
}

bool jwk_verify(const struct jwk *key, struct slice data, struct slice signature)
{
    if (key->alg == JWK_HS256) {
        uint8_t want[DIGEST_SHA256_BYTES];
        digest_hmac_sha256(slice_of(key->secret, key->secret_len), data, want);
        return signature.len == sizeof(want) &&
               digest_equal(want, (const uint8_t *)signature.ptr, sizeof(want));
    }
    if (key->alg != JWK_ES256) {
        return verify_public(key, data, (const unsigned char *)signature.ptr, signature.len);
    }
    unsigned char *der;
    int len = der_of(signature, &der);
    bool ok = len > 0 && verify_public(key, data, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}
