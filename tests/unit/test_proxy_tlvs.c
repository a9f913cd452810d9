#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/net/proxy_tlvs.h"
#include "tests/unit/unit.h"

#define BYTES(literal) SLICE_INIT(literal)
#define SSL_INSIDE     "\x20\x00\x19\x05\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x01m\x25\x00\x03RSA"

/* In a block of its own, so that a byte too far is seen. */
static bool read_exact(struct slice bytes, struct proxy_tlvs *tlvs, size_t *at)
{
    char *exact = malloc(bytes.len + 1);
    ck_assert_ptr_nonnull(exact);
    char *begin = exact + 1; /* so that the end is that of the block */
    if (bytes.len != 0) {
        memcpy(begin, bytes.ptr, bytes.len);
    }
    bool ok = proxy_tlvs_read(begin, bytes.len, tlvs, at);
    if (tlvs->authority.len != 0) { /* it is in there, all of it */
        ck_assert(tlvs->authority.ptr >= begin &&
                  tlvs->authority.ptr + tlvs->authority.len <= begin + bytes.len);
    }
    free(exact);
    return ok;
}

static const struct {
    const char *what;
    struct slice bytes;
    bool ok;
    size_t checksum_at;
} cases[] = {
    {"nothing", BYTES(""), true, SIZE_MAX},
    {"no operation", BYTES("\x04\x00\x02xx"), true, SIZE_MAX},
    {"of somebody else", BYTES("\xea\x00\x02\x00\xff\xee\x00\x00"), true, SIZE_MAX},
    {"a name",
     BYTES("\x02\x00\x01"
           "a"),
     true, SIZE_MAX},
    {"an empty one", BYTES("\x02\x00\x00"), true, SIZE_MAX},
    {"half a head", BYTES("\x02\x00"), false, SIZE_MAX},
    {"beyond the end",
     BYTES("\x02\x00\x02"
           "a"),
     false, SIZE_MAX},
    {"a name twice",
     BYTES("\x02\x00\x01"
           "a\x02\x00\x01"
           "a"),
     false, SIZE_MAX},
    {"an empty name twice", BYTES("\x02\x00\x00\x02\x00\x00"), false, SIZE_MAX},
    {"a name with a line end",
     BYTES("\x02\x00\x02"
           "a\n"),
     false, SIZE_MAX},
    {"a protocol with a NUL", BYTES("\x01\x00\x02h\x00"), false, SIZE_MAX},
    {"an id of any bytes", BYTES("\x05\x00\x03\x00\n\xff"), true, SIZE_MAX},
    {"an id twice", BYTES("\x05\x00\x01x\x05\x00\x01y"), false, SIZE_MAX},
    {"a checksum", BYTES("\x04\x00\x00\x03\x00\x04wxyz"), true, 6},
    {"a short checksum", BYTES("\x03\x00\x03xyz"), false, 3},
    {"two checksums", BYTES("\x03\x00\x04wxyz\x03\x00\x04wxyz"), false, 10},
    {"TLS", BYTES(SSL_INSIDE), true, SIZE_MAX},
    {"TLS twice", BYTES(SSL_INSIDE SSL_INSIDE), false, SIZE_MAX},
    {"TLS without its head", BYTES("\x20\x00\x04\x01\x00\x00\x00"), false, SIZE_MAX},
    {"TLS and nothing more", BYTES("\x20\x00\x05\x01\x00\x00\x00\x00"), true, SIZE_MAX},
    {"TLS, half a head inside", BYTES("\x20\x00\x07\x01\x00\x00\x00\x00\x21\x00"), false, SIZE_MAX},
    {"TLS, one inside that ends outside",
     BYTES("\x20\x00\x08\x01\x00\x00\x00\x00\x21\x00\x01\x04\x00\x00"), false, SIZE_MAX},
    {"TLS, a version twice", BYTES("\x20\x00\x0d\x01\x00\x00\x00\x00\x21\x00\x01x\x21\x00\x01x"),
     false, SIZE_MAX},
    {"a version outside of TLS", BYTES("\x21\x00\x01x"), true, SIZE_MAX},
};

START_TEST(lengths_add_up_to_the_last_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_tlvs tlvs;
        size_t at = 0;
        bool ok = read_exact(cases[i].bytes, &tlvs, &at);
        ck_assert_msg(ok == cases[i].ok, "%s", cases[i].what);
        ck_assert_msg(!ok || at == cases[i].checksum_at, "%s: %zu", cases[i].what, at);
    }
}
END_TEST

