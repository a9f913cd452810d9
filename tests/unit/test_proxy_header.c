#include <stdlib.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/net/proxy_header.h"
#include "tests/unit/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_PART   "\x01\x02\x03\x04\x0a\x00\x00\x01\xc8\x00\x01\xbb"
#define V6_PART                                                                                    \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                                                   \
    "\xc8\x00\x01\xbb"

/* As a connection does: a heap block of exactly what has come. */
static enum proxy_header_verdict read_exact(struct slice bytes, struct proxy_header *header)
{
    char *copy = malloc(bytes.len + 1);
    ck_assert_ptr_nonnull(copy);
    char *exact = copy + 1; /* a block of no bytes has an end, too */
    if (bytes.len != 0) {
        memcpy(exact, bytes.ptr, bytes.len);
    }
    enum proxy_header_verdict verdict = proxy_header_read(exact, bytes.len, header);
    free(copy);
    return verdict;
}

/* Whatever arrives in whichever pieces gets the same answer. */
static enum proxy_header_verdict read_split(struct slice bytes, struct proxy_header *header)
{
    enum proxy_header_verdict whole = read_exact(bytes, header);
    for (size_t len = 0; len < bytes.len; len++) {
        struct proxy_header part;
        enum proxy_header_verdict verdict = read_exact(slice_of(bytes.ptr, len), &part);
        if (whole == PROXY_HEADER_DONE) {
            unit_expect(verdict == (len < header->len ? PROXY_HEADER_MORE : PROXY_HEADER_DONE),
                        "%zu of %zu bytes: %d", len, bytes.len, verdict);
        } else if (whole == PROXY_HEADER_MORE) {
            unit_expect(verdict == PROXY_HEADER_MORE, "%zu bytes", len);
        } else {
            unit_expect(verdict != PROXY_HEADER_DONE, "%zu bytes", len);
        }
    }
    return whole;
}

static const char *text_of(const struct addr_small *address, char out[ADDR_TEXT_MAX])
{
    (void)addr_small_write(address, out);
    return out;
}

START_TEST(version_1_is_read_strictly)
{
    static const struct {
        const char *line;
        enum proxy_header_verdict verdict;
        const char *source;
        const char *destination;
    } cases[] = {
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200 443\r\nGET", PROXY_HEADER_DONE, "1.2.3.4:51200",
         "10.0.0.1:443"},
        {"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", PROXY_HEADER_DONE, "[2001:db8::1]:0",
         "[::1]:65535"},
        {"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:10.0.0.1 1 2\r\n", PROXY_HEADER_DONE, "1.2.3.4:1",
         "10.0.0.1:2"},
        {"PROXY UNKNOWN\r\n", PROXY_HEADER_DONE, "", ""},
        {"PROXY UNKNOWN whatever stands here\r\n", PROXY_HEADER_DONE, "", ""},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         PROXY_HEADER_DONE, "", ""},
        {"", PROXY_HEADER_MORE, "", ""},
        {"P", PROXY_HEADER_MORE, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200 443\r", PROXY_HEADER_MORE, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200 443\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200 443\r ", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200 443 \r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4  10.0.0.1 51200 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 51200\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 051200 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 65536 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.4 10.0.0.1 -1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 1.2.3.04 10.0.0.1 1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP4 2001:db8::1 10.0.0.1 1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY TCP6 1.2.3.4 10.0.0.1 1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY UDP4 1.2.3.4 10.0.0.1 1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY  TCP4 1.2.3.4 10.0.0.1 1 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY UNKNOWNX\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY UNKNOWN a\tb\r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY \r\n", PROXY_HEADER_BAD, "", ""},
        {"PROXY\r\n", PROXY_HEADER_BAD, "", ""},
        {"proxy TCP4 1.2.3.4 10.0.0.1 51200 443\r\n", PROXY_HEADER_BAD, "", ""},
        {"GET / HTTP/1.1\r\n", PROXY_HEADER_BAD, "", ""},
        {"\x16\x03\x01", PROXY_HEADER_BAD, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header header;
        char text[ADDR_TEXT_MAX];
        struct slice bytes = slice_from(cases[i].line);
        enum proxy_header_verdict verdict = read_split(bytes, &header);
        ck_assert_msg(verdict == cases[i].verdict, "'%s': %d", cases[i].line, verdict);
        ck_assert_str_eq(text_of(&header.source, text), cases[i].source);
        ck_assert_str_eq(text_of(&header.destination, text), cases[i].destination);
        if (verdict == PROXY_HEADER_DONE) {
            ck_assert_uint_eq(header.len, slice_find(bytes, '\n') + 1);
        }
    }
}
END_TEST

