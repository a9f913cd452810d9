/*
 * proxy_header - who the client of a proxy in front of us is, as the proxy says: the PROXY
 * protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt). Sans-I/O, strict
 * (R15).
 *
 *     PROXY TCP4 203.0.113.7 10.0.0.1 51234 443<CR><LF>          version 1, at most 107 bytes
 *     <12 bytes> <0x21> <0x11> <length> <addresses> <TLVs>       version 2
 *
 * A reader is asked with everything that has come so far and keeps nothing itself. Whether the peer
 * may speak so is the caller's question (base/cidr), and it must be asked first.
 *
 * LOCAL (the proxy speaks for itself: a health check), UNKNOWN, unspecified and datagram addresses
 * leave the connection's own address in place. TLVs are walked; what they say of the client's name,
 * protocol, TLS and id is there (proxy_tlvs.h), a checksum is held against what came, others are
 * passed over.
 *
 * Limits: 1 KiB of TLVs. Threads: any.
 */
#ifndef LBD_NET_PROXY_HEADER_H
#define LBD_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/net/proxy_tlvs.h"

#define PROXY_HEADER_TLVS_MAX 1024U
#define PROXY_HEADER_MAX      (16U + 216U + PROXY_HEADER_TLVS_MAX) /* bytes that a reader may want */
/* bytes that the writer may need: of version 2 with TLVs and a checksum */
#define PROXY_HEADER_OUT_MAX (16U + 36U + PROXY_TLVS_OUT_MAX + 7U)

enum proxy_header_verdict { PROXY_HEADER_DONE, PROXY_HEADER_MORE, PROXY_HEADER_BAD };
enum proxy_header_version { PROXY_HEADER_NONE, PROXY_HEADER_V1, PROXY_HEADER_V2 };

struct proxy_header {
    size_t len;                    /* of the header; the conversation begins behind it */
    struct addr_small source;      /* family 0: keep what the socket says */
    struct addr_small destination; /* likewise */
    bool is_local;                 /* the proxy's own connection */
    struct proxy_tlvs tlvs;        /* points into the bytes */
    const char *why;               /* BAD: what is wrong, in words; else NULL */
};

/* MORE: what there is may begin a header, and len < PROXY_HEADER_MAX. BAD: it never will be one. */
LB_MUST_CHECK enum proxy_header_verdict proxy_header_read(const char *bytes, size_t len,
                                                          struct proxy_header *header);
/* Writes the header for a client into PROXY_HEADER_OUT_MAX bytes and returns its length. `source`
 * NULL: for a connection of our own (v1 has no word for it and says UNKNOWN). Addresses of
 * different families are both written as IPv6. `version` is one of the two. `tlvs`: as
 * proxy_tlvs_write made them, at most PROXY_TLVS_OUT_MAX bytes; these and the checksum are of
 * version 2 alone. */
size_t proxy_header_write(char out[PROXY_HEADER_OUT_MAX], enum proxy_header_version version,
                          const struct addr_small *source, const struct addr_small *destination,
                          struct slice tlvs, bool with_checksum);

#endif
