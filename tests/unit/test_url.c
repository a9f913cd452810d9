#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/url.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    enum url_verdict verdict;
    bool is_https;
    const char *authority;
    const char *host;
    uint16_t port;
    const char *target;
} cases[] = {
    {"http://a", URL_OK, false, "a", "a", 80, ""},
    {"HTTPS://a.example:8443/x?y=z", URL_OK, true, "a.example:8443", "a.example", 8443, "/x?y=z"},
    {"https://[::1]/", URL_OK, true, "[::1]", "::1", 443, "/"},
    {"http://a?b", URL_OK, false, "a", "a", 80, "?b"},
    {"http://a/%zz;x=@:y", URL_OK, false, "a", "a", 80, "/%zz;x=@:y"},
    {"ftp://a/", URL_BAD_SCHEME, false, "", "", 0, ""},
    {"http:/a", URL_BAD_SCHEME, false, "", "", 0, ""},
    {"", URL_BAD_SCHEME, false, "", "", 0, ""},
    {"http://", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http:///x", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http://u:p@127.0.0.1/", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http://127.0.0.1:99999/", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http://a:/", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http://[::1/", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"http://a b/", URL_BAD_AUTHORITY, false, "", "", 0, ""},
    {"https://a/x#frag", URL_BAD_TARGET, false, "", "", 0, ""},
    {"https://a#frag", URL_BAD_TARGET, false, "", "", 0, ""},
    {"http://a/\r\nX: y", URL_BAD_TARGET, false, "", "", 0, ""},
    {"http://a/\xc3\xa9", URL_BAD_TARGET, false, "", "", 0, ""},
};

static bool same(struct slice got, const char *want)
{
    return slice_eq(got, slice_from(want));
}

START_TEST(takes_a_url_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url url;
        enum url_verdict verdict = url_parse(slice_from(cases[i].text), &url);
        ck_assert_msg(verdict == cases[i].verdict, "%s: %d", cases[i].text, (int)verdict);
        ck_assert_msg(verdict != URL_OK ||
                          (url.is_https == cases[i].is_https && url.port == cases[i].port &&
                           same(url.authority, cases[i].authority) &&
                           same(url.host, cases[i].host) && same(url.target, cases[i].target)),
                      "%s: %.*s %.*s %u %.*s", cases[i].text, SLICE_ARG(url.authority),
                      SLICE_ARG(url.host), url.port, SLICE_ARG(url.target));
    }
}
END_TEST

START_TEST(bounds_the_length)
{
    char text[URL_MAX + 1];
    struct url url;
    memset(text, 'x', sizeof(text));
    memcpy(text, "http://a/", 9);
    ck_assert_int_eq(url_parse(slice_of(text, URL_MAX), &url), URL_OK);
    ck_assert_int_eq(url_parse(slice_of(text, URL_MAX + 1), &url), URL_TOO_LONG);
}
END_TEST

UNIT_TESTS("url", takes_a_url_apart, bounds_the_length)
