#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/path_template.h"
#include "lbd/base/random.h"
#include "lbd/proxy/route.h"
#include "tests/unit/unit.h"

struct field {
    struct arena arena;
    struct conf_route *confs;
    const struct conf_route **conf_list;
    struct route *routes;
    struct route **route_list;
    uint32_t count;
    struct route_table *table;
};

static void field_init(struct field *field, uint32_t capacity)
{
    *field = (struct field){0};
    arena_init(&field->arena, NULL, 0);
    field->confs = mem_zero(capacity, sizeof(*field->confs));
    field->conf_list = mem_zero(capacity, sizeof(*field->conf_list));
    field->routes = mem_zero(capacity, sizeof(*field->routes));
    field->route_list = mem_zero(capacity, sizeof(*field->route_list));
}

static void field_fini(struct field *field)
{
    arena_fini(&field->arena);
    free(field->confs);
    free(field->conf_list);
    free(field->routes);
    free(field->route_list);
}

static struct slice keep(struct field *field, const char *text)
{
    return arena_copy(&field->arena, slice_from(text));
}

/* hosts: separated by blanks, or "". */
static void add(struct field *field, const char *name, int32_t priority, const char *hosts,
                const char *path, const char *prefix)
{
    uint32_t index = field->count++;
    struct conf_route *conf = &field->confs[index];
    conf->name = keep(field, name);
    conf->priority = priority;
    conf->match.path = keep(field, path);
    conf->match.path_prefix = keep(field, prefix);
    conf->match.host = arena_zero(&field->arena, 8 * sizeof(*conf->match.host));
    struct slice rest = keep(field, hosts);
    struct slice part;
    while (hosts[0] != '\0' && slice_split(&rest, ' ', &part)) {
        conf->match.host[conf->match.host_count++] = part;
    }
    field->routes[index].name = conf->name;
    field->conf_list[index] = conf;
    field->route_list[index] = &field->routes[index];
}

static void build(struct field *field)
{
    field->table =
        route_table_build(&field->arena, field->conf_list, field->route_list, field->count);
}

static const struct {
    const char *name;
    int32_t priority;
    const char *hosts;
    const char *path;
    const char *prefix;
} small[] = {
    {"any", 0, "", "", ""},
    {"root", 0, "", "", "/"},
    {"api", 0, "", "", "/api"},
    {"api-exact", 0, "", "/api", ""},
    {"slash", 0, "", "", "/files/"},
    {"www", 0, "www.example.com", "", ""},
    {"www-img", 0, "www.example.com", "", "/img"},
    {"wild", 0, "*.example.com", "", ""},
    {"wild-deep", 0, "*.eu.example.com", "", ""},
    {"urgent", 10, "", "/urgent", ""},
    {"two", 0, "one.test two.test *.many.test", "", ""},
    {"b-same", 0, "same.test", "", "/x"},
    {"a-same", 0, "same.test", "", "/x"},
    {"c-same", 5, "same.test", "", "/y"},
    {"d-same", 0, "same.test", "/y", ""},
    {"v6", 0, "[::1]", "", ""},
};

