/*
 * proxy_tlvs - what a PROXY header of version 2 says of a connection beyond its addresses
 * (proxy-protocol.txt 2.2): which name and protocol the client asked for, an id, its TLS.
 *
 *     0x01 ALPN      0x02 AUTHORITY (the name in SNI)      0x05 UNIQUE_ID
 *     0x20 SSL       <client 1> <verify 4> <0x21 version> <0x22 CN> <0x23 cipher> ...
 *     0x03 CRC32C, 0x04 NOOP and those of other programs: proxy_header looks at the first, nobody
 *          at the others
 *
 * Sans-I/O, strict (R15): what is known must be well formed and there once, and lengths add up to
 * the last byte, also inside of SSL. Passed over is what is not known.
 *
 * Limits: an id has 128 bytes at most, names 255. Memory: points into what was read. Threads: any.
 */
#ifndef LBD_NET_PROXY_TLVS_H
#define LBD_NET_PROXY_TLVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define PROXY_TLVS_ID_MAX   128U
#define PROXY_TLVS_NAME_MAX 255U /* authority, ALPN, version, CN, cipher */
#define PROXY_TLVS_OUT_MAX  (131U + 5U * 258U + 8U)
#define PROXY_TLVS_CRC32C   0x03U

/* Those that can be sent. */
enum proxy_tlvs_word {
    PROXY_TLVS_ALPN = 1,
    PROXY_TLVS_AUTHORITY = 2,
    PROXY_TLVS_UNIQUE_ID = 4,
    PROXY_TLVS_SSL = 8,
    PROXY_TLVS_CHECKSUM = 16
};

/* Empty: it was not said. */
struct proxy_tlvs {
    struct slice alpn;
    struct slice authority;
    struct slice unique_id;   /* any bytes */
    struct slice ssl_version; /* "TLSv1.3" */
    struct slice ssl_cn;      /* of the client's certificate */
    struct slice ssl_cipher;
    bool is_ssl;          /* the client speaks TLS */
    bool has_certificate; /* and showed one: on this connection or one that this one resumes */
    bool is_verified;     /* which was found to be good */
};

/* `len` bytes of TLVs. False: not well formed. *checksum_at: where the value of CRC32C begins;
 * SIZE_MAX: there is none. */
LB_MUST_CHECK bool proxy_tlvs_read(const char *bytes, size_t len, struct proxy_tlvs *tlvs,
                                   size_t *checksum_at);
/* Those of `words` (enum proxy_tlvs_word) that are said; what is too long is left out. Returns how
 * many bytes there are. The checksum is proxy_header's. */
size_t proxy_tlvs_write(char out[PROXY_TLVS_OUT_MAX], const struct proxy_tlvs *tlvs,
                        unsigned words);

#endif
