#include <string.h>

#include "lbd/tls/tls_ocsp.h"
#include "tests/unit/unit.h"

START_TEST(shows_what_it_was_given_last)
{
    uint8_t out[TLS_CERT_OCSP_MAX];
    struct tls_ocsp *ocsp = tls_ocsp_new();
    ck_assert_uint_eq(tls_ocsp_copy(ocsp, out), 0);
    ck_assert_uint_eq(tls_ocsp_until_us(ocsp), 0);
    tls_ocsp_show(ocsp, SLICE("first"), 5);
    tls_ocsp_show(ocsp, SLICE("another"), 7);
    ck_assert_uint_eq(tls_ocsp_copy(ocsp, out), 7);
    ck_assert_mem_eq(out, "another", 7);
    ck_assert_uint_eq(tls_ocsp_until_us(ocsp), 7);
    tls_ocsp_show(ocsp, SLICE_NONE, 0);
    ck_assert_uint_eq(tls_ocsp_copy(ocsp, out), 0);
    tls_ocsp_free(ocsp);
    tls_ocsp_free(NULL);
}
END_TEST

START_TEST(what_is_no_answer_does_not_count)
{
    static char large[TLS_CERT_OCSP_MAX + 1];
    static const struct slice answers[] = {SLICE_INIT(""), SLICE_INIT("junk"),
                                           SLICE_INIT("\x30\x03\x0a\x01\x01"),  /* malformed */
                                           SLICE_INIT("\x30\x03\x0a\x01\x00")}; /* of no kind */
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct tls_ocsp_facts facts;
        struct err err = {.kind = ERR_NONE};
        ck_assert(!tls_ocsp_judge(answers[i], NULL, NULL, 1, &facts, &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
        ck_assert_str_ne(err.text, "");
    }
    struct err err = {.kind = ERR_NONE};
    struct tls_ocsp_facts facts;
    ck_assert(!tls_ocsp_judge(slice_of(large, sizeof(large)), NULL, NULL, 1, &facts, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "1 to 16384 bytes"));
}
END_TEST

UNIT_TESTS("tls_ocsp", shows_what_it_was_given_last, what_is_no_answer_does_not_count)
