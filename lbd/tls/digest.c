#include "lbd/tls/digest.h"

#include <assert.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void digest_sha256(struct slice data, uint8_t out[DIGEST_SHA256_BYTES])
{
    unsigned len = 0;
    int done = EVP_Digest(data.len != 0 ? data.ptr : "", data.len, out, &len, EVP_sha256(), NULL);
    /* Fails only when libcrypto cannot allocate or has no SHA-256: nothing to go on with. */
    assert(done == 1 && len == DIGEST_SHA256_BYTES);
}

void digest_hmac_sha256(struct slice key, struct slice data, uint8_t out[DIGEST_SHA256_BYTES])
{
    unsigned len = 0;
    const uint8_t *bytes = data.len != 0 ? (const uint8_t *)data.ptr : (const uint8_t *)"";
    const uint8_t *done =
        HMAC(EVP_sha256(), key.len != 0 ? key.ptr : "", (int)key.len, bytes, data.len, out, &len);
    assert(done != NULL && len == DIGEST_SHA256_BYTES);
}

void digest_hex(struct slice data, unsigned digits, char out[DIGEST_HEX_MAX])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t sum[DIGEST_SHA256_BYTES];

    assert(digits >= 1 && digits < DIGEST_HEX_MAX);
    digest_sha256(data, sum);
    for (unsigned i = 0; i < digits; i++) {
        out[i] = hex[(i % 2 == 0 ? sum[i / 2] >> 4 : sum[i / 2]) & 0xF];
    }
    out[digits] = '\0';
}

bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

const char *digest_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
