#include "lbd/tls/tls_version.h"

#include <string.h>

#include <openssl/ssl.h>

int tls_version_number(enum tls_version version, int any)
{
    switch (version) {
    case TLS_VERSION_ANY:
        break;
    case TLS_VERSION_1_2:
        return TLS1_2_VERSION;
    case TLS_VERSION_1_3:
        return TLS1_3_VERSION;
    }
    return any;
}

size_t tls_alpn_write(const struct slice *names, uint32_t count, unsigned char out[TLS_ALPN_MAX])
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].len == 0 || names[i].len > 255 || len + 1 + names[i].len > TLS_ALPN_MAX) {
            return SIZE_MAX;
        }
        out[len++] = (unsigned char)names[i].len;
        memcpy(out + len, names[i].ptr, names[i].len);
        len += names[i].len;
    }
    return len;
}
