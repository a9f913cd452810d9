/*
 * tls_version - versions of TLS and protocols spoken over it, as the rest of the room wants them.
 *
 * Threads: any.
 */
#ifndef LBD_TLS_TLS_VERSION_H
#define LBD_TLS_TLS_VERSION_H

#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

enum tls_version {
    TLS_VERSION_ANY, /* of a limit: none but what the room sets itself */
    TLS_VERSION_1_2,
    TLS_VERSION_1_3
};

/* OpenSSL's number; `any` for ANY. */
int tls_version_number(enum tls_version version, int any);

/* Writes names of protocols as ALPN has them on the wire (RFC 7301 3.1); how many bytes. SIZE_MAX:
 * they do not fit, or a name is none. */
#define TLS_ALPN_MAX 256U
size_t tls_alpn_write(const struct slice *names, uint32_t count, unsigned char out[TLS_ALPN_MAX]);

#endif
