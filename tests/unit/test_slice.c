#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "tests/unit/unit.h"

START_TEST(compares_bytes_and_letters)
{
    static const struct {
        struct slice a;
        struct slice b;
        bool eq;
        bool eq_nocase;
        int order;
    } cases[] = {
        {SLICE_INIT(""), {NULL, 0}, true, true, 0},
        {SLICE_INIT("Host"), SLICE_INIT("Host"), true, true, 0},
        {SLICE_INIT("Host"), SLICE_INIT("hOST"), false, true, -1},
        {SLICE_INIT("ab"), SLICE_INIT("abc"), false, false, -1},
        {SLICE_INIT("b"), SLICE_INIT("abc"), false, false, 1},
        {SLICE_INIT("\xe4"), SLICE_INIT("\xc4"), false, false, 1}, /* only ASCII has case here */
        {SLICE_INIT("@["), SLICE_INIT("`{"), false, false, -1},    /* neighbours of the letters */
        {SLICE_INIT("a\0b"), SLICE_INIT("a\0c"), false, false, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(slice_eq(cases[i].a, cases[i].b) == cases[i].eq, "eq of case %zu", i);
        ck_assert_msg(slice_eq_nocase(cases[i].a, cases[i].b) == cases[i].eq_nocase,
                      "eq_nocase of case %zu", i);
        int order = slice_compare(cases[i].a, cases[i].b);
        int back = slice_compare(cases[i].b, cases[i].a);
        ck_assert_msg((order > 0) - (order < 0) == cases[i].order, "order of case %zu", i);
        ck_assert_msg((back > 0) - (back < 0) == -cases[i].order, "reverse of case %zu", i);
    }
}
END_TEST

START_TEST(finds_starts_and_ends)
{
    struct slice s = SLICE("alpha.beta");
    ck_assert_uint_eq(slice_find(s, '.'), 5);
    ck_assert_uint_eq(slice_find(s, 'x'), SIZE_MAX);
    ck_assert_uint_eq(slice_find(SLICE_NONE, 'x'), SIZE_MAX);
    ck_assert(slice_starts(s, SLICE("alpha")));
    ck_assert(slice_starts(s, SLICE_NONE));
    ck_assert(!slice_starts(s, SLICE("alpha.beta.")));
    ck_assert(slice_ends(s, SLICE("beta")));
    ck_assert(!slice_ends(s, SLICE("alpha")));
    ck_assert(slice_eq(slice_from_at(s, 6), SLICE("beta")));
    ck_assert_uint_eq(slice_from_at(s, 11).len, 0);
    ck_assert_uint_eq(slice_from(NULL).len, 0);
}
END_TEST

START_TEST(trims_both_ends)
{
    static const struct {
        struct slice from;
        struct slice want;
    } cases[] = {
        {SLICE_INIT(" \t a b\t "), SLICE_INIT("a b")},
        {SLICE_INIT("a"), SLICE_INIT("a")},
        {SLICE_INIT("  \t"), SLICE_INIT("")},
        {SLICE_INIT(""), SLICE_INIT("")},
        {{NULL, 0}, SLICE_INIT("")},
        {SLICE_INIT(" \n "), SLICE_INIT("\n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(slice_eq(slice_trim(cases[i].from), cases[i].want), "case %zu", i);
    }
}
END_TEST

START_TEST(splits_at_every_separator)
{
    static const struct {
        struct slice text;
        const char *parts[4];
        size_t count;
    } cases[] = {
        {SLICE_INIT("a,b,c"), {"a", "b", "c"}, 3},
        {SLICE_INIT("abc"), {"abc"}, 1},
        {SLICE_INIT(",a,"), {"", "a", ""}, 3},
        {SLICE_INIT(""), {""}, 1},
        {{NULL, 0}, {NULL}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = cases[i].text;
        struct slice part;
        size_t count = 0;
        while (slice_split(&rest, ',', &part)) {
            ck_assert_uint_lt(count, cases[i].count);
            ck_assert_msg(slice_eq(part, slice_from(cases[i].parts[count])), "case %zu part %zu", i,
                          count);
            count++;
        }
        ck_assert_msg(count == cases[i].count, "case %zu has %zu parts", i, count);
    }
}
END_TEST

UNIT_TESTS("slice", compares_bytes_and_letters, finds_starts_and_ends, trims_both_ends,
           splits_at_every_separator)
