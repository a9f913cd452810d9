#include <string.h>

#include "lbd/http/websocket_key.h"
#include "tests/unit/unit.h"

START_TEST(the_answer_of_the_rfc)
{
    char accept[WEBSOCKET_ACCEPT_MAX];
    websocket_key_accept(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 1.3 */
    ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
END_TEST

START_TEST(a_key_is_sixteen_bytes_in_base64)
{
    char key[WEBSOCKET_KEY_BYTES + 1];
    char other[WEBSOCKET_KEY_BYTES + 1];
    websocket_key_write(0, 0, key);
    ck_assert_str_eq(key, "AAAAAAAAAAAAAAAAAAAAAA==");
    websocket_key_write(0, 1, other);
    ck_assert_str_ne(key, other);
    ck_assert_uint_eq(strlen(other), WEBSOCKET_KEY_BYTES);
}
END_TEST

UNIT_TESTS("websocket_key", the_answer_of_the_rfc, a_key_is_sixteen_bytes_in_base64)
