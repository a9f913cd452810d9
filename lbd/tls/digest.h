/*
 * digest - SHA-256 and HMAC-SHA-256 for the rooms that may not name OpenSSL.
 *
 * Control makes ETags of it. A thin face over libcrypto's one-shot calls.
 *
 * Memory: keeps nothing. Threads: any.
 */
#ifndef LBD_TLS_DIGEST_H
#define LBD_TLS_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define DIGEST_SHA256_BYTES 32
#define DIGEST_HEX_MAX      (2 * DIGEST_SHA256_BYTES + 1)

void digest_sha256(struct slice data, uint8_t out[DIGEST_SHA256_BYTES]);
/* RFC 2104 with SHA-256. */
void digest_hmac_sha256(struct slice key, struct slice data, uint8_t out[DIGEST_SHA256_BYTES]);
/* The first `digits` (1 to 64) hexadecimal digits of the SHA-256, lower case, and a NUL. */
void digest_hex(struct slice data, unsigned digits, char out[DIGEST_HEX_MAX]);
/* Of libcrypto, as it is loaded. */
const char *digest_library_version(void);
/* Takes as long for equal as for different bytes. */
bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