START_TEST(what_is_said_of_tls_is_understood)
{
    static const char bytes[] = "\x01\x00\x02h2" SSL_INSIDE "\x05\x00\x02id\x02\x00\x03"
                                "a.b";
    struct proxy_tlvs tlvs;
    size_t at = 0;
    ck_assert(proxy_tlvs_read(bytes, sizeof(bytes) - 1, &tlvs, &at));
    ck_assert(slice_eq(tlvs.alpn, SLICE("h2")) && slice_eq(tlvs.authority, SLICE("a.b")));
    ck_assert(slice_eq(tlvs.unique_id, SLICE("id")));
    ck_assert(slice_eq(tlvs.ssl_version, SLICE("TLSv1.3")) && slice_eq(tlvs.ssl_cn, SLICE("m")));
    ck_assert(tlvs.is_ssl && tlvs.has_certificate && tlvs.is_verified);
    static const struct {
        char client;
        char verify;
        bool is_ssl;
        bool has_certificate;
        bool is_verified;
    } facts[] = {
        {0, 0, false, false, false}, {1, 0, true, false, false}, {3, 0, true, true, true},
        {3, 1, true, true, false},   {5, 0, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        char ssl[] = "\x20\x00\x05\x00\x00\x00\x00";
        ssl[3] = facts[i].client;
        ssl[7] = facts[i].verify; /* the last of its four bytes; the NUL of the text */
        ck_assert(proxy_tlvs_read(ssl, 8, &tlvs, &at));
        ck_assert(tlvs.is_ssl == facts[i].is_ssl);
        ck_assert(tlvs.has_certificate == facts[i].has_certificate);
        ck_assert(tlvs.is_verified == facts[i].is_verified);
    }
}
END_TEST

static void fill(char *out, unsigned type, size_t len)
{
    memset(out, 'x', 3 + len);
    out[0] = (char)type;
    out[1] = (char)(len >> 8U);
    out[2] = (char)len;
}

START_TEST(names_and_ids_have_limits)
{
    static const struct {
        unsigned type;
        size_t most;
    } limits[] = {{1, 255}, {2, 255}, {5, 128}};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        char bytes[300];
        struct proxy_tlvs tlvs;
        size_t at = 0;
        fill(bytes, limits[i].type, limits[i].most);
        ck_assert(read_exact(slice_of(bytes, 3 + limits[i].most), &tlvs, &at));
        fill(bytes, limits[i].type, limits[i].most + 1);
        ck_assert(!read_exact(slice_of(bytes, 4 + limits[i].most), &tlvs, &at));
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    char text[256];
    memset(text, 'x', sizeof(text));
    const struct proxy_tlvs all = {
        .alpn = slice_of(text, 255),
        .authority = slice_of(text, 255),
        .unique_id = slice_of(text, 128),
        .ssl_version = slice_of(text, 255),
        .ssl_cn = slice_of(text, 255),
        .ssl_cipher = slice_of(text, 255),
        .is_ssl = true,
        .has_certificate = true,
        .is_verified = true,
    };
    char out[PROXY_TLVS_OUT_MAX];
    struct proxy_tlvs again;
    size_t at = 0;
    ck_assert_uint_eq(proxy_tlvs_write(out, &all, ~0U), PROXY_TLVS_OUT_MAX);
    ck_assert(proxy_tlvs_read(out, PROXY_TLVS_OUT_MAX, &again, &at));
    ck_assert_uint_eq(at, SIZE_MAX);
    ck_assert_uint_eq(again.ssl_cipher.len, 255);
    ck_assert(again.is_verified);
    ck_assert_uint_eq(proxy_tlvs_write(out, &all, PROXY_TLVS_UNIQUE_ID), 131);
    ck_assert_uint_eq(proxy_tlvs_write(out, &all, PROXY_TLVS_CHECKSUM), 0);
    struct proxy_tlvs long_name = {.authority = slice_of(text, 256), .alpn = SLICE("h2")};
    ck_assert_uint_eq(proxy_tlvs_write(out, &long_name, ~0U), 5); /* it would not be read */
    struct proxy_tlvs unverified = {.is_ssl = true, .has_certificate = true};
    size_t len = proxy_tlvs_write(out, &unverified, ~0U);
    ck_assert(proxy_tlvs_read(out, len, &again, &at));
    ck_assert(again.has_certificate && !again.is_verified);
}
END_TEST

UNIT_TESTS("proxy_tlvs", lengths_add_up_to_the_last_byte, what_is_said_of_tls_is_understood,
           names_and_ids_have_limits, what_is_written_is_read)
