#include <stdio.h>
#include <string.h>

#include "lbd/base/random.h"
#include "lbd/proxy/route.h"
#include "lbd/proxy/route_explain.h"
#include "tests/unit/unit.h"

enum { ROUTES = 24, ROUNDS = 150, QUESTIONS = 20 };

static const char *const hosts[] = {"a.x", "b.x", "*.x", "*.b.x", "x", "*.a.x"};
static const char *const asked_hosts[] = {"a.x", "b.x", "c.b.x", "A.X", "x", "q", "", "d.c.b.x"};
static const char *const paths[] = {"/", "/a", "/a/b", "/ab", "/a/"};
static const char *const asked_paths[] = {"/", "/a", "/a/b", "/a/b/c", "/ab", "/a/", "/z", "*"};

/* Routes at random, as they stand in a document. */
struct field {
    struct conf_route confs[ROUTES];
    struct route routes[ROUTES];
    char names[ROUTES][8];
    struct slice hosts[ROUTES][2];
};

static void fill(struct field *field, struct random *dice)
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
        struct slice path = slice_from(paths[random_below(dice, ARRAY_LEN(paths))]);
        switch (random_below(dice, 3)) {
        case 0:
            conf->match.path = path;
            break;
        case 1:
            conf->match.path_prefix = path;
            break;
        default:
            break;
        }
        field->routes[i].name = conf->name;
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
    const struct route *route = route_match(table, question->host, question->path);
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
    random_seed_with(&dice, 5);
    buf_init(&why, 4096);
    uint32_t taken = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        fill(&field, &dice);
        for (uint32_t q = 0; q < QUESTIONS; q++) {
            const struct route_question question = {
                .host = slice_from(asked_hosts[random_below(&dice, ARRAY_LEN(asked_hosts))]),
                .path = slice_from(asked_paths[random_below(&dice, ARRAY_LEN(asked_paths))]),
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

UNIT_TESTS("route_explain", what_it_says_is_what_the_matcher_does, it_says_so_in_words)
