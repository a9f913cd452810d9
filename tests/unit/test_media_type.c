#include "lbd/base/compiler.h"
#include "lbd/http/media_type.h"
#include "tests/unit/unit.h"

START_TEST(the_end_of_its_name_says_what_it_is)
{
    static const struct {
        const char *path;
        const char *type;
    } cases[] = {
        {"/var/www/index.html", "text/html; charset=utf-8"},
        {"/A.HTM", "text/html; charset=utf-8"},
        {"openapi.json", "application/json"},
        {"/x.min.js", "text/javascript; charset=utf-8"},
        {"/x.svg", "image/svg+xml"},
        {"/robots.txt", "text/plain; charset=utf-8"},
        {"/x.unknown", "text/plain; charset=utf-8"},
        {"/json", "text/plain; charset=utf-8"},
        {".html", "text/plain; charset=utf-8"}, /* a name, not an end */
        {"", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice got = media_type_of_path(slice_from(cases[i].path));
        ck_assert_msg(slice_eq(got, slice_from(cases[i].type)), "%s: %.*s", cases[i].path,
                      SLICE_ARG(got));
    }
}
END_TEST

UNIT_TESTS("media_type", the_end_of_its_name_says_what_it_is)
