#include <stdio.h>
#include <string.h>

#include "lbd/base/pattern.h"
#include "tests/unit/unit.h"

static struct arena arena;
static struct pattern_work work;

static void setup(void)
{
    arena_init(&arena, NULL, 0);
    pattern_work_init(&work);
}

static void teardown(void)
{
    pattern_work_fini(&work);
    arena_fini(&arena);
}

static const struct pattern *compiled(const char *text, bool ignore_case)
{
    struct err err = {.text = ""};
    const struct pattern *pattern = pattern_compile(&arena, slice_from(text), ignore_case, &err);
    ck_assert_msg(pattern != NULL, "%s: %s", text, err.text);
    return pattern;
}

static const struct {
    const char *pattern;
    const char *subject;
    bool ignore_case;
    bool matches;
} cases[] = {
    {"v[0-9]+", "v12", false, true},
    {"v[0-9]+", "v12/x", false, false}, /* the whole subject */
    {"v[0-9]+", "/v12", false, false},
    {"a|ab", "ab", false, true}, /* ... whichever alternative it takes */
    {"/(en|de)/.*", "/de/a/b", false, true},
    {"shop", "SHOP", false, false},
    {"shop", "SHOP", true, true},
    {"a.b", "a\nb", false, true},
    {"a$", "a\n", false, false}, /* a line feed at the end counts */
    {"(?=a).*", "ab", false, true},
    {"(a)\\1", "aa", false, true},
    {".*", "", false, true},
    {"\xC3.", "\xC3\xA9", false, true}, /* bytes */
};

START_TEST(whole_subjects_match)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct pattern *pattern = compiled(cases[i].pattern, cases[i].ignore_case);
        ck_assert_msg(pattern_match(pattern, &work, slice_from(cases[i].subject)) ==
                          cases[i].matches,
                      "%s of '%s'", cases[i].pattern, cases[i].subject);
    }
    ck_assert(pattern_match(compiled(".*", false), &work, SLICE_NONE));
    ck_assert_uint_eq(work.limited, 0);
}
END_TEST

START_TEST(groups_have_values)
{
    struct slice groups[PATTERN_GROUPS_MAX + 1];
    const struct pattern *pattern = compiled("/([a-z]+)(/x)?/([0-9]+)", false);
    ck_assert_uint_eq(pattern_count_groups(SLICE("/([a-z]+)(/x)?/([0-9]+)")), 3);
    ck_assert_uint_eq(pattern_count_groups(SLICE("(")), 0);
    ck_assert(pattern_groups(pattern, &work, SLICE("/ab/12"), groups));
    ck_assert(slice_eq(groups[0], SLICE("/ab/12")));
    ck_assert(slice_eq(groups[1], SLICE("ab")));
    ck_assert_uint_eq(groups[2].len, 0); /* took no part */
    ck_assert(slice_eq(groups[3], SLICE("12")));
    ck_assert_uint_eq(groups[4].len, 0);
    ck_assert(!pattern_groups(pattern, &work, SLICE("/ab"), groups));
    ck_assert_uint_eq(groups[1].len, 0);
}
END_TEST

/* Each would take longer than the universe has been there. */
START_TEST(work_is_bounded)
{
    static const char *const evil[] = {"(a+)+[bc]", "(a|a)*[bc]", "(a*)*(a*)*(a*)*[bc]",
                                       "((a?){30}){30}[bc]", "(?:.*a){12}[bc]"};
    char subject[4000];
    memset(subject, 'a', sizeof subject);
    for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
        const struct pattern *pattern = compiled(evil[i], false);
        uint64_t before = work.limited;
        ck_assert(!pattern_match(pattern, &work, slice_of(subject, sizeof subject)));
        ck_assert_msg(work.limited == before + 1, "%s was not stopped", evil[i]);
    }
    /* a pattern cannot lift the limit of its own */
    const struct pattern *lifted = compiled("(*LIMIT_MATCH=4000000000)(a+)+[bc]", false);
    uint64_t before = work.limited;
    ck_assert(!pattern_match(lifted, &work, slice_of(subject, sizeof subject)));
    ck_assert_uint_eq(work.limited, before + 1);
    ck_assert(pattern_match(compiled("a+", false), &work, slice_of(subject, sizeof subject)));
}
END_TEST

START_TEST(subjects_are_bounded)
{
    char subject[PATTERN_SUBJECT_MAX + 1];
    memset(subject, 'a', sizeof subject);
    const struct pattern *pattern = compiled("a*", false);
    ck_assert(pattern_match(pattern, &work, slice_of(subject, PATTERN_SUBJECT_MAX)));
    ck_assert_uint_eq(work.limited, 0);
    ck_assert(!pattern_match(pattern, &work, slice_of(subject, PATTERN_SUBJECT_MAX + 1)));
    ck_assert_uint_eq(work.limited, 1);
}
END_TEST

START_TEST(what_is_none_is_refused)
{
    static const struct {
        const char *text;
        const char *says;
    } bad[] = {
        {"", "1 to 1024 bytes"},
        {"(", "at byte 1: missing closing parenthesis"},
        {"ab)", "at byte 2: unmatched closing parenthesis"},
        {"[a", "missing terminating ]"},
        {"(*UTF)a", "UTF"},
        {"\\C", "\\C"},
        {"(1)(2)(3)(4)(5)(6)(7)(8)(9)(10)", "more than 9 groups"},
        {"(?:(?:ab){1000}){60}", "too large"},
        {"(?:(?:abcdefghij){900})", "more than 16384"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {.text = ""};
        ck_assert_msg(!pattern_check(slice_from(bad[i].text), &err), "%s", bad[i].text);
        ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s: %s", bad[i].text, err.text);
        ck_assert_int_eq(err.kind, ERR_INVALID);
    }
    char deep[200];
    memset(deep, '(', 100);
    memset(deep + 100, ')', 100);
    ck_assert(!pattern_check(slice_of(deep, sizeof deep), NULL));
    char text[PATTERN_TEXT_MAX + 1];
    memset(text, 'a', sizeof text);
    ck_assert(pattern_check(slice_of(text, PATTERN_TEXT_MAX), NULL));
    ck_assert(!pattern_check(slice_of(text, PATTERN_TEXT_MAX + 1), NULL));
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, whole_subjects_match);
    tcase_add_test(tcase, groups_have_values);
    tcase_add_test(tcase, work_is_bounded);
    tcase_add_test(tcase, subjects_are_bounded);
    tcase_add_test(tcase, what_is_none_is_refused);
}

UNIT_MAIN("pattern", add_all)