static const struct {
    const char *host;
    const char *path;
    const char *want;
} requests[] = {
    {"other.test", "/", "root"},
    {"", "/", "root"},
    {"", "*", "any"}, /* OPTIONS * begins with no slash */
    {"", "", "any"},
    {"other.test", "/api", "api-exact"},
    {"other.test", "/api/", "api"},
    {"other.test", "/api/v1/users", "api"},
    {"other.test", "/apix", "root"}, /* whole segments */
    {"other.test", "/API", "root"},  /* paths have a case */
    {"other.test", "/files", "slash"},
    {"other.test", "/files/", "slash"},
    {"other.test", "/files/a", "slash"},
    {"other.test", "//api", "root"},
    {"www.example.com", "/", "www"},
    {"WWW.Example.COM", "/", "www"},
    {"www.example.com.", "/", "www"}, /* the same name, fully qualified */
    {"www.example.com", "/img/1.png", "www-img"},
    {"www.example.com", "/api", "www"}, /* the host goes before the path */
    {"a.example.com", "/", "wild"},
    {"a.b.example.com", "/", "wild"}, /* one or more labels */
    {"a.eu.example.com", "/", "wild-deep"},
    {"eu.example.com", "/", "wild"},
    {"example.com", "/", "root"}, /* not zero labels */
    {".example.com", "/", "root"},
    {"xexample.com", "/", "root"},
    {"www.example.com", "/urgent", "urgent"}, /* priority goes before all */
    {"www.example.com", "/urgent/x", "www"},
    {"one.test", "/", "two"},
    {"two.test", "/", "two"},
    {"a.many.test", "/", "two"},
    {"same.test", "/x/1", "a-same"}, /* the name decides */
    {"same.test", "/y", "c-same"},
    {"same.test", "/z", "root"}, /* no path matches there: the next best host */
    {"[::1]", "/", "v6"},
};

static const struct route *ask(const struct route_table *table, struct slice host,
                               struct slice path)
{
    const struct route_question question = {.host = host, .path = path};
    return route_match(table, &question);
}

START_TEST(order_of_matches)
{
    struct field field;
    field_init(&field, ARRAY_LEN(small));
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        add(&field, small[i].name, small[i].priority, small[i].hosts, small[i].path,
            small[i].prefix);
    }
    build(&field);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct route *route =
            ask(field.table, slice_from(requests[i].host), slice_from(requests[i].path));
        ck_assert_msg(route != NULL && slice_eq(route->name, slice_from(requests[i].want)),
                      "%s %s: %.*s, wanted %s", requests[i].host, requests[i].path,
                      SLICE_ARG(route != NULL ? route->name : SLICE("none")), requests[i].want);
    }
    field_fini(&field);
}
END_TEST

/* alpn: separated by blanks. */
static void add_name(struct field *field, const char *name, int32_t priority, const char *hosts,
                     const char *alpn)
{
    add(field, name, priority, hosts, "", "");
    struct conf_match *match = &field->confs[field->count - 1].match;
    match->alpn = arena_zero(&field->arena, 8 * sizeof(*match->alpn));
    struct slice rest = keep(field, alpn);
    struct slice part;
    while (alpn[0] != '\0' && slice_split(&rest, ' ', &part)) {
        match->alpn[match->alpn_count++] = part;
    }
}

static const struct route *ask_name(const struct route_table *table, struct slice name,
                                    struct slice alpn)
{
    const struct route_question question = {.host = name, .alpn = alpn, .by_name = true};
    return route_match(table, &question);
}

START_TEST(names_and_protocols)
{
    static const struct {
        const char *name;
        const char *alpn;  /* as on the wire */
        const char *route; /* NULL: none */
    } cases[] = {
        {"a.example", "", "exact"},
        {"A.Example.", "", "exact"},
        {"a.example", "\2h2\10http/1.1", "exact-h2"},
        {"a.example", "\10http/1.1\2h2", "exact-h1"}, /* the client's order */
        {"a.example", "\4spdy\10http/1.1", "exact-h1"},
        {"a.example", "\4spdy", "exact"},
        {"b.example", "\2h2", "wild"},
        {"b.example", "", "wild"},
        {"top.example", "", "wild"},
        {"top.example", "\4mail", "top-mail"}, /* by its priority */
        {"elsewhere", "\4imap", "any-mail"},
        {"", "\4pop3\4imap", "any-mail"},
        {"elsewhere", "\2h2", NULL},
        {"", "", NULL},
        {"a.example", "\377h2", "exact"}, /* a length that is none */
        {"a.example", "\1", "exact"},
    };
    struct field field;
    field_init(&field, 8);
    add_name(&field, "exact", 0, "a.example", "");
    add_name(&field, "exact-h2", 0, "a.example", "h2");
    add_name(&field, "exact-h1", 0, "a.example", "http/1.0 http/1.1");
    add_name(&field, "wild", 0, "*.example", "");
    add_name(&field, "top-mail", 5, "*.example", "mail");
    add_name(&field, "any-mail", 0, "", "imap pop3");
    build(&field);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct route *route =
            ask_name(field.table, slice_from(cases[i].name), slice_from(cases[i].alpn));
        if (cases[i].route == NULL) {
            ck_assert_msg(route == NULL, "case %zu", i);
        } else {
            ck_assert_msg(route != NULL && slice_eq(route->name, slice_from(cases[i].route)),
                          "case %zu: %.*s", i, SLICE_ARG(route != NULL ? route->name : SLICE_NONE));
        }
    }
    field_fini(&field);
}
END_TEST

