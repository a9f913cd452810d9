#include "lbd/base/close_reason.h"
#include "tests/unit/unit.h"

START_TEST(every_reason_has_its_own_word)
{
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
        struct slice word = close_reason_word((enum close_reason)i);
        uint16_t status = close_reason_status((enum close_reason)i);
        ck_assert_uint_gt(word.len, 0);
        ck_assert_ptr_nonnull(close_reason_sentence((enum close_reason)i));
        ck_assert_msg(status == 0 || (status >= 400 && status <= 505), "%s has status %u", word.ptr,
                      status);
        for (size_t c = 0; c < word.len; c++) {
            char byte = word.ptr[c];
            ck_assert_msg((byte >= 'a' && byte <= 'z') || byte == '_', "'%s' is not a word",
                          word.ptr);
        }
        for (unsigned other = 0; other < i; other++) {
            ck_assert_msg(!slice_eq(word, close_reason_word((enum close_reason)other)),
                          "'%s' stands twice", word.ptr);
        }
    }
}
END_TEST

START_TEST(rows_are_where_their_names_say)
{
    ck_assert(slice_eq(close_reason_word(CLOSE_OK), SLICE("ok")));
    ck_assert_uint_eq(close_reason_status(CLOSE_OK), 0);
    ck_assert(slice_eq(close_reason_word(CLOSE_CONNECT_REFUSED), SLICE("connect_refused")));
    ck_assert_uint_eq(close_reason_status(CLOSE_CONNECT_REFUSED), 502);
    ck_assert_uint_eq(close_reason_status(CLOSE_NO_ROUTE), 404);
    ck_assert_uint_eq(close_reason_status(CLOSE_INTERNAL), 500);
}
END_TEST

UNIT_TESTS("close_reason", every_reason_has_its_own_word, rows_are_where_their_names_say)
