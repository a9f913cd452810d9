#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf_document.h"
#include "lbd/proxy/route_condition.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

/* What a route's match asks for, what a client sends, and whether that is it. */
static const struct {
    const char *match;
    const char *target; /* "METHOD /path?query" */
    const char *lines;  /* after Host */
    bool holds;
} cases[] = {
    {"'method':['GET','HEAD']", "GET /", "", true},
    {"'method':['GET','HEAD']", "HEAD /", "", true},
    {"'method':['GET']", "HEAD /", "", false},
    {"'method':['PURGE']", "PURGE /", "", true},

    {"'header':{'exact':{'X-A':'1'}}", "GET /", "X-A: 1\r\n", true},
    {"'header':{'exact':{'X-A':'1'}}", "GET /", "x-a:  1 \r\n",
     true}, /* white space is not value */
    {"'header':{'exact':{'X-A':'1'}}", "GET /", "X-A: 2\r\n", false},
    {"'header':{'exact':{'X-A':'1'}}", "GET /", "", false},
    {"'header':{'exact':{'X-A':'a'}}", "GET /", "X-A: A\r\n", false}, /* values have a case */
    {"'header':{'exact':{'X-A':'1'}}", "GET /", "X-AB: 1\r\nX: 1\r\n", false},
    {"'header':{'exact':{'Accept':'x'}}", "GET /", "ACCEPT: x\r\n", true}, /* a known name */
    {"'header':{'prefix':{'Accept':'text/'}}", "GET /", "Accept: text/html\r\n", true},
    {"'header':{'prefix':{'Accept':'text/'}}", "GET /", "Accept: a, text/html\r\n", false},
    {"'header':{'regex':{'X-A':'v[0-9]+'}}", "GET /", "X-A: v12\r\n", true},
    {"'header':{'regex':{'X-A':'v[0-9]+'}}", "GET /", "X-A: v12x\r\n", false},
    {"'header':{'present':['X-A']}", "GET /", "X-A:\r\n", true},
    {"'header':{'present':['X-A']}", "GET /", "X-B: 1\r\n", false},
    {"'header':{'absent':['X-A']}", "GET /", "X-B: 1\r\n", true},
    {"'header':{'absent':['X-A']}", "GET /", "X-A:\r\n", false},
    /* who sends a field twice gets past nothing */
    {"'header':{'exact':{'X-A':'bad'}}", "GET /", "X-A: good\r\nX-A: bad\r\n", true},
    {"'header':{'exact':{'X-A':'bad'}}", "GET /", "X-A: bad\r\nX-A: good\r\n", true},
    {"'header':{'absent':['X-A']}", "GET /", "X-B: 1\r\nX-A: 1\r\nX-A: 2\r\n", false},
    /* all must hold */
    {"'header':{'exact':{'X-A':'1','X-B':'2'}}", "GET /", "X-B: 2\r\nX-A: 1\r\n", true},
    {"'header':{'exact':{'X-A':'1','X-B':'2'}}", "GET /", "X-A: 1\r\n", false},
    {"'header':{'present':['X-A'],'absent':['X-B']}", "GET /", "X-A: 1\r\n", true},
    {"'header':{'present':['X-A'],'absent':['X-B']}", "GET /", "X-A: 1\r\nX-B: 1\r\n", false},

    {"'cookie':{'exact':{'id':'7'}}", "GET /", "Cookie: a=1; id=7\r\n", true},
    {"'cookie':{'exact':{'id':'7'}}", "GET /", "Cookie: a=1\r\nCookie: id=\"7\"\r\n", true},
    {"'cookie':{'exact':{'id':'7'}}", "GET /", "Cookie: ID=7\r\n", false},
    {"'cookie':{'exact':{'id':'7'}}", "GET /", "Cookie: xid=7; id=77\r\n", false},
    {"'cookie':{'exact':{'id':'7'}}", "GET /", "Cookie: id=6; id=7\r\n", true},
    {"'cookie':{'prefix':{'id':'eu-'}}", "GET /", "Cookie: id=eu-1\r\n", true},
    {"'cookie':{'regex':{'id':'(eu|us)-.*'}}", "GET /", "Cookie: id=us-1\r\n", true},
    {"'cookie':{'present':['id']}", "GET /", "Cookie: id=\r\n", true},
    {"'cookie':{'present':['id']}", "GET /", "Cookie: id\r\n", false},
    {"'cookie':{'absent':['id']}", "GET /", "Cookie: a=1; id=2\r\n", false},
    {"'cookie':{'absent':['id']}", "GET /", "", true},

    {"'query':{'exact':{'v':'2'}}", "GET /?v=2", "", true},
    {"'query':{'exact':{'v':'2'}}", "GET /?v=1&v=2", "", true},
    {"'query':{'exact':{'v':'2'}}", "GET /?V=2", "", false},
    {"'query':{'exact':{'v':'2'}}", "GET /v=2", "", false},
    {"'query':{'exact':{'admin':'true'}}", "GET /?%61dmin=tru%65", "", true}, /* as servers read */
    {"'query':{'exact':{'q':'a b'}}", "GET /?q=a+b", "", true},
    {"'query':{'exact':{'q':'a b'}}", "GET /?q=a%20b", "", true},
    {"'query':{'exact':{'f[a]':'1'}}", "GET /?f%5Ba%5D=1", "", true},
    {"'query':{'prefix':{'q':'ab'}}", "GET /?q=%61bc", "", true},
    {"'query':{'regex':{'q':'[0-9]+'}}", "GET /?q=%312", "", true},
    {"'query':{'regex':{'q':'[0-9]+'}}", "GET /?q=12x", "", false},
    {"'query':{'present':['debug']}", "GET /?a=1&debug", "", true},
    {"'query':{'absent':['debug']}", "GET /?a=1&d%65bug=0", "", false},
    {"'query':{'absent':['debug']}", "GET /", "", true},

    {"'source':['192.0.2.0/24','2001:db8::/32']", "GET /", "", true},
    {"'source':['192.0.3.0/24']", "GET /", "", false},

    {"'method':['GET'],'query':{'present':['a']},'cookie':{'present':['b']}", "GET /?a",
     "Cookie: b=1\r\n", true},
    {"'method':['GET'],'query':{'present':['a']},'cookie':{'present':['b']}", "GET /?a", "", false},
    {"'path_regex':'/[a-z]+'", "GET /abc?x", "", true},
    {"'path_regex':'/[a-z]+'", "GET /abc/", "", false},
    {"'host_regex':'ho.*'", "GET /", "", true},
    {"'host_regex':'ho.'", "GET /", "", false},
};