START_TEST(nothing_matches_an_empty_table)
{
    struct field field;
    field_init(&field, 1);
    build(&field);
    ck_assert_ptr_null(ask(field.table, SLICE("a"), SLICE("/")));
    ck_assert_ptr_null(ask(field.table, SLICE_NONE, SLICE_NONE));
    field_fini(&field);
}
END_TEST

START_TEST(overlong_hosts_match_by_their_end)
{
    struct field field;
    char host[600];
    memset(host, 'a', sizeof(host));
    for (size_t i = 0; i < 500; i += 10) {
        host[i] = '.';
    }
    memcpy(host + 500, ".example.com", 13);
    field_init(&field, 2);
    add(&field, "wild", 0, "*.example.com", "", "");
    add(&field, "any", 0, "", "", "");
    build(&field);
    const struct route *route = ask(field.table, slice_from(host), SLICE("/"));
    ck_assert_ptr_nonnull(route);
    ck_assert(slice_eq(route->name, SLICE("wild")));
    field_fini(&field);
}
END_TEST

/* --- a second opinion: every route is looked at --- */

static struct slice no_dot(struct slice host)
{
    return slice_ends(host, SLICE(".")) ? slice_of(host.ptr, host.len - 1) : host;
}

/* 0: no match; any 1; wildcard 2 + its length; exact larger than those. */
static size_t host_rank(const struct conf_match *match, struct slice host)
{
    size_t best = match->host_count == 0 ? 1 : 0;
    for (uint32_t i = 0; i < match->host_count; i++) {
        struct slice pattern = match->host[i];
        size_t rank = 0;
        if (slice_starts(pattern, SLICE("*."))) {
            struct slice dotted = slice_from_at(pattern, 1);
            if (host.len > dotted.len &&
                slice_eq_nocase(slice_from_at(host, host.len - dotted.len), dotted)) {
                rank = 2 + dotted.len;
            }
        } else if (slice_eq_nocase(pattern, host)) {
            rank = 1000;
        }
        best = rank > best ? rank : best;
    }
    return best;
}

static size_t path_rank(const struct conf_match *match, struct slice path)
{
    struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX];
    struct path_template template;
    const char *problem = NULL;
    uint32_t count = 0;
    if (match->path.len != 0) {
        return slice_eq(match->path, path) ? 1000 : 0;
    }
    if (match->path_template.len != 0) {
        return path_template_read(match->path_template, &template, &problem) &&
                       path_template_match(&template, path, values, &count)
                   ? 900
                   : 0;
    }
    if (match->path_regex.len != 0) {
        return slice_ends(path, SLICE("b")) ? 800 : 0; /* ".*b", the only one here */
    }
    struct slice prefix = match->path_prefix;
    if (prefix.len == 0) {
        return 1;
    }
    if (slice_eq(prefix, SLICE("/"))) {
        return slice_starts(path, prefix) ? 2 : 0;
    }
    bool is_whole =
        path.len == prefix.len || (path.len > prefix.len && path.ptr[prefix.len] == '/');
    return slice_starts(path, prefix) && is_whole ? 1 + prefix.len : 0;
}

