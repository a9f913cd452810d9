#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/http/cookie.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *want; /* "name>value|" of each */
} cases[] = {
    {"a=1", "a>1|"},
    {"a=1; b=2", "a>1|b>2|"},
    {"a=1;b=2 ; c = 3", "a>1|b>2|c>3|"}, /* servers trim, too */
    {"\ta\t=\t1\t;b = \"2\" ", "a>1|b>2|"},
    {"a=\"1 2\"; b=\"", "a>1 2|b>\"|"},
    {"a=b=c", "a>b=c|"},
    {"a=; =1; b", "a>|>1|"}, /* nothing without '=' */
    {"a=1; a=2; A=3", "a>1|a>2|A>3|"},
    {"", ""},
    {";;; ;", ""},
    {"a=1, b=2", "a>1, b=2|"}, /* a comma separates no cookies */
};

START_TEST(each_is_found_in_turn)
{
    struct buf got;
    buf_init(&got, 256);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = slice_from(cases[i].text);
        struct cookie cookie;
        buf_clear(&got);
        while (cookie_next(&rest, &cookie)) {
            (void)buf_printf(&got, "%.*s>%.*s|", SLICE_ARG(cookie.name), SLICE_ARG(cookie.value));
        }
        ck_assert_msg(slice_eq(buf_slice(&got), slice_from(cases[i].want)), "%s: %.*s",
                      cases[i].text, SLICE_ARG(buf_slice(&got)));
    }
    buf_fini(&got);
}
END_TEST

UNIT_TESTS("cookie", each_is_found_in_turn)
