#include <stdlib.h>

#include "ctl/refusal.h"
#include "tests/unit/unit.h"

static const char file_text[] = "{\n"
                                "  // the shop\n"
                                "  \"pools\": {\n"
                                "    \"api\": { \"servers\": { \"a\": { \"adress\": \"x\" } } },\n"
                                "  },\n"
                                "}\n";

static const char problem[] =
    "{\"title\":\"The configuration is not valid\",\"status\":422,"
    "\"detail\":\"2 errors, 1 warning; nothing was changed\",\"errors\":["
    "{\"pointer\":\"#/pools/api/servers/a/adress\",\"code\":\"unknown-key\","
    "\"detail\":\"'adress' is not a known key\",\"suggestion\":\"address\",\"line\":1,\"column\":2},"
    "{\"pointer\":\"#/pools/api\",\"code\":\"range\",\"detail\":\"must be\\u001b[31m nice\"}],"
    "\"warnings\":[{\"pointer\":\"#/pools\",\"code\":\"x\",\"detail\":\"hm\"}]}";

static const struct {
    uint32_t status;
    bool is_json;
    const char *body;
    bool has_source;
    enum ctl_exit want;
    const char *text;
} cases[] = {
    /* places in the file as it was written, not in what was sent */
    {422, true, problem, true, CTL_INVALID,
     "lbctl: not applied: shop.json: The configuration is not valid: 2 errors, 1 warning; nothing "
     "was changed\n"
     "  shop.json:4:34: /pools/api/servers/a/adress: 'adress' is not a known key; did you mean "
     "'address'?\n"
     "  shop.json:4:12: /pools/api: must be?[31m nice\n"
     "  shop.json:3:12: warning: /pools: hm\n"
     "hint: lbctl explain pools/api/servers/a\n"},
    {422, true, problem, false, CTL_INVALID,
     "lbctl: The configuration is not valid: 2 errors, 1 warning; nothing was changed\n"
     "  /pools/api/servers/a/adress: 'adress' is not a known key; did you mean 'address'?\n"
     "  /pools/api: must be?[31m nice\n"
     "  warning: /pools: hm\n"
     "hint: lbctl explain pools/api/servers/a\n"},
    /* a file that lbd read itself */
    {422, true,
     "{\"title\":\"Not valid\",\"errors\":[{\"pointer\":\"#/pools/a\",\"detail\":\"no\","
     "\"file\":\"/etc/lbd/conf.d/a.json\",\"line\":3,\"column\":7}]}",
     false, CTL_INVALID,
     "lbctl: Not valid\n"
     "  /etc/lbd/conf.d/a.json:3:7: /pools/a: no\n"
     "hint: lbctl explain pools/a\n"},
    {404, true, "{\"title\":\"Not found\",\"detail\":\"there is no pool 'x'\"}", false,
     CTL_NOT_FOUND, "lbctl: Not found: there is no pool 'x'\n"},
    /* a detail is a sentence of its own */
    {404, true,
     "{\"type\":\"/v1/problems/not-found\",\"title\":\"There is no such resource\",\"detail\":\"there "
     "is no pool 'x'\"}",
     false, CTL_NOT_FOUND, "lbctl: there is no pool 'x'\n"},
    {422, true,
     "{\"type\":\"/v1/problems/invalid-body\",\"title\":\"t\",\"detail\":\"it is no weight\",\"errors\":["
     "{\"pointer\":\"#/weight\",\"detail\":\"must be more\",\"line\":1,\"column\":2}]}",
     false, CTL_INVALID, "lbctl: it is no weight\n  /weight: must be more\n"},
    /* and is not said twice */
    {409, true,
     "{\"type\":\"/v1/problems/cannot-listen\",\"title\":\"No\",\"detail\":\"it is taken\",\"errors\":["
     "{\"pointer\":\"#/listeners/a/bind/0\",\"detail\":\"it is taken\"}]}",
     false, CTL_CONFLICT, "lbctl: No\n  /listeners/a/bind/0: it is taken\n"},
    {404, true,
     "{\"type\":\"/v1/problems/not-found\",\"title\":\"No\",\"detail\":\"no a; did you mean "
     "'b'?\",\"errors\":[{\"pointer\":\"#/a\",\"detail\":\"no a\",\"suggestion\":\"b\"}]}",
     false, CTL_NOT_FOUND, "lbctl: No\n  /a: no a; did you mean 'b'?\n"},
    {403, true, "{\"title\":\"Not allowed\"}", false, CTL_DENIED, "lbctl: Not allowed\n"},
    {507, true, "{\"detail\":\"disk full\"}", false, CTL_REFUSED,
     "lbctl: lbd answered 507 disk full\n"},
    {431, false, "<html>", false, CTL_REFUSED, "lbctl: lbd answered 431\n"},
    {404, true, "not json", false, CTL_NOT_FOUND, "lbctl: lbd answered 404\n"},
    {404, true, "[]", false, CTL_NOT_FOUND, "lbctl: lbd answered 404\n"},
    {302, false, "", false, CTL_REFUSED, "lbctl: lbd answered 302\n"},
    {201, false, "", false, CTL_BUG, "lbctl: lbd answered 201\n"},
};