/* >0: the template of `a` goes before that of `b`; 0 when they are none. */
static int template_order(const struct conf_match *a, const struct conf_match *b)
{
    struct path_template left;
    struct path_template right;
    const char *problem = NULL;
    return path_template_read(a->path_template, &left, &problem) &&
                   path_template_read(b->path_template, &right, &problem)
               ? path_template_compare(&right.shape, &left.shape)
               : 0;
}

static bool has_method(const struct conf_match *match, struct slice method)
{
    for (uint32_t i = 0; i < match->method_count; i++) {
        if (slice_eq(match->method[i], method)) {
            return true;
        }
    }
    return match->method_count == 0;
}

static const struct route *match_naively(const struct field *field, struct slice host,
                                         struct slice path, struct slice method)
{
    uint32_t best = UINT32_MAX;
    size_t best_host = 0;
    size_t best_path = 0;
    for (uint32_t i = 0; i < field->count; i++) {
        const struct conf_route *conf = &field->confs[i];
        size_t at_host = host_rank(&conf->match, no_dot(host));
        size_t at_path = path_rank(&conf->match, path);
        if (at_host == 0 || at_path == 0 || !has_method(&conf->match, method)) {
            continue;
        }
        bool is_better = best == UINT32_MAX;
        if (!is_better) {
            const struct conf_route *old = &field->confs[best];
            if (conf->priority != old->priority) {
                is_better = conf->priority > old->priority;
            } else if (at_host != best_host) {
                is_better = at_host > best_host;
            } else if (at_path != best_path) {
                is_better = at_path > best_path;
            } else if (template_order(&conf->match, &old->match) != 0) {
                is_better = template_order(&conf->match, &old->match) > 0;
            } else if (conf->match.method_count != old->match.method_count) {
                is_better = conf->match.method_count != 0;
            } else {
                is_better = slice_compare(conf->name, old->name) < 0;
            }
        }
        if (is_better) {
            best = i;
            best_host = at_host;
            best_path = at_path;
        }
    }
    return best == UINT32_MAX ? NULL : &field->routes[best];
}

static const char *const labels[] = {"a", "b", "ab", "com", "x-1"};
static const char *const segments[] = {"/a", "/b", "/ab", "/a.b", "/%20"};

static void random_host(struct random *random, char *out, size_t size, bool is_pattern)
{
    out[0] = '\0';
    if (is_pattern && random_below(random, 2) == 0) {
        (void)snprintf(out, size, "*.");
    }
    uint32_t count = 1 + random_below(random, 4);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, "%s%s", i != 0 ? "." : "",
                       labels[random_below(random, ARRAY_LEN(labels))]);
    }
    for (char *at = out; !is_pattern && *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z' && random_below(random, 3) == 0) {
            *at = (char)(*at - 'a' + 'A');
        }
    }
    if (!is_pattern && random_below(random, 8) == 0) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, ".");
    }
}

static void random_path(struct random *random, char *out, size_t size, bool is_pattern)
{
    out[0] = '\0';
    uint32_t count = random_below(random, 5);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, "%s",
                       segments[random_below(random, ARRAY_LEN(segments))]);
    }
    if (count == 0 || (!is_pattern && random_below(random, 5) == 0)) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, "/");
    }
}

static void random_template(struct random *random, char *out, size_t size)
{
    static const char *const parts[] = {"/a", "/b", "/ab"};
    uint32_t count = 1 + random_below(random, 4);
    size_t len =
        (size_t)snprintf(out, size, "%s", random_below(random, 2) == 0 ? "/{first}" : "/a");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = random_below(random, ARRAY_LEN(parts) + 1);
        len += (size_t)(part < ARRAY_LEN(parts) ? snprintf(out + len, size - len, "%s", parts[part])
                                                : snprintf(out + len, size - len, "/{v%u}", i));
    }
    bool has_rest = random_below(random, 3) == 0 || strchr(out, '{') == NULL;
    (void)snprintf(out + len, size - len, "%s", has_rest ? "/{rest*}" : "");
}

