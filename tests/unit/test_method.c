#include "lbd/base/compiler.h"
#include "lbd/http/method.h"
#include "tests/unit/unit.h"

START_TEST(knows_the_words_exactly)
{
    static const struct {
        const char *word;
        enum method method;
        bool retry_safe;
    } cases[] = {
        {"GET", METHOD_GET, true},          {"HEAD", METHOD_HEAD, true},
        {"OPTIONS", METHOD_OPTIONS, true},  {"POST", METHOD_POST, false},
        {"PUT", METHOD_PUT, false},         {"DELETE", METHOD_DELETE, false},
        {"PATCH", METHOD_PATCH, false},     {"TRACE", METHOD_TRACE, false},
        {"CONNECT", METHOD_CONNECT, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice word = slice_from(cases[i].word);
        ck_assert_int_eq(method_of(word), cases[i].method);
        ck_assert(slice_eq(method_word(cases[i].method), word));
        ck_assert(method_is_retry_safe(cases[i].method) == cases[i].retry_safe);
    }
}
END_TEST

START_TEST(takes_no_other_word_for_one_of_them)
{
    static const char *const others[] = {"get", "Get", "GETS", "GE", "", "PROPFIND", "PURGE"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ck_assert_msg(method_of(slice_from(others[i])) == METHOD_OTHER, "%s", others[i]);
        ck_assert_msg(method_is_misspelt(slice_from(others[i])) == (i < 2), "%s", others[i]);
    }
    ck_assert(!method_is_misspelt(SLICE("GET")));
    ck_assert(!method_is_retry_safe(METHOD_OTHER));
    ck_assert_uint_eq(method_word(METHOD_OTHER).len, 0);
}
END_TEST

UNIT_TESTS("method", knows_the_words_exactly, takes_no_other_word_for_one_of_them)
