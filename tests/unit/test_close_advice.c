#include <string.h>

#include "lbd/base/close_advice.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

/* A new reason wants its row there, too. */
START_TEST(every_reason_has_advice)
{
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
        const char *text = close_advice_text((enum close_reason)i);
        ck_assert_msg(text[0] != '\0', "close_advice.def lacks a row for %s",
                      close_reason_word((enum close_reason)i).ptr);
        ck_assert_msg(text[strlen(text) - 1] != '.', "'%s' is half a sentence", text);
    }
}
END_TEST

START_TEST(it_says_who_ended_it)
{
    static const struct {
        enum close_reason reason;
        const char *by;
    } cases[] = {
        {CLOSE_OK, "nobody"},           {CLOSE_CLIENT_ABORT, "client"},
        {CLOSE_SERVER_RESET, "server"}, {CLOSE_HEADER_TIMEOUT, "lbd"},
        {CLOSE_KILLED, "operator"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_str_eq(close_advice_by_word(close_advice_by(cases[i].reason)), cases[i].by);
    }
}
END_TEST

UNIT_TESTS("close_advice", every_reason_has_advice, it_says_who_ended_it)