/* Gives the last route a template or a regular expression in place of its path, and methods. */
static void make_special(struct field *field, struct random *random)
{
    static struct slice methods[] = {SLICE_INIT("GET"), SLICE_INIT("PUT")};
    struct conf_match *match = &field->confs[field->count - 1].match;
    char template[128];
    if (random_below(random, 3) == 0) {
        match->method = &methods[random_below(random, 2)];
        match->method_count = 1;
    }
    if (match->path.len != 0 || match->path_prefix.len != 0) {
        return;
    }
    switch (random_below(random, 3)) {
    case 0:
        match->path_regex = SLICE(".*b");
        break;
    case 1:
        random_template(random, template, sizeof template);
        match->path_template = keep(field, template);
        break;
    default:
        break;
    }
}

START_TEST(random_tables_match_like_a_walk_over_all_routes)
{
    enum { TABLES = 60, ROUTES = 60, REQUESTS = 300 };
    struct random random;
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    random_seed_with(&random, 2);
    uint32_t found = 0;
    for (uint32_t round = 0; round < TABLES; round++) {
        struct field field;
        field_init(&field, ROUTES);
        uint32_t routes = random_below(&random, ROUTES) + 1;
        for (uint32_t i = 0; i < routes; i++) {
            char name[16];
            char hosts[200] = "";
            char path[64] = "";
            char prefix[64] = "";
            (void)snprintf(name, sizeof(name), "r%u", random_below(&random, 100000));
            uint32_t host_count = random_below(&random, 3);
            for (uint32_t h = 0; h < host_count; h++) {
                size_t len = strlen(hosts);
                (void)snprintf(hosts + len, sizeof(hosts) - len, "%s", h != 0 ? " " : "");
                len = strlen(hosts);
                random_host(&random, hosts + len, sizeof(hosts) - len, true);
            }
            switch (random_below(&random, 3)) {
            case 0:
                random_path(&random, path, sizeof(path), true);
                break;
            case 1:
                random_path(&random, prefix, sizeof(prefix), true);
                break;
            default:
                break;
            }
            int32_t priority = (int32_t)random_below(&random, 3) - 1;
            add(&field, name, round % 2 == 0 ? 0 : priority, hosts, path, prefix);
            make_special(&field, &random);
        }
        build(&field);
        for (uint32_t i = 0; i < REQUESTS; i++) {
            char host[100];
            char path[100];
            random_host(&random, host, sizeof(host), false);
            random_path(&random, path, sizeof(path), false);
            const struct message request = {
                .method_text = random_below(&random, 2) == 0 ? SLICE("GET") : SLICE("PUT")};
            const struct route_question question = {.host = slice_from(host),
                                                    .path = slice_from(path),
                                                    .request = &request,
                                                    .patterns = &patterns};
            const struct route *want =
                match_naively(&field, slice_from(host), slice_from(path), request.method_text);
            const struct route *got = route_match(field.table, &question);
            /* two routes of the same name: their order is nobody's business */
            bool same =
                want == got || (want != NULL && got != NULL && slice_eq(want->name, got->name));
            ck_assert_msg(same, "%s %s: %.*s, wanted %.*s", host, path,
                          SLICE_ARG(got != NULL ? got->name : SLICE("none")),
                          SLICE_ARG(want != NULL ? want->name : SLICE("none")));
            found += got != NULL;
        }
        field_fini(&field);
    }
    pattern_work_fini(&patterns);
    ck_assert_uint_gt(found, TABLES * REQUESTS / 4); /* the tables were no deserts */
}
END_TEST

