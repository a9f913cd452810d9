#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lbd/base/random.h"
#include "lbd/proxy/route.h"
#include "lbd/proxy/route_explain.h"
#include "tests/unit/unit.h"

enum { ROUTES = 24, ROUNDS = 150, QUESTIONS = 20 };

static const char *const hosts[] = {"a.x", "b.x", "*.x", "*.b.x", "x", "*.a.x"};
static const char *const asked_hosts[] = {"a.x", "b.x", "c.b.x", "A.X", "x", "q", "", "d.c.b.x"};
static const char *const paths[] = {"/", "/a", "/a/b", "/ab", "/a/"};
static const char *const asked_paths[] = {"/", "/a", "/a/b", "/a/b/c", "/ab", "/a/", "/z", "*"};

static const char *const templates[] = {"/{x}", "/a/{x}", "/{x}/b", "/{x*}"};
static struct slice methods[] = {SLICE_INIT("GET"), SLICE_INIT("PUT")};

static const char *const protocols[] = {"h2", "http/1.1", "imap"};
static const char *const asked_protocols[] = {"",       "\2h2",   "\10http/1.1\2h2",
                                              "\4imap", "\4spdy", "\2h2\4imap"};

/* Routes at random, as they stand in a document. */
struct field {
    struct conf_route confs[ROUTES];
    struct route routes[ROUTES];
    char names[ROUTES][8];
    struct slice hosts[ROUTES][2];
    struct slice alpn[ROUTES][2];
};

/* Of requests, or of connections. */
static void fill(struct field *field, bool by_name, struct random *dice)
{
    memset(field, 0, sizeof *field);
    for (uint32_t i = 0; i < ROUTES; i++) {
        struct conf_route *conf = &field->confs[i];
        (void)snprintf(field->names[i], sizeof field->names[i], "r%02u", i);
        conf->name = slice_from(field->names[i]);
        conf->priority = (int32_t)random_below(dice, 4) - 1;
        conf->match.host = field->hosts[i];
        conf->match.host_count = random_below(dice, 3);
        for (uint32_t h = 0; h < conf->match.host_count; h++) {
            field->hosts[i][h] = slice_from(hosts[random_below(dice, ARRAY_LEN(hosts))]);
        }
        field->routes[i].name = conf->name;
        if (by_name) {
            conf->match.alpn = field->alpn[i];
            conf->match.alpn_count = random_below(dice, 3);
            for (uint32_t a = 0; a < conf->match.alpn_count; a++) {
                field->alpn[i][a] = slice_from(protocols[random_below(dice, ARRAY_LEN(protocols))]);
            }
            continue;
        }
        if (random_below(dice, 3) == 0) {
            conf->match.method = &methods[random_below(dice, ARRAY_LEN(methods))];
            conf->match.method_count = 1;
        }
        if (random_below(dice, 6) == 0) {
            conf->match.host_count = 0;
            conf->match.host_regex = SLICE(".*b[.]x");
        }
        struct slice path = slice_from(paths[random_below(dice, ARRAY_LEN(paths))]);
        switch (random_below(dice, 5)) {
        case 2:
            conf->match.path_template =
                slice_from(templates[random_below(dice, ARRAY_LEN(templates))]);
            break;
        case 3:
            conf->match.path_regex = SLICE(".*/b");
            break;
        case 0:
            conf->match.path = path;
            break;
        case 1:
            conf->match.path_prefix = path;
            break;
        default:
            break;
        }
    }
}

/* The matcher, on all routes but those in `without`. */
static const struct conf_route *winner_of(struct field *field, const bool *without,
                                          const struct route_question *question)
{
    const struct conf_route *confs[ROUTES];
    struct route *routes[ROUTES];
    struct arena arena;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ROUTES; i++) {
        if (!without[i]) {
            confs[count] = &field->confs[i];
            routes[count++] = &field->routes[i];
        }
    }
    arena_init(&arena, NULL, 0);
    const struct route_table *table = route_table_build(&arena, confs, routes, count);
    const struct route *route = route_match(table, question);
    const struct conf_route *conf = NULL;
    if (route != NULL) {
        conf = &field->confs[route - field->routes];
    }
    arena_fini(&arena);
    return conf;
}

/* Taking winner after winner away leaves routes that would not take the request: exactly those
 * about which it was said. */
