#include <string.h>

#include "ctl/cmd_diff.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

START_TEST(ranges_are_read)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t from;
        uint64_t to;
    } cases[] = {{"42", true, 42, 0}, {"41..42", true, 41, 42}, {"41..", true, 41, 0},
                 {"", false, 0, 0},   {"..42", false, 0, 0},    {"41..x", false, 0, 0},
                 {"a", false, 0, 0},  {"0", false, 0, 0},       {"1..2..3", false, 0, 0},
                 {"1.2", false, 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t from = 0;
        uint64_t to = 0;
        bool ok = cmd_diff_read_range(cases[i].text, &from, &to);
        ck_assert_msg(ok == cases[i].ok, "%s", cases[i].text);
        if (ok) {
            ck_assert_uint_eq(from, cases[i].from);
            ck_assert_uint_eq(to, cases[i].to);
        }
    }
}
END_TEST

#define SAME  FAKE_JSON("{\"changes\":[],\"changes_total\":0}")
#define OTHER FAKE_JSON("{\"changes\":[{\"pointer\":\"/a\",\"after\":1}],\"changes_total\":1}")

static const struct {
    const char *line[3];
    struct fake_turn turns[2];
    size_t turn_count;
    enum ctl_exit code;
    const char *out;
} cases[] = {
    {{"diff", "--rev", "41"}, {{"GET /v1/revisions/41/diff", SAME}}, 1, CTL_OK, ""},
    {{"diff", "--rev", "41..42"},
     {{"GET /v1/revisions/41/diff?to=42", OTHER}},
     1,
     CTL_NO,
     "+ /a: 1\n"},
    {{"diff", "-f", "conf/lbd.json"}, {{"POST /v1/config/diff", OTHER}}, 1, CTL_NO, "+ /a: 1\n"},
    {{"diff", "--seed"},
     {{"GET /v1/config/status", FAKE_JSON("{\"file\":\"conf/lbd.json\"}")},
      {"POST /v1/config/diff", SAME}},
     2,
     CTL_OK,
     ""},
    {{"diff", "--seed"}, {{"GET /v1/config/status", FAKE_JSON("{}")}}, 1, CTL_NOT_FOUND, ""},
    {{"diff", "--rev", "41"},
     {{"GET /v1/revisions/41/diff", FAKE_PROBLEM("404 No", "{\"title\":\"no\"}")}},
     1,
     CTL_NOT_FOUND,
     ""},
    {{"diff", "--rev", "x"}, {{NULL, NULL}}, 0, CTL_USAGE, ""},
    {{"diff", "--rev=1", "--seed"}, {{NULL, NULL}}, 0, CTL_USAGE, ""},
    {{"diff"}, {{NULL, NULL}}, 0, CTL_USAGE, ""},
};

START_TEST(the_exit_code_says_whether_they_differ)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_run run = fake_lbctl(cases[i].turns, cases[i].turn_count, cases[i].line[0],
                                         cases[i].line[1], cases[i].line[2], NULL);
        ck_assert_msg(run.code == (int)cases[i].code, "case %zu: %d %s", i, run.code, run.err);
        ck_assert_str_eq(run.out, cases[i].out);
        fake_run_fini(&run);
    }
}
END_TEST

UNIT_TESTS("cmd_diff", ranges_are_read, the_exit_code_says_whether_they_differ)
