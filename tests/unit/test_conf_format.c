#include "conf/conf_format.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    enum conf_format format;
    struct slice text;
    bool good;
} cases[] = {
    {CONF_FORMAT_NAME, SLICE_INIT("a"), true},
    {CONF_FORMAT_NAME, SLICE_INIT("a.b_c-9"), true},
    {CONF_FORMAT_NAME,
     SLICE_INIT("123456789012345678901234567890123456789012345678901234567890123"), true},
    {CONF_FORMAT_NAME,
     SLICE_INIT("1234567890123456789012345678901234567890123456789012345678901234"), false},
    {CONF_FORMAT_NAME, SLICE_INIT("A"), false},
    {CONF_FORMAT_NAME, SLICE_INIT("-a"), false},
    {CONF_FORMAT_NAME, SLICE_INIT("a."), false},
    {CONF_FORMAT_NAME, SLICE_INIT("a/b"), false},
    {CONF_FORMAT_NAME, SLICE_INIT(""), false},
    {CONF_FORMAT_NAME, SLICE_INIT("a\0b"), false},

    {CONF_FORMAT_BIND, SLICE_INIT("0.0.0.0:80"), true},
    {CONF_FORMAT_BIND, SLICE_INIT("127.0.0.1:0"), true},
    {CONF_FORMAT_BIND, SLICE_INIT("[::]:443"), true},
    {CONF_FORMAT_BIND, SLICE_INIT("unix:/run/x.sock"), true},
    {CONF_FORMAT_BIND, SLICE_INIT("unix:run/x.sock"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("localhost:80"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("*:80"), false},
    {CONF_FORMAT_BIND, SLICE_INIT(":80"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("80"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("1.2.3.4"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("1.2.3.4:65536"), false},
    {CONF_FORMAT_BIND, SLICE_INIT("::1:80"), false},

    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("10.0.0.1:80"), true},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("[2001:db8::1]:80"), true},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("app_1.example.com:8080"), true},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("unix:/run/app"), true},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("10.0.0.1:0"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("10.0.0.300:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("10.0.1:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("a..b:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("-a.b:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("http://a:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("a b:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("a\r\n:80"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("a"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("unix:"), false},
    {CONF_FORMAT_SERVER_ADDRESS, SLICE_INIT("unix:/a\nb"), false},

    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("www.Example.com"), true},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("*.example.com"), true},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("10.0.0.1"), true},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("[::1]"), true},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("localhost"), true},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("*"), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("*."), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("a.*.com"), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("*a.com"), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("*.10.0.0.1"), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("www.example.com:80"), false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("www.example.com/"), false},
    {CONF_FORMAT_HOST_PATTERN,
     SLICE_INIT("b\xc3\xbc"
                "cher.de"),
     false},
    {CONF_FORMAT_HOST_PATTERN, SLICE_INIT("[]"), false},

    {CONF_FORMAT_HOST, SLICE_INIT("www.example.com:8080"), true},
    {CONF_FORMAT_HOST, SLICE_INIT("www.example.com"), true},
    {CONF_FORMAT_HOST, SLICE_INIT("[::1]:80"), true},
    {CONF_FORMAT_HOST, SLICE_INIT("*.example.com"), false},
    {CONF_FORMAT_HOST, SLICE_INIT("a\r\nX: y"), false},

    {CONF_FORMAT_PATH, SLICE_INIT("/"), true},
    {CONF_FORMAT_PATH, SLICE_INIT("/a/b%20c/;v=1/~x"), true},
    {CONF_FORMAT_PATH, SLICE_INIT("/a/...b/.well-known"), true},
    {CONF_FORMAT_PATH, SLICE_INIT("a"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/a?b"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/a#b"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/a b"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/a/../b"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/."), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%41"), false}, /* would be "A" in a request */
    {CONF_FORMAT_PATH, SLICE_INIT("/%2f"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%2F"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%00"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%e9"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%E9"), true},
    {CONF_FORMAT_PATH, SLICE_INIT("/%E"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/%"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/\xc3\xa9"), false},
    {CONF_FORMAT_PATH, SLICE_INIT("/a\\b"), false},

    {CONF_FORMAT_CHECK_TARGET, SLICE_INIT("/health?x=1&y=.."), true},
    {CONF_FORMAT_CHECK_TARGET, SLICE_INIT("/health?x#y"), false},
    {CONF_FORMAT_CHECK_TARGET, SLICE_INIT("/ HTTP/1.1"), false},

    {CONF_FORMAT_METHOD, SLICE_INIT("GET"), true},
    {CONF_FORMAT_METHOD, SLICE_INIT("OPTIONS"), true},
    {CONF_FORMAT_METHOD, SLICE_INIT("get"), false},
    {CONF_FORMAT_METHOD, SLICE_INIT("CONNECT"), false},
    {CONF_FORMAT_METHOD, SLICE_INIT("GET "), false},

    {CONF_FORMAT_ENCODING, SLICE_INIT("zstd"), true},
    {CONF_FORMAT_ENCODING, SLICE_INIT("br"), true},
    {CONF_FORMAT_ENCODING, SLICE_INIT("gzip"), true},
    {CONF_FORMAT_ENCODING, SLICE_INIT("GZIP"), false},
    {CONF_FORMAT_ENCODING, SLICE_INIT("deflate"), false},
    {CONF_FORMAT_ENCODING, SLICE_INIT(""), false},

    {CONF_FORMAT_ANY_METHOD, SLICE_INIT("M-SEARCH"), true},
    {CONF_FORMAT_ANY_METHOD, SLICE_INIT("TRACE"), true},
    {CONF_FORMAT_ANY_METHOD, SLICE_INIT("get"), false},
    {CONF_FORMAT_ANY_METHOD, SLICE_INIT("A B"), false},

    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/users/{id}/a%20b/{rest*}"), true},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/{id}"), true},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/users"), false},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/a/../{id}"), false},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/%41/{id}"), false},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/a?/{id}"), false},
    {CONF_FORMAT_PATH_TEMPLATE, SLICE_INIT("/{a}/{a}"), false},

    {CONF_FORMAT_HEADER_NAME, SLICE_INIT("X-Canary"), true},
    {CONF_FORMAT_HEADER_NAME, SLICE_INIT("Host"), false},
    {CONF_FORMAT_MATCH_NAME, SLICE_INIT("filter[a]"), true},
    {CONF_FORMAT_MATCH_NAME, SLICE_INIT("a\nb"), false},

    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("text/plain; charset=utf-8"), true},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("a\r\nb"), false},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("a\nb"), false},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("a\rb"), false},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("a\0b"), false},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT("\xc3\xa9"), false},
    {CONF_FORMAT_HEADER_VALUE, SLICE_INIT(" a"), false},

    {CONF_FORMAT_LOCATION, SLICE_INIT("https://www.example.com{path}"), true},
    {CONF_FORMAT_URL, SLICE_INIT("https://auth.example.com:8443/mail?a=b"), true},
    {CONF_FORMAT_URL, SLICE_INIT("http://[::1]"), true},
    {CONF_FORMAT_URL, SLICE_INIT("ftp://a/"), false},
    {CONF_FORMAT_URL, SLICE_INIT("http:///x"), false},
    {CONF_FORMAT_URL, SLICE_INIT("https://127.0.0.1/x#frag"), false},
    {CONF_FORMAT_URL, SLICE_INIT("http://u:p@127.0.0.1/"), false},
    {CONF_FORMAT_URL, SLICE_INIT("http://127.0.0.1:99999/"), false},
    {CONF_FORMAT_LOCATION, SLICE_INIT("{path}"), true},
    {CONF_FORMAT_LOCATION, SLICE_INIT("/new?from={path}"), true},
    {CONF_FORMAT_LOCATION, SLICE_INIT("https://a/{host}"), false},
    {CONF_FORMAT_LOCATION, SLICE_INIT("javascript:alert(1)"), false},
    {CONF_FORMAT_LOCATION, SLICE_INIT("/a\r\nSet-Cookie: x"), false},
    {CONF_FORMAT_LOCATION, SLICE_INIT("/a b"), false},
    {CONF_FORMAT_LOCATION, SLICE_INIT("/\xc3\xa9"), false},

    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("DNS:*.ops.example.com"), true},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("URI:spiffe://example.com/ops/*"), true},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("email:a@example.com"), true},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("CN:Alice Example"), true},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("CN:"), false},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("*"), false},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("dns:a"), false},
    {CONF_FORMAT_CERTIFICATE_NAME, SLICE_INIT("DNS:a\nb"), false},
    {CONF_FORMAT_IP_PORT_OR_UNIX, SLICE_INIT("unix:build/api.sock"), true},
    {CONF_FORMAT_IP_PORT_OR_UNIX,
     SLICE_INIT(
         "unix:/345678901234567890123456789012345678901234567890123456789012345678901234567890"
         "12345678901234567890123456789"),
     false},
    {CONF_FORMAT_IP_PORT, SLICE_INIT("127.0.0.53:53"), true},
    {CONF_FORMAT_IP_PORT, SLICE_INIT("127.0.0.53:0"), false},
    {CONF_FORMAT_IP_PORT, SLICE_INIT("unix:/a"), false},
    {CONF_FORMAT_IP_PORT_OR_UNIX, SLICE_INIT("127.0.0.1:0"), true},
    {CONF_FORMAT_IP_PORT_OR_UNIX, SLICE_INIT("unix:a"), true},
    {CONF_FORMAT_IP_PORT_OR_UNIX, SLICE_INIT("localhost:1"), false},
    {CONF_FORMAT_FILE, SLICE_INIT("/var/log/x"), true},
    {CONF_FORMAT_FILE, SLICE_INIT("a\nb"), false},
    {CONF_FORMAT_TEXT, SLICE_INIT("a\n\tb \xc3\xa9"), true},
    {CONF_FORMAT_TEXT, SLICE_INIT("a\x1b[1m"), false},
    {CONF_FORMAT_BODY, SLICE_INIT("\x01"), true},
};

START_TEST(judges_strings)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *problem = conf_format_problem(cases[i].format, cases[i].text);
        ck_assert_msg((problem == NULL) == cases[i].good, "%zu %.*s: %s", i,
                      SLICE_ARG(cases[i].text), problem != NULL ? problem : "accepted");
        ck_assert(problem == NULL || strncmp(problem, "must ", 5) == 0);
    }
}
END_TEST

START_TEST(judges_header_names)
{
    ck_assert_ptr_null(conf_format_header_name_problem(SLICE("X-Check_1")));
    static const char *const bad[] = {"",         "a b",  "a:",         "a\r\n",
                                      "Host",     "HOST", "Connection", "TE",
                                      "\xc3\xa9", "a\n",  "upgrade",    "Content-Length"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_msg(conf_format_header_name_problem(slice_from(bad[i])) != NULL, "%s", bad[i]);
    }
}
END_TEST

UNIT_TESTS("conf_format", judges_strings, judges_header_names)
