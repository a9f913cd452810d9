#include "ctl/shell_word.h"
#include "tests/unit/unit.h"

static const struct {
    const char *word;
    const char *want;
} cases[] = {
    {"web/anna", "web/anna"}, {"a b", "'a b'"},     {"", "''"},
    {"it's", "'it'\\''s'"},   {"$(rm)", "'$(rm)'"}, {"[\"x\"]", "'[\"x\"]'"},
};

START_TEST(a_shell_reads_the_same_word)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 256);
        shell_word_append(&out, slice_from(cases[i].word));
        ck_assert_str_eq(out.data, cases[i].want);
        buf_fini(&out);
    }
}
END_TEST

UNIT_TESTS("shell_word", a_shell_reads_the_same_word)
