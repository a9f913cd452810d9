/* proxy_header - see proxy_header.h. */
#include "lbd/net/proxy_header.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/base/slice.h"

#define V1_MAX        107U /* with CR and LF */
#define V2_HEAD       16U
#define V2_VERSION    0x20U
#define V2_LOCAL      0x00U
#define V2_PROXY      0x01U
#define V2_STREAM     0x01U
#define V2_DGRAM      0x02U
#define V2_UNIX_BYTES 216U
#define CRC32C_BYTES  7U /* the TLV of a checksum */

enum v2_family { V2_UNSPEC, V2_INET, V2_INET6, V2_UNIX };

static const char v1_start[6] = "PROXY ";
static const char v2_start[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool begins_like(const char *bytes, size_t len, const char *start, size_t start_len)
{
    return memcmp(bytes, start, len < start_len ? len : start_len) == 0;
}

static void put_address(struct addr_small *out, uint16_t family, const void *ip, uint16_t port)
{
    struct addr made;
    memset(&made, 0, sizeof(made));
    made.u.any.sa_family = family;
    if (family == AF_INET) {
        memcpy(&made.u.v4.sin_addr, ip, 4);
    } else if (family == AF_INET6) {
        memcpy(&made.u.v6.sin6_addr, ip, 16);
    }
    addr_small_from(out, &made.u.any);
    out->port = port;
}

/* -- version 1 -- */

static bool read_port(struct slice text, uint16_t *out)
{
    uint64_t port;
    if (text.len > 5 || (text.len > 1 && text.ptr[0] == '0') || !num_parse_u64(text, &port) ||
        port > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool read_address(struct slice ip, struct slice port_text, sa_family_t family,
                         struct addr_small *out)
{
    uint16_t port;
    struct addr address;
    if (!read_port(port_text, &port) || !addr_from_ip(ip, port, &address) ||
        address.u.any.sa_family != family) {
        return false;
    }
    addr_small_from(out, &address.u.any);
    return true;
}

/* What stands between "PROXY " and the end of the line. */
static bool read_v1_words(struct slice rest, struct proxy_header *header)
{
    struct slice words[5];
    size_t count = 0;
    if (slice_eq(rest, SLICE("UNKNOWN")) || slice_starts(rest, SLICE("UNKNOWN "))) {
        return true; /* what follows is to be ignored */
    }
    struct slice word;
    while (slice_split(&rest, ' ', &word)) {
        if (count == 5) {
            return false;
        }
        words[count++] = word;
    }
    if (count != 5) {
        return false;
    }
    sa_family_t family;
    if (slice_eq(words[0], SLICE("TCP4"))) {
        family = AF_INET;
    } else if (slice_eq(words[0], SLICE("TCP6"))) {
        family = AF_INET6;
    } else {
        return false;
    }
    return read_address(words[1], words[3], family, &header->source) &&
           read_address(words[2], words[4], family, &header->destination);
}

static enum proxy_header_verdict read_v1(const char *bytes, size_t len, struct proxy_header *header)
{
    size_t look = len < V1_MAX ? len : V1_MAX;
    for (size_t i = sizeof(v1_start); i < look; i++) {
        if (bytes[i] == '\r') {
            if (i + 1 == len) {
                return i + 1 == V1_MAX ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
            }
            if (i + 1 == V1_MAX || bytes[i + 1] != '\n' ||
                !read_v1_words(slice_of(bytes + sizeof(v1_start), i - sizeof(v1_start)), header)) {
                return PROXY_HEADER_BAD;
            }
            header->len = i + 2;
            return PROXY_HEADER_DONE;
        }
        if ((unsigned char)bytes[i] < ' ' || (unsigned char)bytes[i] > '~') {
            return PROXY_HEADER_BAD;
        }
    }
    return look == V1_MAX ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
}

/* -- version 2 -- */

static uint32_t read_u16(const char *at)
{
    return (uint32_t)(unsigned char)at[0] << 8U | (unsigned char)at[1];
}

/* CRC-32C of the header with the four bytes of the checksum itself as zeros. */
static uint32_t checksum(const char *bytes, size_t len, size_t hole)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0U : (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1U) != 0 ? crc >> 1U ^ UINT32_C(0x82f63b78) : crc >> 1U;
        }
    }
    return ~crc;
}

