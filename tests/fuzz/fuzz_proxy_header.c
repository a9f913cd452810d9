/*
 * fuzz_proxy_header - wherever the bytes are split the answer is the same, and what was understood
 * is understood again when we write it.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool is_ip(const struct addr_small *address)
{
    return address->family == AF_INET || address->family == AF_INET6;
}

static void write_again(const struct proxy_header *header, enum proxy_header_version version)
{
    char out[PROXY_HEADER_OUT_MAX];
    struct proxy_header again;
    char tlvs[PROXY_TLVS_OUT_MAX];
    size_t tlvs_len = header->is_local ? 0 : proxy_tlvs_write(tlvs, &header->tlvs, ~0U);
    size_t len = proxy_header_write(out, version, header->is_local ? NULL : &header->source,
                                    &header->destination, slice_of(tlvs, tlvs_len), true);
    must(proxy_header_read(out, len, &again) == PROXY_HEADER_DONE && again.len == len);
    if (version == PROXY_HEADER_V2 && !header->is_local) {
        must(slice_eq(again.tlvs.alpn, header->tlvs.alpn));
        must(slice_eq(again.tlvs.authority, header->tlvs.authority));
        must(slice_eq(again.tlvs.unique_id, header->tlvs.unique_id));
        must(again.tlvs.is_ssl == header->tlvs.is_ssl);
        must(!again.tlvs.is_ssl || slice_eq(again.tlvs.ssl_cn, header->tlvs.ssl_cn));
    }
    if (is_ip(&header->source)) {
        must(memcmp(&again.source, &header->source, sizeof(again.source)) == 0);
        must(memcmp(&again.destination, &header->destination, sizeof(again.destination)) == 0);
    } else {
        must(again.source.family == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole;
    struct proxy_header part;
    if (size > 2U * PROXY_HEADER_MAX) {
        return 0;
    }
    enum proxy_header_verdict verdict = proxy_header_read((const char *)data, size, &whole);
    size_t decided = verdict == PROXY_HEADER_DONE ? whole.len : size;
    must(verdict != PROXY_HEADER_DONE || (whole.len <= size && whole.len <= PROXY_HEADER_MAX));
    must(verdict != PROXY_HEADER_MORE || size < PROXY_HEADER_MAX);
    for (size_t len = 0; len < decided; len++) {
        enum proxy_header_verdict early = proxy_header_read((const char *)data, len, &part);
        must(early == PROXY_HEADER_MORE || (early == PROXY_HEADER_BAD && verdict == early));
    }
    if (verdict == PROXY_HEADER_DONE) {
        must(proxy_header_read((const char *)data, whole.len, &part) == PROXY_HEADER_DONE);
        must(memcmp(&whole, &part, sizeof(whole)) == 0);
        write_again(&whole, PROXY_HEADER_V1);
        write_again(&whole, PROXY_HEADER_V2);
    }
    return 0;
}