START_TEST(version_1_has_107_bytes_at_most)
{
    for (size_t len = 100; len < 115; len++) {
        char line[128];
        struct proxy_header header;
        memset(line, 'x', sizeof(line));
        memcpy(line, "PROXY UNKNOWN ", 14);
        ck_assert_int_eq(read_split(slice_of(line, len), &header),
                         len < 107 ? PROXY_HEADER_MORE : PROXY_HEADER_BAD);
        memcpy(line + len - 2, "\r\n", 2);
        ck_assert_int_eq(read_split(slice_of(line, len), &header),
                         len <= 107 ? PROXY_HEADER_DONE : PROXY_HEADER_BAD);
    }
}
END_TEST

#define BYTES(literal) SLICE_INIT(literal)

START_TEST(version_2_is_read_strictly)
{
    static const struct {
        const char *rule;
        struct slice bytes;
        enum proxy_header_verdict verdict;
        size_t len;
        const char *source;
        const char *destination;
        bool is_local;
    } cases[] = {
        {"IPv4", BYTES(SIGNATURE "\x21\x11\x00\x0c" V4_PART "GET"), PROXY_HEADER_DONE, 28,
         "1.2.3.4:51200", "10.0.0.1:443", false},
        {"IPv6", BYTES(SIGNATURE "\x21\x21\x00\x24" V6_PART), PROXY_HEADER_DONE, 52,
         "[2001:db8::1]:51200", "[2001:db8::2]:443", false},
        {"with TLVs", BYTES(SIGNATURE "\x21\x11\x00\x13" V4_PART "\x04\x00\x01x\xea\x00\x00"),
         PROXY_HEADER_DONE, 35, "1.2.3.4:51200", "10.0.0.1:443", false},
        {"checksum", BYTES(SIGNATURE "\x21\x00\x00\x07\x03\x00\x04\xb3\xa6\x91\x33"),
         PROXY_HEADER_BAD, 0, "", "", false},
        {"local", BYTES(SIGNATURE "\x20\x00\x00\x00"), PROXY_HEADER_DONE, 16, "", "", true},
        {"local with addresses", BYTES(SIGNATURE "\x20\x11\x00\x0c" V4_PART), PROXY_HEADER_DONE, 28,
         "", "", true},
        {"local with odd bytes", BYTES(SIGNATURE "\x20\x11\x00\x03xyz"), PROXY_HEADER_DONE, 19, "",
         "", true},
        {"unspecified", BYTES(SIGNATURE "\x21\x00\x00\x00"), PROXY_HEADER_DONE, 16, "", "", false},
        {"datagram", BYTES(SIGNATURE "\x21\x12\x00\x0c" V4_PART), PROXY_HEADER_DONE, 28, "", "",
         false},
        {"signature only", BYTES(SIGNATURE), PROXY_HEADER_MORE, 0, "", "", false},
        {"no length", BYTES(SIGNATURE "\x21\x11\x00"), PROXY_HEADER_MORE, 0, "", "", false},
        {"no port", BYTES(SIGNATURE "\x21\x11\x00\x0c\x01\x02\x03\x04\x0a\x00\x00\x01\xc8\x00"),
         PROXY_HEADER_MORE, 0, "", "", false},
        {"version 1 in binary", BYTES(SIGNATURE "\x11\x11\x00\x0c" V4_PART), PROXY_HEADER_BAD, 0,
         "", "", false},
        {"command 2", BYTES(SIGNATURE "\x22\x11\x00\x0c" V4_PART), PROXY_HEADER_BAD, 0, "", "",
         false},
        {"family 4", BYTES(SIGNATURE "\x21\x41\x00\x0c" V4_PART), PROXY_HEADER_BAD, 0, "", "",
         false},
        {"transport 3", BYTES(SIGNATURE "\x21\x13\x00\x0c" V4_PART), PROXY_HEADER_BAD, 0, "", "",
         false},
        {"too short for its family", BYTES(SIGNATURE "\x21\x11\x00\x0b" V4_PART), PROXY_HEADER_BAD,
         0, "", "", false},
        {"half a TLV's head", BYTES(SIGNATURE "\x21\x11\x00\x0e" V4_PART "\x04\x00"),
         PROXY_HEADER_BAD, 0, "", "", false},
        {"a TLV that ends behind the header",
         BYTES(SIGNATURE "\x21\x11\x00\x10" V4_PART "\x04\x00\x02x"), PROXY_HEADER_BAD, 0, "", "",
         false},
        {"not quite the signature", BYTES("\r\n\r\n\0\r\nQUIT\r\x21\x11"), PROXY_HEADER_BAD, 0, "",
         "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header header;
        char text[ADDR_TEXT_MAX];
        enum proxy_header_verdict verdict = read_split(cases[i].bytes, &header);
        ck_assert_msg(verdict == cases[i].verdict, "%s: %d", cases[i].rule, verdict);
        ck_assert_uint_eq(header.len, cases[i].len);
        ck_assert_str_eq(text_of(&header.source, text), cases[i].source);
        ck_assert_str_eq(text_of(&header.destination, text), cases[i].destination);
        ck_assert(header.is_local == cases[i].is_local);
    }
}
END_TEST

START_TEST(local_peers_of_the_proxy_are_local_peers)
{
    char bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/client.sock";
    struct proxy_header header;
    ck_assert_int_eq(read_split(slice_of(bytes, sizeof(bytes)), &header), PROXY_HEADER_DONE);
    ck_assert_int_eq(header.source.family, AF_UNIX);
    ck_assert_int_eq(header.destination.family, AF_UNIX);
}
END_TEST

START_TEST(tlvs_have_a_limit)
{
    for (size_t tlvs = 1020; tlvs < 1030; tlvs++) {
        char bytes[2048] = SIGNATURE "\x21\x11";
        struct proxy_header header;
        size_t len = 16 + 12 + tlvs;
        memset(bytes + 28, 0, sizeof(bytes) - 28);
        bytes[14] = (char)((12 + tlvs) >> 8U);
        bytes[15] = (char)(12 + tlvs);
        bytes[28] = 4; /* NOOP */
        bytes[29] = (char)((tlvs - 3) >> 8U);
        bytes[30] = (char)(tlvs - 3);
        ck_assert_msg(read_split(slice_of(bytes, len), &header) ==
                          (tlvs <= 1024 ? PROXY_HEADER_DONE : PROXY_HEADER_BAD),
                      "%zu bytes of TLVs", tlvs);
    }
}
END_TEST

/* CRC-32C another way: by its table. */
static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = (value >> 1U) ^ ((value & 1U) != 0 ? UINT32_C(0x82f63b78) : 0);
        }
        table[i] = value;
    }
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ bytes[i]) & 0xffU] ^ crc >> 8U;
    }
    return ~crc;
}

