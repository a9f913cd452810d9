#include "lbd/tls/digest.h"

#include <assert.h>
#include <string.h>

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

void digest_sha1(struct slice data, uint8_t out[DIGEST_SHA1_BYTES])
{
    unsigned len = 0;
    int done = EVP_Digest(data.len != 0 ? data.ptr : "", data.len, out, &len, EVP_sha1(), NULL);
    assert(done == 1 && len == DIGEST_SHA1_BYTES);
}

void digest_write_base64(const uint8_t *bytes, size_t len, char *out)
{
    (void)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
}

static const char hex_digits[] = "0123456789abcdef";

void digest_write_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 0xF];
    }
    out[2 * len] = '\0';
}

void digest_hex(struct slice data, unsigned digits, char out[DIGEST_HEX_MAX])
{
    uint8_t sum[DIGEST_SHA256_BYTES];

    assert(digits >= 1 && digits < DIGEST_HEX_MAX);
    digest_sha256(data, sum);
    digest_write_hex(sum, sizeof(sum), out);
    out[digits] = '\0';
}

bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool digest_read_base64(struct slice text, uint8_t out[DIGEST_SHA256_BYTES])
{
    enum { TEXT_LEN = 44, PADDING = 1 };
    unsigned char bytes[DIGEST_SHA256_BYTES + PADDING];
    if (text.len != TEXT_LEN || text.ptr[TEXT_LEN - 1] != '=' ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text.ptr, TEXT_LEN) != sizeof(bytes)) {
        return false;
    }
    memcpy(out, bytes, DIGEST_SHA256_BYTES);
    return true;
}

const char *digest_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