/* `at` of the header's `len` bytes is where the TLVs begin. */
static bool read_tlvs(const char *bytes, size_t at, size_t len, struct proxy_header *header)
{
    size_t sum_at = 0;
    if (!proxy_tlvs_read(bytes + at, len - at, &header->tlvs, &sum_at)) {
        header->why = "its TLVs are malformed";
        return false;
    }
    if (sum_at == SIZE_MAX) {
        return true;
    }
    sum_at += at;
    if (checksum(bytes, len, sum_at) !=
        (read_u16(bytes + sum_at) << 16U | read_u16(bytes + sum_at + 2))) {
        header->why = "its checksum is wrong";
        return false;
    }
    return true;
}

static size_t address_bytes(enum v2_family family)
{
    switch (family) {
    case V2_UNSPEC:
        return 0;
    case V2_INET:
        return 12;
    case V2_INET6:
        return 36;
    case V2_UNIX:
        return V2_UNIX_BYTES;
    }
    return 0;
}

static void read_v2_addresses(const char *at, enum v2_family family, struct proxy_header *header)
{
    switch (family) {
    case V2_UNSPEC:
        break;
    case V2_INET:
        put_address(&header->source, AF_INET, at, (uint16_t)read_u16(at + 8));
        put_address(&header->destination, AF_INET, at + 4, (uint16_t)read_u16(at + 10));
        break;
    case V2_INET6:
        put_address(&header->source, AF_INET6, at, (uint16_t)read_u16(at + 32));
        put_address(&header->destination, AF_INET6, at + 16, (uint16_t)read_u16(at + 34));
        break;
    case V2_UNIX:
        put_address(&header->source, AF_UNIX, NULL, 0);
        put_address(&header->destination, AF_UNIX, NULL, 0);
        break;
    }
}

static enum proxy_header_verdict read_v2(const char *bytes, size_t len, struct proxy_header *header)
{
    if (len <= sizeof(v2_start)) {
        return PROXY_HEADER_MORE;
    }
    uint32_t command = (unsigned char)bytes[12] ^ V2_VERSION;
    if (command != V2_LOCAL && command != V2_PROXY) {
        return PROXY_HEADER_BAD;
    }
    if (len == 13) {
        return PROXY_HEADER_MORE;
    }
    uint32_t family = (unsigned char)bytes[13] >> 4U;
    uint32_t transport = (unsigned char)bytes[13] & 0x0fU;
    if (family > V2_UNIX || transport > V2_DGRAM) {
        return PROXY_HEADER_BAD;
    }
    if (len < V2_HEAD) {
        return PROXY_HEADER_MORE;
    }
    size_t rest = read_u16(bytes + 14);
    size_t addresses = address_bytes((enum v2_family)family);
    if (rest < addresses && command == V2_LOCAL) {
        addresses = rest; /* LOCAL: whatever stands there is to be discarded */
    }
    if (rest < addresses) {
        header->why = "it is too short for its addresses";
        return PROXY_HEADER_BAD;
    }
    if (rest - addresses > PROXY_HEADER_TLVS_MAX) {
        header->why = "it has more than 1 KB of TLVs";
        return PROXY_HEADER_BAD;
    }
    if (len < V2_HEAD + rest) {
        return PROXY_HEADER_MORE;
    }
    header->len = V2_HEAD + rest;
    header->is_local = command == V2_LOCAL;
    if (header->is_local) {
        return PROXY_HEADER_DONE;
    }
    if (!read_tlvs(bytes, V2_HEAD + addresses, header->len, header)) {
        return PROXY_HEADER_BAD;
    }
    if (transport == V2_STREAM) {
        read_v2_addresses(bytes + V2_HEAD, (enum v2_family)family, header);
    }
    return PROXY_HEADER_DONE;
}

enum proxy_header_verdict proxy_header_read(const char *bytes, size_t len,
                                            struct proxy_header *header)
{
    enum proxy_header_verdict verdict = PROXY_HEADER_BAD;
    *header = (struct proxy_header){0};
    if (len == 0) {
        return PROXY_HEADER_MORE;
    }
    header->why = "there is none";
    if (begins_like(bytes, len, v2_start, sizeof(v2_start))) {
        header->why = "it is malformed";
        verdict = read_v2(bytes, len, header);
    } else if (begins_like(bytes, len, v1_start, sizeof(v1_start))) {
        header->why = "it is malformed";
        verdict = read_v1(bytes, len, header);
    }
    if (verdict == PROXY_HEADER_DONE) {
        header->why = NULL;
    } else {
        *header = (struct proxy_header){.why = verdict == PROXY_HEADER_BAD ? header->why : NULL};
    }
    assert(verdict != PROXY_HEADER_DONE || header->len <= len);
    assert(verdict != PROXY_HEADER_MORE || len < PROXY_HEADER_MAX);
    return verdict;
}

/* -- writing -- */

struct cursor {
    char *out;
    size_t len;
};

