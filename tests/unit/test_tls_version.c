#include <string.h>

#include <openssl/ssl.h>

#include "lbd/tls/tls_version.h"
#include "tests/unit/unit.h"

START_TEST(versions_have_numbers)
{
    ck_assert_int_eq(tls_version_number(TLS_VERSION_ANY, 7), 7);
    ck_assert_int_eq(tls_version_number(TLS_VERSION_1_2, 7), TLS1_2_VERSION);
    ck_assert_int_eq(tls_version_number(TLS_VERSION_1_3, 7), TLS1_3_VERSION);
}
END_TEST

START_TEST(protocols_are_written_or_not_at_all)
{
    static char text[256];
    unsigned char out[TLS_ALPN_MAX];
    memset(text, 'x', sizeof(text));
    const struct slice both[] = {SLICE_INIT("h2"), SLICE_INIT("http/1.1")};
    ck_assert_uint_eq(tls_alpn_write(both, 2, out), 12);
    ck_assert_mem_eq(out, "\x02h2\x08http/1.1", 12);
    ck_assert_uint_eq(tls_alpn_write(both, 0, out), 0);
    struct slice one = slice_of(text, 255);
    ck_assert_uint_eq(tls_alpn_write(&one, 1, out), 256);
    one.len = 256;
    ck_assert_uint_eq(tls_alpn_write(&one, 1, out), SIZE_MAX);
    one.len = 0;
    ck_assert_uint_eq(tls_alpn_write(&one, 1, out), SIZE_MAX);
    const struct slice long_list[] = {slice_of(text, 250), SLICE_INIT("h2"), SLICE_INIT("h3")};
    ck_assert_uint_eq(tls_alpn_write(long_list, 2, out), 254);
    ck_assert_uint_eq(tls_alpn_write(long_list, 3, out), SIZE_MAX);
}
END_TEST

UNIT_TESTS("tls_version", versions_have_numbers, protocols_are_written_or_not_at_all)
