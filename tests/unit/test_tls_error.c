#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "lbd/tls/tls_error.h"
#include "tests/unit/unit.h"

START_TEST(the_first_reason_is_told_and_the_rest_forgotten)
{
    char text[TLS_ERROR_TEXT_MAX];
    struct err err = {0};
    ERR_raise(ERR_LIB_SYS, ENOENT);
    ERR_raise(ERR_LIB_PEM, ERR_R_MALLOC_FAILURE);
    ck_assert(!tls_error_set(&err, ERR_INVALID, "cannot use '%s'", "x"));
    ck_assert_str_eq(err.text, "cannot use 'x': No such file or directory");
    ck_assert_uint_eq(ERR_peek_error(), 0);
    tls_error_take(ECONNRESET, text);
    ck_assert_str_eq(text, "Connection reset by peer");
    tls_error_take(0, text);
    ck_assert_str_eq(text, "unknown");
    ERR_raise(ERR_LIB_SYS, ENOENT);
    tls_error_clear();
    tls_error_take(0, text);
    ck_assert_str_eq(text, "unknown");
}
END_TEST

UNIT_TESTS("tls_error", the_first_reason_is_told_and_the_rest_forgotten)