static void put(struct cursor *cursor, const void *bytes, size_t len)
{
    assert(len <= PROXY_HEADER_OUT_MAX - cursor->len);
    memcpy(cursor->out + cursor->len, bytes, len);
    cursor->len += len;
}

static void put_text(struct cursor *cursor, struct slice text)
{
    put(cursor, text.ptr, text.len);
}

static void put_number(struct cursor *cursor, uint16_t number)
{
    char text[NUM_TEXT_MAX];
    size_t len = num_write_u64(text, number);
    put_text(cursor, SLICE(" "));
    put(cursor, text, len);
}

static void put_ip(struct cursor *cursor, const struct addr_small *address, sa_family_t family)
{
    char text[ADDR_TEXT_MAX];
    struct addr_small written = *address;
    written.family = family;
    size_t len = addr_small_write_ip(&written, text);
    put_text(cursor, SLICE(" "));
    put(cursor, text, len);
}

static void put_u16(struct cursor *cursor, size_t number)
{
    const uint8_t bytes[2] = {(uint8_t)(number >> 8U), (uint8_t)number};
    put(cursor, bytes, sizeof(bytes));
}

static bool is_ip(const struct addr_small *address)
{
    return address != NULL && (address->family == AF_INET || address->family == AF_INET6);
}

/* The family that both can be written in; 0: none. */
static sa_family_t common_family(const struct addr_small *source,
                                 const struct addr_small *destination)
{
    if (!is_ip(source) || !is_ip(destination)) {
        return 0;
    }
    return source->family == destination->family ? source->family : (sa_family_t)AF_INET6;
}

static void write_v1(struct cursor *cursor, const struct addr_small *source,
                     const struct addr_small *destination)
{
    sa_family_t family = common_family(source, destination);
    put(cursor, v1_start, sizeof(v1_start));
    if (family == 0) {
        put_text(cursor, SLICE("UNKNOWN"));
    } else {
        put_text(cursor, family == AF_INET ? SLICE("TCP4") : SLICE("TCP6"));
        put_ip(cursor, source, family);
        put_ip(cursor, destination, family);
        put_number(cursor, source->port);
        put_number(cursor, destination->port);
    }
    put_text(cursor, SLICE("\r\n"));
}

static void write_v2(struct cursor *cursor, const struct addr_small *source,
                     const struct addr_small *destination, struct slice tlvs, bool with_checksum)
{
    sa_family_t family = common_family(source, destination);
    enum v2_family written = family == AF_INET    ? V2_INET
                             : family == AF_INET6 ? V2_INET6
                                                  : V2_UNSPEC;
    uint8_t command = V2_VERSION | (source == NULL ? V2_LOCAL : V2_PROXY);
    uint8_t kind = written == V2_UNSPEC ? 0 : (uint8_t)((unsigned)written << 4U | V2_STREAM);
    put(cursor, v2_start, sizeof(v2_start));
    put(cursor, &command, 1);
    put(cursor, &kind, 1);
    size_t rest = address_bytes(written) + tlvs.len + (with_checksum ? CRC32C_BYTES : 0);
    put_u16(cursor, rest);
    if (family != 0) {
        size_t skip = family == AF_INET ? 12 : 0;
        put(cursor, source->ip + skip, 16 - skip);
        put(cursor, destination->ip + skip, 16 - skip);
        put_u16(cursor, source->port);
        put_u16(cursor, destination->port);
    }
    if (tlvs.len != 0) {
        put_text(cursor, tlvs);
    }
    if (with_checksum) {
        static const char zeros[CRC32C_BYTES] = {PROXY_TLVS_CRC32C, 0, 4};
        put(cursor, zeros, sizeof(zeros));
        size_t sum_at = cursor->len - 4;
        uint32_t sum = checksum(cursor->out, cursor->len, sum_at);
        cursor->len = sum_at;
        put_u16(cursor, sum >> 16U);
        put_u16(cursor, sum & 0xffffU);
    }
    /* R15: what the head says is what follows */
    assert(cursor->len == V2_HEAD + rest);
}

size_t proxy_header_write(char out[PROXY_HEADER_OUT_MAX], enum proxy_header_version version,
                          const struct addr_small *source, const struct addr_small *destination,
                          struct slice tlvs, bool with_checksum)
{
    struct cursor cursor = {.out = out};
    assert(version != PROXY_HEADER_NONE);
    if (version == PROXY_HEADER_V1) {
        write_v1(&cursor, source, destination);
    } else {
        write_v2(&cursor, source, destination, tlvs, with_checksum);
    }
    return cursor.len;
}
