#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/http/query.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *want; /* "name>value|" of each */
} cases[] = {
    {"?a=1", "a>1|"},
    {"a=1&b=2", "a>1|b>2|"},
    {"?a&b=&=c", "a>|b>|>c|"},
    {"?a=1&?b=2", "a>1|?b>2|"}, /* only the first '?' is not of a name */
    {"??a=1", "?a>1|"},
    {"?a=b=c&&&d", "a>b=c|d>|"},
    {"?a=1;b=2", "a>1;b=2|"},
    {"?", ""},
    {"", ""},
};

START_TEST(each_is_found_in_turn)
{
    struct buf got;
    buf_init(&got, 256);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = query_begin(slice_from(cases[i].text));
        struct query_pair pair;
        buf_clear(&got);
        while (query_next(&rest, &pair)) {
            (void)buf_printf(&got, "%.*s>%.*s|", SLICE_ARG(pair.name), SLICE_ARG(pair.value));
        }
        ck_assert_msg(slice_eq(buf_slice(&got), slice_from(cases[i].want)), "%s: %.*s",
                      cases[i].text, SLICE_ARG(buf_slice(&got)));
    }
    buf_fini(&got);
}
END_TEST

static const struct {
    const char *sent;
    const char *text;
} decoded[] = {
    {"admin", "admin"},
    {"%61dmin", "admin"},
    {"%61%64%6D%69%6e", "admin"},
    {"a+b", "a b"},
    {"a%20b", "a b"},
    {"a%2Bb", "a+b"},
    {"%", "%"},
    {"%6", "%6"},
    {"%zz", "%zz"},
    {"%%61", "%a"},
    {"%2561", "%61"}, /* once */
    {"\xC3\xA9", "\xC3\xA9"},
    {"%C3%A9", "\xC3\xA9"},
    {"", ""},
};

START_TEST(comparing_decodes)
{
    for (size_t i = 0; i < ARRAY_LEN(decoded); i++) {
        struct slice sent = slice_from(decoded[i].sent);
        struct slice text = slice_from(decoded[i].text);
        char out[32];
        size_t len = query_decode(sent, out, sizeof out);
        ck_assert_msg(query_is(sent, text), "%s", decoded[i].sent);
        ck_assert_msg(query_starts(sent, text), "%s", decoded[i].sent);
        ck_assert_msg(slice_eq(slice_of(out, len), text), "%s", decoded[i].sent);
        ck_assert_msg(!query_is(sent, SLICE("other")), "%s", decoded[i].sent);
    }
    ck_assert(query_starts(SLICE("%61dmin"), SLICE("ad")));
    ck_assert(!query_is(SLICE("%61dmin"), SLICE("ad")));
    ck_assert(!query_starts(SLICE("ad"), SLICE("adm")));
    char small[2];
    ck_assert_uint_eq(query_decode(SLICE("%61bc"), small, sizeof small), SIZE_MAX);
    ck_assert_uint_eq(query_decode(SLICE("%61b"), small, sizeof small), 2);
}
END_TEST

UNIT_TESTS("query", each_is_found_in_turn, comparing_decodes)