START_TEST(problems_become_sentences)
{
    const struct refusal_source source = {.name = "shop.json", .text = slice_from(file_text)};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        struct rest_reply reply;
        char *text = NULL;
        size_t len;
        ctl_init(&ctl);
        ctl.err = open_memstream(&text, &len);
        rest_reply_init(&reply);
        reply.status = cases[i].status;
        reply.is_json = cases[i].is_json;
        buf_append_text(&reply.body, cases[i].body);
        enum ctl_exit code = refusal_print(&ctl, &reply, cases[i].has_source ? &source : NULL);
        (void)fclose(ctl.err);
        ck_assert_msg(strcmp(text, cases[i].text) == 0, "got\n%s\nexpected\n%s", text,
                      cases[i].text);
        ck_assert_int_eq(code, cases[i].want);
        rest_reply_fini(&reply);
        free(text);
    }
}
END_TEST

START_TEST(the_list_has_an_end)
{
    enum { ERRORS = 200 };
    struct ctl ctl;
    struct rest_reply reply;
    char *text = NULL;
    size_t len;
    ctl_init(&ctl);
    ctl.err = open_memstream(&text, &len);
    rest_reply_init(&reply);
    reply.status = 422;
    reply.is_json = true;
    buf_append_text(&reply.body, "{\"title\":\"t\",\"truncated\":true,\"errors\":[");
    for (int i = 0; i < ERRORS; i++) {
        buf_append_text(&reply.body, i == 0 ? "" : ",");
        buf_append_text(&reply.body, "{\"pointer\":\"#/a\",\"detail\":\"d\"}");
    }
    buf_append_text(&reply.body, "]}");
    ck_assert_int_eq(refusal_print(&ctl, &reply, NULL), CTL_INVALID);
    (void)fclose(ctl.err);
    ck_assert_ptr_nonnull(strstr(text, "  /a: d\n  ... and 72 more\n"));
    rest_reply_fini(&reply);
    free(text);
}
END_TEST

START_TEST(warnings_are_few_and_about_the_matter)
{
    static const struct refusal_source about = {.root = {"/pools/p1", 9}};
    static const struct refusal_source all = {.name = NULL};
    struct buf text;
    struct ctl ctl;
    char *said = NULL;
    size_t len;
    buf_init(&text, 65536);
    buf_append_text(&text, "{\"warnings\":[");
    for (int i = 0; i < 12; i++) {
        buf_printf(&text, "%s{\"pointer\":\"#/pools/p%d\",\"detail\":\"hm\"}", i != 0 ? "," : "",
                   i);
    }
    buf_append_text(&text, "]}");
    struct json *answer = json_parse_trusted(buf_slice(&text));
    ctl_init(&ctl);
    ctl.err = open_memstream(&said, &len);
    refusal_print_warnings(&ctl, answer, &about, 10); /* p1, and neither p10 nor p11 */
    refusal_print_warnings(&ctl, answer, &all, 2);
    (void)fclose(ctl.err);
    ck_assert_str_eq(said, "  warning: /pools/p1: hm\n"
                           "  warning: /pools/p0: hm\n"
                           "  warning: /pools/p1: hm\n"
                           "  ... and 10 more warnings\n");
    free(said);
    json_free(answer);
    buf_fini(&text);
}
END_TEST

UNIT_TESTS("refusal", warnings_are_few_and_about_the_matter, problems_become_sentences,
           the_list_has_an_end)