static const struct addr_small client = {
    .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1}, .family = AF_INET};

/* A document with this match; *match points into it. */
static struct conf_document *document_of(const char *match_text, const struct conf_match **match)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w',"
                   "'match':{%s},'action':{'respond':{'status':200}}}}}",
                   match_text);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(document != NULL, "%s: %.*s", text,
                  SLICE_ARG(errors.error_count != 0 ? errors.errors[0].detail : SLICE_NONE));
    conf_errors_fini(&errors);
    *match = &conf_route_find(conf_document_conf(document), SLICE("r"))->match;
    return document;
}

START_TEST(requests_are_what_is_asked_for_or_not)
{
    struct pattern_work patterns;
    struct arena arena;
    struct buf said;
    pattern_work_init(&patterns);
    arena_init(&arena, NULL, 0);
    buf_init(&said, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct conf_match *match = NULL;
        struct conf_document *document = document_of(cases[i].match, &match);
        const struct route_conditions *conditions = route_condition_build(&arena, match);
        ck_assert_ptr_nonnull(conditions);
        char text[512];
        struct head_of head;
        (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: host\r\n%s\r\n", cases[i].target,
                       cases[i].lines);
        head_of_request(&head, slice_from(text));
        const struct route_question question = {.host = message_host(&head.message),
                                                .path = head.message.path,
                                                .request = &head.message,
                                                .client = &client,
                                                .patterns = &patterns};
        ck_assert_msg(route_condition_hold(conditions, &question) == cases[i].holds, "%s: %s %s",
                      cases[i].match, cases[i].target, cases[i].lines);
        buf_clear(&said);
        uint32_t count = route_condition_count(match);
        uint32_t held = route_condition_explain(conditions, &question, true, "", &said);
        uint32_t unmet = route_condition_explain(conditions, &question, false, "", &said);
        ck_assert_uint_eq(held + unmet, count);
        ck_assert_msg(count == 0 || (unmet == 0) == cases[i].holds, "%s: %.*s", cases[i].match,
                      SLICE_ARG(buf_slice(&said)));
        conf_document_unref(document);
    }
    ck_assert_uint_eq(patterns.limited, 0);
    buf_fini(&said);
    arena_fini(&arena);
    pattern_work_fini(&patterns);
}
END_TEST

/* A connection says nothing of requests: it does not even lack a header. */
START_TEST(connections_have_a_client_only)
{
    struct arena arena;
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    arena_init(&arena, NULL, 0);
    static const struct {
        const char *match;
        bool holds;
    } of[] = {
        {"'source':['192.0.2.1']", true},       {"'source':['unix']", false},
        {"'header':{'absent':['X-A']}", false}, {"'method':['GET']", false},
        {"'query':{'absent':['a']}", false},    {"'cookie':{'absent':['a']}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        const struct conf_match *match = NULL;
        struct conf_document *document = document_of(of[i].match, &match);
        const struct route_question question = {
            .by_name = true, .client = &client, .patterns = &patterns};
        ck_assert_msg(route_condition_hold(route_condition_build(&arena, match), &question) ==
                          of[i].holds,
                      "%s", of[i].match);
        conf_document_unref(document);
    }
    arena_fini(&arena);
    pattern_work_fini(&patterns);
}
END_TEST

START_TEST(overlong_parameters_do_not_match_and_count)
{
    enum { LEN = PATTERN_SUBJECT_MAX + 1 };
    static char query[LEN + 4];
    struct arena arena;
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    arena_init(&arena, NULL, 0);
    memcpy(query, "?q=", 3);
    memset(query + 3, 'a', LEN);
    const struct message request = {.query = slice_of(query, 3 + LEN)};
    const struct route_question question = {.request = &request, .patterns = &patterns};
    const struct conf_match *match = NULL;
    struct conf_document *document = document_of("'query':{'regex':{'q':'a*'}}", &match);
    ck_assert(!route_condition_hold(route_condition_build(&arena, match), &question));
    ck_assert_uint_eq(patterns.limited, 1);
    conf_document_unref(document);
    arena_fini(&arena);
    pattern_work_fini(&patterns);
}
END_TEST

UNIT_TESTS("route_condition", requests_are_what_is_asked_for_or_not, connections_have_a_client_only,
           overlong_parameters_do_not_match_and_count)