START_TEST(what_it_says_is_what_the_matcher_does)
{
    static struct field field;
    struct random dice;
    struct buf why;
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    random_seed_with(&dice, 5);
    buf_init(&why, 4096);
    uint32_t taken = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        bool by_name = round % 2 == 1;
        fill(&field, by_name, &dice);
        for (uint32_t q = 0; q < QUESTIONS; q++) {
            const struct message request = {.method_text =
                                                methods[random_below(&dice, ARRAY_LEN(methods))]};
            const struct route_question question = {
                .request = by_name ? NULL : &request,
                .patterns = &patterns,
                .host = slice_from(asked_hosts[random_below(&dice, ARRAY_LEN(asked_hosts))]),
                .path = slice_from(asked_paths[random_below(&dice, ARRAY_LEN(asked_paths))]),
                .alpn =
                    slice_from(asked_protocols[random_below(&dice, ARRAY_LEN(asked_protocols))]),
                .by_name = by_name,
            };
            bool without[ROUTES] = {false};
            const struct conf_route *first = winner_of(&field, without, &question);
            const struct conf_route *winner = first;
            while (winner != NULL) {
                without[winner - field.confs] = true;
                winner = winner_of(&field, without, &question);
                taken++;
            }
            for (uint32_t i = 0; i < ROUTES; i++) {
                buf_clear(&why);
                if (&field.confs[i] == first) {
                    route_explain_fit(&first->match, &question, &why);
                    ck_assert_uint_gt(why.len, 0);
                    continue;
                }
                bool matched = route_explain_other(&field.confs[i], first, &question, &why);
                ck_assert_msg(matched == without[i], "route %u: %.*s", i,
                              SLICE_ARG(buf_slice(&why)));
                ck_assert_uint_gt(why.len, 0);
                ck_assert(!matched || route_explain_may_take(&field.confs[i].match, &question));
            }
        }
    }
    ck_assert_uint_gt(taken, 5000); /* there was something to see */
    buf_fini(&why);
    pattern_work_fini(&patterns);
}
END_TEST

static const struct {
    const char *host; /* of the route; NULL: any */
    const char *path;
    const char *prefix;
    int32_t priority;
    const char *says; /* beside a route "win" for a.x, /a, priority 1; asked for a.x, /a/b */
} cases[] = {
    {"b.x", NULL, NULL, 1, "host: 'a.x' is not b.x"},
    {"a.x", "/z", NULL, 1, "path: '/a/b' is not /z"},
    {NULL, NULL, "/z", 1, "path: '/a/b' is not /z or below it"},
    {"b.x", "/z", NULL, 1, "host: 'a.x' is not b.x; path: '/a/b' is not /z"},
    {"a.x", NULL, "/a", 0, "priority: 0 is less than 1 of route 'win'"},
    {"*.x", NULL, "/a", 1, "host *.x is less exact than host a.x of route 'win'"},
    {NULL, NULL, NULL, 1, "any host is less exact than host a.x of route 'win'"},
    {"a.x", NULL, NULL, 1, "any path is less exact than path_prefix /a of route 'win'"},
    {"a.x", NULL, "/a/", 1, "name: the same match, and it comes later in the alphabet"},
};

START_TEST(it_says_so_in_words)
{
    static const struct slice host = SLICE_INIT("a.x");
    struct slice win_host = host;
    const struct conf_route win = {
        .name = SLICE("win"),
        .priority = 1,
        .match = {.host = &win_host, .host_count = 1, .path_prefix = SLICE("/a")}};
    const struct route_question question = {.host = SLICE("a.x"), .path = SLICE("/a/b")};
    struct buf why;
    buf_init(&why, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice pattern = slice_from(cases[i].host);
        const struct conf_route conf = {
            .name = SLICE("x"),
            .priority = cases[i].priority,
            .match = {.host = &pattern,
                      .host_count = cases[i].host != NULL ? 1 : 0,
                      .path = slice_from(cases[i].path),
                      .path_prefix = slice_from(cases[i].prefix)},
        };
        buf_clear(&why);
        (void)route_explain_other(&conf, &win, &question, &why);
        ck_assert_msg(slice_starts(buf_slice(&why), slice_from(cases[i].says)), "%s: %.*s",
                      cases[i].says, SLICE_ARG(buf_slice(&why)));
    }
    buf_clear(&why);
    route_explain_fit(&win.match, &question, &why);
    ck_assert(slice_eq(buf_slice(&why), SLICE("host a.x, path_prefix /a")));
    buf_fini(&why);
}
END_TEST

