#include "api/api_credentials.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *header;
    const char *token; /* NULL: none */
} bearers[] = {
    {"Bearer lbd_abc", "lbd_abc"},
    {"bearer lbd_abc", "lbd_abc"},
    {"  BEARER   a.b-c_~+/==  ", "a.b-c_~+/=="},
    {"Bearer", NULL},
    {"Bearer ", NULL},
    {"Bearer ==", NULL},
    {"Bearer a b", NULL},
    {"Bearer a,b", NULL},
    {"Bearer a=b", NULL},
    {"Bearer\tabc", NULL},
    {"Bearerabc", NULL},
    {"Basic dXNlcjpwYXNz", NULL},
    {"", NULL},
    {"Bearer \x80", NULL},
};

START_TEST(reads_bearer_tokens)
{
    for (size_t i = 0; i < ARRAY_LEN(bearers); i++) {
        struct slice token = SLICE_NONE;
        bool ok = api_credentials_bearer(slice_from(bearers[i].header), &token);
        ck_assert_msg(ok == (bearers[i].token != NULL), "%s", bearers[i].header);
        ck_assert_msg(!ok || slice_eq(token, slice_from(bearers[i].token)), "%s",
                      bearers[i].header);
    }
}
END_TEST

static const struct {
    const char *header;
    const char *name; /* NULL: it is no host */
    bool is_ip;
    bool is_allowed; /* with the patterns below */
} hosts[] = {
    {"127.0.0.1", "127.0.0.1", true, true},
    {"127.0.0.1:9443", "127.0.0.1", true, true},
    {"[::1]:9443", "::1", true, true},
    {"[::1]", "::1", true, true},
    {"localhost", "localhost", false, true},
    {"LocalHost:80", "LocalHost", false, true},
    {"lb1.example.com", "lb1.example.com", false, true},
    {"LB1.example.com.:443", "LB1.example.com.", false, true},
    {"a.b.example.org", "a.b.example.org", false, true},
    {"example.org", "example.org", false, false},
    {"xexample.org", "xexample.org", false, false},
    {".example.org", ".example.org", false, false},
    {"evil.example.com", "evil.example.com", false, false},
    {"127.0.0.1.evil.com", "127.0.0.1.evil.com", false, false},
    {"lb1.example.com.evil.com", "lb1.example.com.evil.com", false, false},
    {"a:", "a", false, false},
    {"", NULL, false, false},
    {":80", NULL, false, false},
    {"a:b", NULL, false, false},
    {"a:80:80", NULL, false, false},
    {"a:99999", NULL, false, false},
    {"a:000080", NULL, false, false},
    {"[::1", NULL, false, false},
    {"[127.0.0.1]", NULL, false, false},
    {"[::1]x", NULL, false, false},
    {"[]", NULL, false, false},
    {"a b", NULL, false, false},
    {"a/b", NULL, false, false},
    {"user@a", NULL, false, false},
    {"a,b", NULL, false, false},
    {"a\r\nb", NULL, false, false},
};

START_TEST(reads_hosts)
{
    static const struct slice patterns[] = {SLICE_INIT("lb1.example.com"),
                                            SLICE_INIT("*.example.org")};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        const char *header = hosts[i].header;
        struct slice name = SLICE_NONE;
        bool is_ip = false;
        bool ok = api_credentials_host(slice_from(header), &name, &is_ip);
        ck_assert_msg(ok == (hosts[i].name != NULL), "%s", header);
        ck_assert_msg(!ok || slice_eq(name, slice_from(hosts[i].name)), "%s", header);
        ck_assert_msg(!ok || is_ip == hosts[i].is_ip, "%s", header);
        bool is_allowed = api_credentials_host_is_allowed(slice_from(header), patterns, 2);
        /* ".example.org" has an empty first label: the pattern wants something before the dot */
        ck_assert_msg(is_allowed == hosts[i].is_allowed, "%s", header);
    }
}
END_TEST

static const struct {
    const char *name;
    const char *pattern;
    bool matches;
} patterns[] = {
    {"CN:alice", "CN:alice", true},
    {"CN:Alice", "cn:aLICE", true},
    {"CN:alice", "CN:alic", false},
    {"CN:alice", "CN:alice2", false},
    {"DNS:a.ops.example.com", "DNS:*.ops.example.com", true},
    {"DNS:ops.example.com", "DNS:*.ops.example.com", false},
    {"DNS:a.ops.example.com.evil", "DNS:*.ops.example.com", false},
    {"URI:spiffe://x/ops/a", "URI:spiffe://x/ops/*", true},
    {"URI:spiffe://x/ops/", "URI:spiffe://x/ops/*", true},
    {"URI:spiffe://x/op", "URI:spiffe://x/ops/*", false},
    {"DNS:aXbXc", "DNS:a*b*c", true},
    {"DNS:aXbX", "DNS:a*b*c", false},
    {"DNS:", "DNS:**", true},
    {"CN:x", "DNS:*", false},
    {"", "*", true},
    {"", "", true},
};

START_TEST(stars_stand_for_any_characters)
{
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        ck_assert_msg(api_credentials_matches(slice_from(patterns[i].name),
                                              slice_from(patterns[i].pattern)) ==
                          patterns[i].matches,
                      "%s %s", patterns[i].name, patterns[i].pattern);
    }
    /* many stars and no match: as long as name times pattern, not longer */
    char name[1001];
    char pattern[201];
    memset(name, 'a', 1000);
    name[1000] = '\0';
    for (size_t i = 0; i < 200; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    pattern[199] = 'b';
    pattern[200] = '\0';
    ck_assert(!api_credentials_matches(slice_from(name), slice_from(pattern)));
}
END_TEST

UNIT_TESTS("api_credentials", reads_bearer_tokens, reads_hosts, stars_stand_for_any_characters)
