#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/template.h"
#include "tests/unit/unit.h"

/* "lit|" and "<name>" one after the other; "!" when it is broken. */
static void take_apart(const char *text, char out[256])
{
    struct slice rest = slice_from(text);
    struct slice piece;
    enum template_step step;
    *out = '\0';
    while ((step = template_next(&rest, &piece)) != TEMPLATE_END) {
        if (step == TEMPLATE_BAD) {
            (void)strcat(out, "!");
            return;
        }
        ck_assert_uint_gt(piece.len, 0);
        (void)strcat(out, step == TEMPLATE_NAME ? "<" : "");
        (void)strncat(out, piece.ptr, piece.len);
        (void)strcat(out, step == TEMPLATE_NAME ? ">" : "|");
    }
}

START_TEST(texts_are_taken_apart)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", ""},
        {"plain", "plain|"},
        {"{a}", "<a>"},
        {"x{a}y{b}{c}", "x|<a>y|<b><c>"},
        {"{{a}", "{|a}|"},
        {"a{{", "a|{|"},
        {"{{{a}}", "{|<a>}|"},
        {"{", "!"},
        {"{}", "!"},
        {"x{a", "x|!"},
        {"{a{b}", "<a{b>"}, /* of which there is none */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[256];
        take_apart(cases[i].text, got);
        ck_assert_msg(strcmp(got, cases[i].want) == 0, "'%s': got %s, want %s", cases[i].text, got,
                      cases[i].want);
    }
}
END_TEST

UNIT_TESTS("template", texts_are_taken_apart)
