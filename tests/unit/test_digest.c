#include <stdint.h>
#include <string.h>

#include "lbd/tls/digest.h"
#include "tests/unit/unit.h"

static void hex_of(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    }
}

/* FIPS 180-4 examples. */
static const struct {
    const char *text;
    const char *want;
} sums[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(what_websocket_wants)
{
    uint8_t sum[DIGEST_SHA1_BYTES];
    char text[DIGEST_HEX_MAX];
    char base64[DIGEST_BASE64_MAX(DIGEST_SHA1_BYTES)];
    digest_sha1(SLICE("abc"), sum); /* FIPS 180-4 */
    hex_of(sum, sizeof(sum), text);
    ck_assert_str_eq(text, "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_write_base64(sum, sizeof(sum), base64);
    ck_assert_str_eq(base64, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
}
END_TEST

START_TEST(sha256_gives_the_published_sums)
{
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        uint8_t sum[DIGEST_SHA256_BYTES];
        char text[DIGEST_HEX_MAX];
        digest_sha256(slice_from(sums[i].text), sum);
        hex_of(sum, sizeof(sum), text);
        ck_assert_str_eq(text, sums[i].want);
        digest_hex(slice_from(sums[i].text), 64, text);
        ck_assert_str_eq(text, sums[i].want);
    }
    uint8_t sum[DIGEST_SHA256_BYTES];
    char text[DIGEST_HEX_MAX];
    digest_sha256(SLICE_NONE, sum);
    hex_of(sum, sizeof(sum), text);
    ck_assert_str_eq(text, sums[0].want);
}
END_TEST

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
START_TEST(hmac_gives_the_published_sums)
{
    char key[131];
    uint8_t sum[DIGEST_SHA256_BYTES];
    char text[DIGEST_HEX_MAX];

    memset(key, 0x0b, 20);
    digest_hmac_sha256(slice_of(key, 20), SLICE("Hi There"), sum);
    hex_of(sum, sizeof(sum), text);
    ck_assert_str_eq(text, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");

    digest_hmac_sha256(SLICE("Jefe"), SLICE("what do ya want for nothing?"), sum);
    hex_of(sum, sizeof(sum), text);
    ck_assert_str_eq(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, sizeof(key));
    digest_hmac_sha256(slice_of(key, sizeof(key)),
                       SLICE("Test Using Larger Than Block-Size Key - Hash Key First"), sum);
    hex_of(sum, sizeof(sum), text);
    ck_assert_str_eq(text, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

START_TEST(a_short_sum_is_the_beginning_of_the_long_one)
{
    char text[DIGEST_HEX_MAX];
    digest_hex(SLICE("abc"), 16, text);
    ck_assert_str_eq(text, "ba7816bf8f01cfea");
    digest_hex(SLICE("abc"), 1, text);
    ck_assert_str_eq(text, "b");
}
END_TEST

START_TEST(equal_bytes_are_equal)
{
    ck_assert(digest_equal((const uint8_t *)"abcd", (const uint8_t *)"abcd", 4));
    ck_assert(!digest_equal((const uint8_t *)"abcd", (const uint8_t *)"abce", 4));
    ck_assert(digest_equal((const uint8_t *)"abcd", (const uint8_t *)"abce", 3));
}
END_TEST

UNIT_TESTS("digest", what_websocket_wants, sha256_gives_the_published_sums,
           hmac_gives_the_published_sums, a_short_sum_is_the_beginning_of_the_long_one,
           equal_bytes_are_equal)