START_TEST(connections_have_protocols)
{
    static const struct {
        const char *alpn; /* of the route; NULL: any */
        const char *says; /* beside a route "win" for http/1.1; the client offers http/1.1, h2 */
    } says[] = {
        {"imap", "alpn: the client does not offer imap"},
        {"h2", "alpn h2 is less exact than alpn http/1.1 of route 'win'"},
        {NULL, "any protocol is less exact than alpn http/1.1 of route 'win'"},
        {"http/1.1", "name: the same match, and it comes later in the alphabet"},
    };
    struct slice best = SLICE("http/1.1");
    const struct conf_route win = {.name = SLICE("win"), .match = {.alpn = &best, .alpn_count = 1}};
    const struct route_question question = {
        .host = SLICE("a.x"), .alpn = SLICE("\10http/1.1\2h2"), .by_name = true};
    struct buf why;
    buf_init(&why, 4096);
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        struct slice protocol = slice_from(says[i].alpn);
        const struct conf_route conf = {
            .name = SLICE("x"),
            .match = {.alpn = &protocol, .alpn_count = says[i].alpn != NULL ? 1 : 0}};
        buf_clear(&why);
        (void)route_explain_other(&conf, &win, &question, &why);
        ck_assert_msg(slice_starts(buf_slice(&why), slice_from(says[i].says)), "%s: %.*s",
                      says[i].says, SLICE_ARG(buf_slice(&why)));
    }
    buf_clear(&why);
    route_explain_fit(&win.match, &question, &why);
    ck_assert(slice_eq(buf_slice(&why), SLICE("any host, alpn http/1.1")));
    buf_fini(&why);
}
END_TEST

/* What a request says of itself, and what is said of each match that asks for it. */
START_TEST(conditions_are_named)
{
    static struct slice get = SLICE_INIT("GET");
    static struct slice net = SLICE_INIT("10.0.0.0/8");
    static struct slice debug = SLICE_INIT("debug");
    static struct conf_header two[] = {{SLICE_INIT("v"), SLICE_INIT("2")}};
    static const struct {
        struct conf_match match;
        const char *says;
    } says[] = {
        {{.method = &get, .method_count = 1}, "method PUT is not GET"},
        {{.source = &net, .source_count = 1}, "source 192.0.2.1 is not in one of its networks"},
        {{.query = {.exact = two, .exact_count = 1}}, "query v is not '2'"},
        {{.query = {.prefix = two, .prefix_count = 1}}, "query v does not begin with '2'"},
        {{.query = {.regex = two, .regex_count = 1}}, "query v is not matched by '2'"},
        {{.header = {.present = &debug, .present_count = 1}}, "header debug is not there"},
        {{.query = {.absent = &debug, .absent_count = 1}}, "query debug is there"},
        {{.path_regex = SLICE_INIT("/z")}, "path: '/a' is not matched by /z"},
        {{.path_template = SLICE_INIT("/a/{x}")}, "path: '/a' is not /a/{x}"},
        {{.host_regex = SLICE_INIT("z")}, "host: 'a.x' is not matched by z"},
        {{.path_regex = SLICE_INIT("/z"), .method = &get, .method_count = 1},
         "path: '/a' is not matched by /z; method PUT is not GET"},
        {{.method = &get, .method_count = 1, .query = {.exact = two, .exact_count = 1}},
         "method PUT is not GET, query v is not '2'"},
    };
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    const struct message request = {.method_text = SLICE("PUT"), .query = SLICE("?v=1&debug")};
    const struct addr_small client = {
        .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1},
        .family = AF_INET};
    const struct route_question question = {.host = SLICE("a.x"),
                                            .path = SLICE("/a"),
                                            .request = &request,
                                            .client = &client,
                                            .patterns = &patterns};
    struct buf why;
    buf_init(&why, 4096);
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        const struct conf_route conf = {.name = SLICE("x"), .match = says[i].match};
        buf_clear(&why);
        ck_assert(!route_explain_other(&conf, NULL, &question, &why));
        ck_assert_msg(slice_eq(buf_slice(&why), slice_from(says[i].says)), "%s: %.*s", says[i].says,
                      SLICE_ARG(buf_slice(&why)));
    }
    static struct slice put = SLICE_INIT("PUT");
    const struct conf_route win = {.name = SLICE("win"),
                                   .match = {.method = &put,
                                             .method_count = 1,
                                             .query = {.present = &debug, .present_count = 1}}};
    const struct conf_route less = {.name = SLICE("x"),
                                    .match = {.method = &put, .method_count = 1}};
    buf_clear(&why);
    ck_assert(route_explain_other(&less, &win, &question, &why));
    ck_assert(
        slice_eq(buf_slice(&why), SLICE("conditions: 1 are fewer than the 2 of route 'win'")));
    buf_clear(&why);
    route_explain_fit(&win.match, &question, &why);
    ck_assert(slice_eq(buf_slice(&why), SLICE("any host, any path, method is PUT, query debug is "
                                              "there")));
    buf_fini(&why);
    pattern_work_fini(&patterns);
}
END_TEST

UNIT_TESTS("route_explain", what_it_says_is_what_the_matcher_does, it_says_so_in_words,
           connections_have_protocols, conditions_are_named)