START_TEST(the_checksum_is_checked)
{
    uint8_t bytes[] = SIGNATURE "\x21\x11\x00\x16" V4_PART "\x03\x00\x04\0\0\0\0\x04\x00\x00";
    size_t len = sizeof(bytes) - 1;
    struct proxy_header header;
    ck_assert_uint_eq(crc32c((const uint8_t *)"123456789", 9), UINT32_C(0xe3069283));
    uint32_t sum = crc32c(bytes, len);
    for (size_t i = 0; i < 4; i++) {
        bytes[31 + i] = (uint8_t)(sum >> (24 - 8 * i));
    }
    ck_assert_int_eq(read_split(slice_of((char *)bytes, len), &header), PROXY_HEADER_DONE);
    for (size_t i = 16; i < len; i++) { /* any bit that falls is seen */
        if (i == 28) {
            continue; /* but for the word that says that this is a checksum */
        }
        bytes[i] ^= 0x10U;
        ck_assert_int_eq(read_exact(slice_of((char *)bytes, len), &header), PROXY_HEADER_BAD);
        bytes[i] ^= 0x10U;
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    static const struct {
        const char *source; /* NULL: our own connection */
        const char *destination;
        const char *v1;
        const char *read_source; /* NULL: as `source` */
        size_t v2_len;
        bool is_local;
    } cases[] = {
        {"1.2.3.4:51200", "10.0.0.1:443", "PROXY TCP4 1.2.3.4 10.0.0.1 51200 443\r\n", NULL, 28,
         false},
        {"[2001:db8::1]:1", "[::1]:65535", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", NULL, 52,
         false},
        {"1.2.3.4:5", "[2001:db8::2]:443", "PROXY TCP6 ::ffff:1.2.3.4 2001:db8::2 5 443\r\n", NULL,
         52, false},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL, 52, false},
        {"unix:/run/x", "unix:/run/y", "PROXY UNKNOWN\r\n", "", 16, false},
        {NULL, "10.0.0.1:443", "PROXY UNKNOWN\r\n", "", 16, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr address;
        struct addr_small source;
        struct addr_small destination;
        struct proxy_header header;
        char out[PROXY_HEADER_OUT_MAX];
        char text[ADDR_TEXT_MAX];
        if (cases[i].source != NULL) {
            ck_assert(addr_parse(slice_from(cases[i].source), &address));
            addr_small_from(&source, &address.u.any);
        }
        ck_assert(addr_parse(slice_from(cases[i].destination), &address));
        addr_small_from(&destination, &address.u.any);
        const struct addr_small *from = cases[i].source != NULL ? &source : NULL;
        const char *want = cases[i].read_source != NULL ? cases[i].read_source : cases[i].source;

        size_t len = proxy_header_write(out, PROXY_HEADER_V1, from, &destination, SLICE_NONE, true);
        ck_assert_msg(slice_eq(slice_of(out, len), slice_from(cases[i].v1)), "%.*s", (int)len, out);
        ck_assert_int_eq(read_split(slice_of(out, len), &header), PROXY_HEADER_DONE);
        ck_assert_str_eq(text_of(&header.source, text), want);

        len = proxy_header_write(out, PROXY_HEADER_V2, from, &destination, SLICE_NONE, false);
        ck_assert_uint_eq(len, cases[i].v2_len);
        ck_assert_int_eq(read_split(slice_of(out, len), &header), PROXY_HEADER_DONE);
        ck_assert_uint_eq(header.len, len);
        ck_assert_str_eq(text_of(&header.source, text), want);
        ck_assert(header.is_local == cases[i].is_local);
    }
}
END_TEST

START_TEST(what_is_wrong_is_said_in_words)
{
    static const struct {
        struct slice bytes;
        const char *why; /* NULL: nothing */
    } cases[] = {
        {BYTES(SIGNATURE "\x21\x11\x00\x0c" V4_PART), NULL},
        {BYTES(SIGNATURE "\x21"), NULL}, /* not yet */
        {BYTES("GET / HTTP/1.1\r\n"), "there is none"},
        {BYTES("PROXY TCP5 "
               "\r\n"),
         "it is malformed"},
        {BYTES(SIGNATURE "\x21\x41\x00\x0c" V4_PART), "it is malformed"},
        {BYTES(SIGNATURE "\x21\x11\x00\x0b" V4_PART), "it is too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x11\x04\x0d"), "it has more than 1 KB of TLVs"},
        {BYTES(SIGNATURE "\x21\x11\x00\x0e" V4_PART "\x04\x00"), "its TLVs are malformed"},
        {BYTES(SIGNATURE "\x21\x00\x00\x07\x03\x00\x04\xb3\xa6\x91\x33"), "its checksum is wrong"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header header;
        (void)read_split(cases[i].bytes, &header);
        if (cases[i].why == NULL) {
            ck_assert_ptr_null(header.why);
        } else {
            ck_assert_str_eq(header.why, cases[i].why);
        }
    }
}
END_TEST

START_TEST(tlvs_and_a_checksum_are_written_and_read)
{
    static const struct proxy_tlvs said = {
        .authority = SLICE_INIT("a.example"),
        .unique_id = SLICE_INIT("id"),
        .ssl_version = SLICE_INIT("TLSv1.3"),
        .is_ssl = true,
    };
    char tlvs[PROXY_TLVS_OUT_MAX];
    char out[PROXY_HEADER_OUT_MAX];
    struct proxy_header header;
    struct addr address;
    struct addr_small source;
    ck_assert(addr_parse(SLICE("1.2.3.4:5"), &address));
    addr_small_from(&source, &address.u.any);
    size_t len = proxy_tlvs_write(tlvs, &said, ~0U);
    for (int with_checksum = 0; with_checksum < 2; with_checksum++) {
        size_t all = proxy_header_write(out, PROXY_HEADER_V2, &source, &source, slice_of(tlvs, len),
                                        with_checksum != 0);
        ck_assert_uint_eq(all, 28 + len + (with_checksum != 0 ? 7 : 0));
        ck_assert_int_eq(proxy_header_read(out, all, &header), PROXY_HEADER_DONE);
        ck_assert_uint_eq(header.len, all);
        ck_assert(slice_eq(header.tlvs.authority, said.authority));
        ck_assert(slice_eq(header.tlvs.unique_id, said.unique_id));
        ck_assert(slice_eq(header.tlvs.ssl_version, said.ssl_version));
    }
    out[29] ^= 1;
    ck_assert_int_eq(proxy_header_read(out, 28 + len + 7, &header), PROXY_HEADER_BAD);
    /* a header of our own has room for a checksum, too; version 1 for neither */
    len = proxy_header_write(out, PROXY_HEADER_V2, NULL, NULL, SLICE_NONE, true);
    ck_assert_uint_eq(len, 23);
    ck_assert_int_eq(proxy_header_read(out, len, &header), PROXY_HEADER_DONE);
    ck_assert(header.is_local);
}
END_TEST

UNIT_TESTS("proxy_header", version_1_is_read_strictly, version_1_has_107_bytes_at_most,
           version_2_is_read_strictly, local_peers_of_the_proxy_are_local_peers, tlvs_have_a_limit,
           the_checksum_is_checked, what_is_written_is_read, what_is_wrong_is_said_in_words,
           tlvs_and_a_checksum_are_written_and_read)
