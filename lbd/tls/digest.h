/*
 * digest - SHA-256, HMAC-SHA-256 and what WebSocket wants, for the rooms that may not name OpenSSL.
 *
 * Control makes ETags of it. A thin face over libcrypto's one-shot calls.
 *
 * Memory: keeps nothing. Threads: any.
 */
#ifndef LBD_TLS_DIGEST_H
#define LBD_TLS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define DIGEST_SHA256_BYTES 32
#define DIGEST_SHA1_BYTES   20
#define DIGEST_HEX_MAX      (2 * DIGEST_SHA256_BYTES + 1)

void digest_sha256(struct slice data, uint8_t out[DIGEST_SHA256_BYTES]);
/* RFC 2104 with SHA-256. */
void digest_hmac_sha256(struct slice key, struct slice data, uint8_t out[DIGEST_SHA256_BYTES]);
/* For WebSocket's handshake, where it protects nothing (RFC 6455 1.3). */
void digest_sha1(struct slice data, uint8_t out[DIGEST_SHA1_BYTES]);
/* Base64 of RFC 4648 4 with its padding, and a NUL. */
#define DIGEST_BASE64_MAX(bytes) (((bytes) + 2) / 3 * 4 + 1)
void digest_write_base64(const uint8_t *bytes, size_t len, char *out);
/* The first `digits` (1 to 64) hexadecimal digits of the SHA-256, lower case, and a NUL. */
void digest_hex(struct slice data, unsigned digits, char out[DIGEST_HEX_MAX]);
/* All of these bytes, lower case, and a NUL: 2 * len + 1 characters. */
void digest_write_hex(const uint8_t *bytes, size_t len, char *out);
/* From base64 with padding (RFC 4648 4), 44 characters; false: it is none of 32 bytes. */
bool digest_read_base64(struct slice text, uint8_t out[DIGEST_SHA256_BYTES]);
/* Of libcrypto, as it is loaded. */
const char *digest_library_version(void);
/* Takes as long for equal as for different bytes. */
bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
