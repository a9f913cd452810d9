#include "conf/conf_suggest.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *a;
    const char *b;
    uint32_t distance;
} pairs[] = {
    {"", "", 0},
    {"a", "", 1},
    {"weight", "weight", 0},
    {"Weight", "weight", 0}, /* case does not count */
    {"wieght", "weight", 1}, /* swapped */
    {"adress", "address", 1},
    {"addresss", "address", 1},
    {"adrress", "address", 1},
    {"kitten", "sitting", 3},
    {"abcdef", "badcfe", 3},
    {"weight", "height", 1},
};

START_TEST(measures_distance)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct slice a = slice_from(pairs[i].a);
        struct slice b = slice_from(pairs[i].b);
        ck_assert_msg(conf_suggest_distance(a, b, 9) == pairs[i].distance, "%s %s: %u", pairs[i].a,
                      pairs[i].b, conf_suggest_distance(a, b, 9));
        ck_assert_uint_eq(conf_suggest_distance(b, a, 9), pairs[i].distance);
        ck_assert_uint_eq(conf_suggest_distance(a, b, pairs[i].distance), CONF_SUGGEST_LEN_MAX);
    }
}
END_TEST

static const struct {
    const char *word;
    const char *want; /* "" for none */
} words[] = {
    {"lisener", "listener"},
    {"route", "routes"},
    {"pols", "pools"},
    {"x", ""},
    {"zzzzzz", ""},
    {"poolss", "pools"},
    {"lo", "log"},
    {"listneers", "listeners"},
    {"p", ""},
};

START_TEST(suggests_the_nearest)
{
    static const char *const known[] = {"listeners", "listener", "routes", "pools", "log"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct conf_suggest suggest;
        conf_suggest_init(&suggest, slice_from(words[i].word));
        for (size_t j = 0; j < ARRAY_LEN(known); j++) {
            conf_suggest_offer(&suggest, slice_from(known[j]));
        }
        ck_assert_msg(slice_eq(suggest.best, slice_from(words[i].want)), "%s: %.*s", words[i].word,
                      SLICE_ARG(suggest.best));
    }
}
END_TEST

START_TEST(long_words_are_never_suggested)
{
    char word[CONF_SUGGEST_LEN_MAX + 2];
    memset(word, 'a', sizeof word);
    ck_assert_uint_eq(
        conf_suggest_distance(slice_of(word, sizeof word), slice_of(word, sizeof word), 3),
        CONF_SUGGEST_LEN_MAX);
    ck_assert_uint_eq(conf_suggest_distance(slice_of(word, 64), slice_of(word, 64), 3), 0);
}
END_TEST

UNIT_TESTS("conf_suggest", measures_distance, suggests_the_nearest, long_words_are_never_suggested)