/* kind: '=' exact, '<' prefix, '{' template, '~' regex; method: "" is any. */
static const struct {
    const char *name;
    char kind;
    const char *path;
    const char *method;
    const char *host_regex;
} special[] = {
    {"exact", '=', "/users/me", "", ""},
    {"user", '{', "/users/{id}", "", ""},
    {"user-put", '{', "/users/{who}", "PUT", ""}, /* the same rule, whatever the name */
    {"user-post", '{', "/users/{who}", "POST", ""},
    {"posts", '{', "/users/{id}/posts", "", ""},
    {"mine", '{', "/users/me/{what}", "", ""},
    {"tree", '{', "/users/{id}/{rest*}", "", ""},
    {"digits", '~', "/[0-9]+", "", ""},
    {"digits-put", '~', "/[0-9]+", "PUT", ""},
    {"any", '<', "", "", ""},
    {"any-put", '<', "", "PUT", ""},
    {"shop", '<', "", "", "shop-[0-9]+[.]x"},
    {"shop-user", '{', "/users/{id}", "", "shop-[0-9]+[.]x"},
    {"shop-7", '<', "", "PUT", "shop-7[.]x"},
};

static const struct {
    const char *method;
    const char *host;
    const char *path;
    const char *want;
} special_requests[] = {
    {"GET", "a", "/users/me", "exact"},
    {"GET", "a", "/users/7", "user"},
    {"PUT", "a", "/users/7", "user-put"}, /* more conditions before fewer */
    {"POST", "a", "/users/7", "user-post"},
    {"GET", "a", "/users/{}", "user"}, /* it is a segment like any other */
    {"GET", "a", "/users/", "any"},    /* a variable is not empty */
    {"GET", "a", "/users", "any"},
    {"GET", "a", "/users/7/posts", "posts"},
    {"GET", "a", "/users/7/other", "tree"},
    {"GET", "a", "/users/7/", "tree"}, /* a rest may be */
    {"GET", "a", "/users/7/posts/9", "tree"},
    {"GET", "a", "/users/me/posts", "mine"}, /* the first difference decides */
    {"GET", "a", "/users/me/a/b", "tree"},
    {"GET", "a", "/{}/7", "any"},
    {"GET", "a", "/42", "digits"},
    {"PUT", "a", "/42", "digits-put"},
    {"GET", "a", "/42/", "any"}, /* the whole path */
    {"PUT", "a", "/x", "any-put"},
    {"GET", "shop-1.x", "/x", "shop"},
    {"GET", "SHOP-1.X.", "/x", "shop"},
    {"GET", "shop-1.xx", "/x", "any"}, /* the whole host */
    {"GET", "shop-1.x", "/users/3", "shop-user"},
    {"PUT", "shop-7.x", "/x", "shop-7"},
    {"GET", "shop-7.x", "/x", "shop"},
};

static void add_special(struct field *field, size_t i)
{
    struct slice path = keep(field, special[i].path);
    add(field, special[i].name, 0, "", special[i].kind == '=' ? special[i].path : "",
        special[i].kind == '<' ? special[i].path : "");
    struct conf_match *match = &field->confs[field->count - 1].match;
    match->path_template = special[i].kind == '{' ? path : SLICE_NONE;
    match->path_regex = special[i].kind == '~' ? path : SLICE_NONE;
    match->host_regex = slice_from(special[i].host_regex);
    if (special[i].method[0] != '\0') {
        match->method = arena_zero(&field->arena, sizeof(*match->method));
        match->method[0] = slice_from(special[i].method);
        match->method_count = 1;
    }
}

START_TEST(templates_patterns_and_conditions)
{
    struct field field;
    struct pattern_work patterns;
    pattern_work_init(&patterns);
    field_init(&field, ARRAY_LEN(special));
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        add_special(&field, i);
    }
    build(&field);
    for (size_t i = 0; i < ARRAY_LEN(special_requests); i++) {
        const struct message request = {.method_text = slice_from(special_requests[i].method)};
        const struct route_question question = {.host = slice_from(special_requests[i].host),
                                                .path = slice_from(special_requests[i].path),
                                                .request = &request,
                                                .patterns = &patterns};
        const struct route *route = route_match(field.table, &question);
        ck_assert_msg(route != NULL && slice_eq(route->name, slice_from(special_requests[i].want)),
                      "%s %s%s: %.*s, wanted %s", special_requests[i].method,
                      special_requests[i].host, special_requests[i].path,
                      SLICE_ARG(route != NULL ? route->name : SLICE("none")),
                      special_requests[i].want);
    }
    field_fini(&field);
    pattern_work_fini(&patterns);
}
END_TEST

