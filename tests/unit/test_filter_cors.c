#include "lbd/base/compiler.h"
#include "lbd/filter/filter_cors.h"
#include "tests/unit/unit.h"

START_TEST(origins_match_in_full_or_below_a_domain)
{
    static const struct {
        const char *pattern;
        const char *origin;
        bool want;
    } cases[] = {
        {"https://a.test", "https://a.test", true},
        {"https://a.test", "https://a.test:8443", false},
        {"https://a.test", "http://a.test", false},
        {"https://a.test", "https://a.test.evil", false},
        {"https://a.test", "", false},
        {"null", "null", true},
        {"https://*.a.test", "https://b.a.test", true},
        {"https://*.a.test", "https://c.b.a.test", true},
        {"https://*.a.test", "https://b-1.a.test", true},
        {"https://*.a.test", "https://a.test", false},
        {"https://*.a.test", "https://.a.test", false},
        {"https://*.a.test", "https://b..a.test", false},
        {"https://*.a.test", "https://evila.test", false},
        {"https://*.a.test", "http://b.a.test", false},
        {"https://*.a.test", "https://b.a.test:1", false},
        {"https://*.a.test", "https://evil.test/.a.test", false},
        {"https://*.a.test", "https://evil.test@.a.test", false},
        {"https://*.a.test", "https://evil.test#.a.test", false},
        {"https://*.a.test", "https://evil.test:1.a.test", false},
        {"https://*.a.test:8443", "https://b.a.test:8443", true},
        {"https://*.a.test:8443", "https://b.a.test", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool got = filter_cors_matches(slice_from(cases[i].pattern), slice_from(cases[i].origin));
        ck_assert_msg(got == cases[i].want, "%s for %s: got %d", cases[i].pattern, cases[i].origin,
                      got);
    }
}
END_TEST

UNIT_TESTS("filter_cors", origins_match_in_full_or_below_a_domain)
