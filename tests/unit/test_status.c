#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/http/status.h"
#include "tests/unit/unit.h"

START_TEST(knows_the_usual_phrases)
{
    static const struct {
        uint16_t status;
        const char *phrase;
    } cases[] = {
        {100, "Continue"},     {101, "Switching Protocols"},
        {200, "OK"},           {204, "No Content"},
        {304, "Not Modified"}, {404, "Not Found"},
        {502, "Bad Gateway"},  {299, "Unknown"},
        {599, "Unknown"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice phrase = status_phrase(cases[i].status);
        ck_assert_msg(slice_eq(phrase, slice_from(cases[i].phrase)), "%u is '%.*s'",
                      cases[i].status, SLICE_ARG(phrase));
    }
}
END_TEST

START_TEST(has_a_phrase_for_every_answer_of_ours)
{
    for (unsigned reason = 0; reason < CLOSE_REASON_COUNT; reason++) {
        uint16_t status = close_reason_status((enum close_reason)reason);
        if (status != 0) {
            ck_assert_msg(!slice_eq(status_phrase(status), SLICE("Unknown")), "%u", status);
        }
    }
}
END_TEST

START_TEST(classes_are_the_first_digit)
{
    static const struct {
        uint16_t status;
        unsigned want;
    } cases[] = {{99, 0},  {100, 1}, {199, 1}, {200, 2}, {399, 3},
                 {400, 4}, {599, 5}, {600, 0}, {0, 0},   {65535, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_uint_eq(status_class(cases[i].status), cases[i].want);
    }
}
END_TEST

UNIT_TESTS("status", knows_the_usual_phrases, has_a_phrase_for_every_answer_of_ours,
           classes_are_the_first_digit)