/* 1,000 hosts with 100 paths each, every route with a priority of its own. Each is asked for twice;
 * a walk over all of them would take minutes. */
START_TEST(a_hundred_thousand_routes)
{
    enum { HOSTS = 1000, PATHS = 100 };
    struct field field;
    field_init(&field, HOSTS * PATHS);
    for (uint32_t i = 0; i < HOSTS * PATHS; i++) {
        char name[16];
        char host[64];
        char path[64];
        (void)snprintf(name, sizeof(name), "r%u", i);
        (void)snprintf(host, sizeof(host), "%shost%u.example.com", i / PATHS % 3 == 0 ? "*." : "",
                       i / PATHS);
        (void)snprintf(path, sizeof(path), "/service/%u", i % PATHS);
        add(&field, name, (int32_t)i, host, "", path);
    }
    build(&field);
    for (uint32_t i = 0; i < HOSTS * PATHS; i++) {
        char host[64];
        char path[64];
        (void)snprintf(host, sizeof(host), "%shost%u.example.com",
                       i / PATHS % 3 == 0 ? "www.any." : "", i / PATHS);
        (void)snprintf(path, sizeof(path), "/service/%u", i % PATHS);
        ck_assert_ptr_eq(ask(field.table, slice_from(host), slice_from(path)), &field.routes[i]);
        (void)snprintf(path, sizeof(path), "/service/%u/orders/7/lines", i % PATHS);
        ck_assert_ptr_eq(ask(field.table, slice_from(host), slice_from(path)), &field.routes[i]);
    }
    ck_assert_ptr_null(ask(field.table, SLICE("host1.example.org"), SLICE("/service/1")));
    field_fini(&field);
}
END_TEST

/* Look-ups for one request among `count` routes, some with a template in place of a prefix. */
static uint32_t cost_among(uint32_t count)
{
    struct field field;
    field_init(&field, count);
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        char host[64];
        char path[64];
        (void)snprintf(name, sizeof(name), "r%u", i);
        (void)snprintf(host, sizeof(host), "host%u.example.com", i / 100);
        (void)snprintf(path, sizeof(path), i % 2 == 0 ? "/service%u" : "/service%u/{id}/x",
                       i % 100);
        add(&field, name, 0, host, "", i % 2 == 0 ? path : "");
        if (i % 2 != 0) {
            field.confs[i].match.path_template = keep(&field, path);
        }
    }
    build(&field);
    const struct route_question question = {.host = SLICE("host9.example.com"),
                                            .path = SLICE("/service42/a/b/c")};
    ck_assert_ptr_eq(route_match(field.table, &question), &field.routes[942]);
    uint32_t cost = route_match_cost(field.table, &question);
    field_fini(&field);
    return cost;
}

START_TEST(the_cost_is_not_of_the_number_of_routes)
{
    uint32_t of_thousand = cost_among(1000);
    ck_assert_uint_le(of_thousand, 10);
    ck_assert_uint_eq(cost_among(10000), of_thousand);
    ck_assert_uint_eq(cost_among(100000), of_thousand);
}
END_TEST

UNIT_TESTS("route", order_of_matches, names_and_protocols, nothing_matches_an_empty_table,
           overlong_hosts_match_by_their_end, random_tables_match_like_a_walk_over_all_routes,
           templates_patterns_and_conditions, a_hundred_thousand_routes,
           the_cost_is_not_of_the_number_of_routes)
