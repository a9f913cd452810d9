#include "lbd/base/compiler.h"
#include "lbd/mail/sieve_guard.h"
#include "tests/unit/unit.h"

static bool passes(struct slice bytes, size_t cut)
{
    struct sieve_guard guard = {.matched = 0};
    size_t at = cut < bytes.len ? cut : bytes.len;
    return sieve_guard_client(&guard, slice_of(bytes.ptr, at)) &&
           sieve_guard_client(&guard, slice_from_at(bytes, at));
}

static const struct {
    const char *said;
    bool passes;
} cases[] = {
    {"LISTSCRIPTS\r\nNOOP \"UNAUTHENTICATE\"\r\nUNAUTH\r\nENTICATE\r\n", true},
    {"UNAUTHENTICATE\r\n", false},
    {"NOOP\r\n unAuthenticate\r\n", false},
    {"NOOP\nUNAUTHENTICATE", false},
    {"NOOP\rUNAUTHENTICATE ", false},
    {"UNAUTHENTICATE{5+}\r\n", false},
    {"PUTSCRIPT \"x\" {30+}\r\n# UNAUTHENTICATE is a word here\r\n", true},
    {"FOO {16+}\r\nUNAUTHENTICATE\r\n", false}, /* a command to some */
};

START_TEST(no_line_begins_with_it)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut < 60; cut++) {
            ck_assert_msg(passes(slice_from(cases[i].said), cut) == cases[i].passes,
                          "case %zu, cut at %zu", i, cut);
        }
    }
}
END_TEST

UNIT_TESTS("sieve_guard", no_line_begins_with_it)
