#include <string.h>

#include "lbd/base/close_advice.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

/* A new reason wants its row there, too. */
START_TEST(every_reason_has_advice)
{
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
        struct buf text;
        buf_init(&text, 1024);
        close_advice_write(&text, (enum close_reason)i, SLICE_NONE, SLICE_NONE);
        ck_assert_msg(text.len != 0, "close_advice.def lacks a row for %s",
                      close_reason_word((enum close_reason)i).ptr);
        ck_assert_msg(text.data[text.len - 1] != '.', "'%.*s' is half a sentence",
                      SLICE_ARG(buf_slice(&text)));
        ck_assert_msg(slice_find(buf_slice(&text), '{') == SIZE_MAX, "'%.*s' has a mark",
                      SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
}
END_TEST

START_TEST(it_names_what_it_is_about)
{
    static const struct {
        enum close_reason reason;
        const char *policy;
        const char *pool;
        const char *text;
    } cases[] = {
        {CLOSE_MAINTENANCE, "closed", "web",
         "take the policy `closed` out, or set it to shadow, when the work is done"},
        {CLOSE_MAINTENANCE, "", "",
         "take the `maintenance` policy out, or set it to shadow, when the work is done"},
        {CLOSE_NO_SERVER, "closed", "web",
         "`lbctl describe pool web` says what is wrong with its servers; when_all_down fail_open "
         "tries them all the same"},
        {CLOSE_CORS_PREFLIGHT, "browsers", "", "nothing to do: the policy `browsers` says so"},
        {CLOSE_OK, "closed", "web", "nothing to do"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text;
        buf_init(&text, 1024);
        close_advice_write(&text, cases[i].reason, slice_from(cases[i].policy),
                           slice_from(cases[i].pool));
        ck_assert_msg(slice_eq(buf_slice(&text), slice_from(cases[i].text)), "%.*s",
                      SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
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

UNIT_TESTS("close_advice", every_reason_has_advice, it_names_what_it_is_about, it_says_who_ended_it)
