/* proxy_tlvs - see proxy_tlvs.h. */
#include "lbd/net/proxy_tlvs.h"

#include <assert.h>
#include <string.h>

#define HEAD     3U /* type and length */
#define SSL_HEAD 5U /* client and verify */

/* types */
#define ALPN        0x01U
#define AUTHORITY   0x02U
#define CRC32C      PROXY_TLVS_CRC32C
#define UNIQUE_ID   0x05U
#define SSL         0x20U
#define SSL_VERSION 0x21U
#define SSL_CN      0x22U
#define SSL_CIPHER  0x23U

/* bits of SSL's first byte */
#define CLIENT_SSL       0x01U
#define CLIENT_CERT_CONN 0x02U
#define CLIENT_CERT_SESS 0x04U

/* -- reading -- */

struct tlv {
    unsigned type;
    struct slice value;
};

/* Takes the next one off. False: it is not whole. */
static bool take(struct slice *rest, struct tlv *tlv)
{
    if (rest->len < HEAD) {
        return false;
    }
    const unsigned char *at = (const unsigned char *)rest->ptr;
    size_t len = (size_t)at[1] << 8U | at[2];
    if (len > rest->len - HEAD) {
        return false;
    }
    tlv->type = at[0];
    tlv->value = slice_of(rest->ptr + HEAD, len);
    *rest = slice_from_at(*rest, HEAD + len);
    return true;
}

static bool is_text(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* There once, and within its limit. An empty one says nothing. */
static bool note(struct slice *out, bool *was_there, struct slice value, size_t most)
{
    if (*was_there || value.len > most) {
        return false;
    }
    *was_there = true;
    *out = value;
    return true;
}

static bool note_text(struct slice *out, bool *was_there, struct slice value)
{
    return is_text(value) && note(out, was_there, value, PROXY_TLVS_NAME_MAX);
}

static bool read_ssl(struct slice value, struct proxy_tlvs *tlvs)
{
    bool version = false;
    bool name = false;
    bool cipher = false;
    struct tlv tlv;
    if (value.len < SSL_HEAD) {
        return false;
    }
    unsigned client = (unsigned char)value.ptr[0];
    tlvs->is_ssl = (client & CLIENT_SSL) != 0;
    tlvs->has_certificate = (client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS)) != 0;
    tlvs->is_verified = tlvs->has_certificate && memcmp(value.ptr + 1, "\0\0\0\0", 4) == 0;
    struct slice rest = slice_from_at(value, SSL_HEAD);
    while (rest.len != 0) {
        bool ok = take(&rest, &tlv);
        if (ok && tlv.type == SSL_VERSION) {
            ok = note_text(&tlvs->ssl_version, &version, tlv.value);
        } else if (ok && tlv.type == SSL_CN) {
            ok = note_text(&tlvs->ssl_cn, &name, tlv.value);
        } else if (ok && tlv.type == SSL_CIPHER) {
            ok = note_text(&tlvs->ssl_cipher, &cipher, tlv.value);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool proxy_tlvs_read(const char *bytes, size_t len, struct proxy_tlvs *tlvs, size_t *checksum_at)
{
    bool alpn = false;
    bool authority = false;
    bool id = false;
    bool ssl = false;
    struct slice rest = slice_of(bytes, len);
    struct tlv tlv;
    *tlvs = (struct proxy_tlvs){0};
    *checksum_at = SIZE_MAX;
    while (rest.len != 0) {
        if (!take(&rest, &tlv)) {
            return false;
        }
        bool ok = true;
        switch (tlv.type) {
        case ALPN:
            ok = note_text(&tlvs->alpn, &alpn, tlv.value);
            break;
        case AUTHORITY:
            ok = note_text(&tlvs->authority, &authority, tlv.value);
            break;
        case UNIQUE_ID:
            ok = note(&tlvs->unique_id, &id, tlv.value, PROXY_TLVS_ID_MAX);
            break;
        case SSL:
            ok = !ssl && read_ssl(tlv.value, tlvs);
            ssl = true;
            break;
        case CRC32C:
            ok = tlv.value.len == 4 && *checksum_at == SIZE_MAX;
            *checksum_at = (size_t)(tlv.value.ptr - bytes);
            break;
        default:
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* -- writing -- */

static size_t put(char *out, unsigned type, struct slice value, size_t most)
{
    if (value.len == 0 || value.len > most) {
        return 0;
    }
    out[0] = (char)type;
    out[1] = (char)(value.len >> 8U);
    out[2] = (char)value.len;
    memcpy(out + HEAD, value.ptr, value.len);
    return HEAD + value.len;
}

static size_t put_ssl(char *out, const struct proxy_tlvs *tlvs)
{
    size_t len = HEAD + SSL_HEAD;
    out[0] = (char)SSL;
    out[HEAD] = (char)(CLIENT_SSL | (tlvs->has_certificate ? CLIENT_CERT_SESS : 0U));
    memset(out + HEAD + 1, 0, 4);
    out[HEAD + 4] = tlvs->has_certificate && tlvs->is_verified ? 0 : 1;
    len += put(out + len, SSL_VERSION, tlvs->ssl_version, PROXY_TLVS_NAME_MAX);
    len += put(out + len, SSL_CN, tlvs->ssl_cn, PROXY_TLVS_NAME_MAX);
    len += put(out + len, SSL_CIPHER, tlvs->ssl_cipher, PROXY_TLVS_NAME_MAX);
    out[1] = (char)((len - HEAD) >> 8U);
    out[2] = (char)(len - HEAD);
    return len;
}

size_t proxy_tlvs_write(char out[PROXY_TLVS_OUT_MAX], const struct proxy_tlvs *tlvs, unsigned words)
{
    size_t len = 0;
    if ((words & PROXY_TLVS_ALPN) != 0) {
        len += put(out + len, ALPN, tlvs->alpn, PROXY_TLVS_NAME_MAX);
    }
    if ((words & PROXY_TLVS_AUTHORITY) != 0) {
        len += put(out + len, AUTHORITY, tlvs->authority, PROXY_TLVS_NAME_MAX);
    }
    if ((words & PROXY_TLVS_UNIQUE_ID) != 0) {
        len += put(out + len, UNIQUE_ID, tlvs->unique_id, PROXY_TLVS_ID_MAX);
    }
    if ((words & PROXY_TLVS_SSL) != 0 && tlvs->is_ssl) {
        len += put_ssl(out + len, tlvs);
    }
    assert(len <= PROXY_TLVS_OUT_MAX);
    return len;
}
