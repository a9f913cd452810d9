/* conf_check_route - what routes match, and which of them can never; see conf_check_inside.h. */
#include <stdlib.h>

#include "conf/conf_check_inside.h"
#include "lbd/base/addr.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/base/path_template.h"
#include "lbd/base/pattern.h"

enum { MATCH_BYTES_MAX = 65536 }; /* all that a route matches, as text */

#define PATH CONF_CHECK_PATH

/* -- shadows -- */

static uint32_t values_count(const struct conf_match_values *values)
{
    return values->exact_count + values->prefix_count + values->regex_count +
           values->present_count + values->absent_count;
}

/* As route_condition_count has it. */
static uint32_t conditions_count(const struct conf_match *match)
{
    return (match->method_count != 0 ? 1U : 0U) + (match->source_count != 0 ? 1U : 0U) +
           values_count(&match->header) + values_count(&match->cookie) +
           values_count(&match->query);
}

/* The order in which routes of one listener are tried where their hosts and paths are the same. */
static int compare_routes(const void *a, const void *b)
{
    const struct conf_route *const *left = a;
    const struct conf_route *const *right = b;
    uint32_t left_count = conditions_count(&(*left)->match);
    uint32_t right_count = conditions_count(&(*right)->match);
    if ((*left)->priority != (*right)->priority) {
        return (*left)->priority > (*right)->priority ? -1 : 1;
    }
    if (left_count != right_count) {
        return left_count > right_count ? -1 : 1;
    }
    return slice_compare((*left)->name, (*right)->name);
}

static bool is_catch_all(const struct conf_route *route)
{
    const struct conf_match *match = &route->match;
    return match->host_count == 0 && match->host_regex.len == 0 && match->path.len == 0 &&
           match->path_template.len == 0 && match->path_regex.len == 0 && match->alpn_count == 0 &&
           (match->path_prefix.len == 0 || slice_eq(match->path_prefix, SLICE("/"))) &&
           conditions_count(match) == 0;
}

static void append_pairs(char mark, const struct conf_header *pairs, uint32_t count,
                         struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)buf_printf(out, "\n%c%zu:%.*s %zu:%.*s", mark, pairs[i].name.len,
                         SLICE_ARG(pairs[i].name), pairs[i].value.len, SLICE_ARG(pairs[i].value));
    }
}

static void append_list(char mark, const struct slice *list, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)buf_printf(out, "\n%c%zu:%.*s", mark, list[i].len, SLICE_ARG(list[i]));
    }
}

static void append_values(char mark, const struct conf_match_values *values, struct buf *out)
{
    (void)buf_printf(out, "\n%c", mark);
    append_pairs('=', values->exact, values->exact_count, out);
    append_pairs('^', values->prefix, values->prefix_count, out);
    append_pairs('~', values->regex, values->regex_count, out);
    append_list('+', values->present, values->present_count, out);
    append_list('-', values->absent, values->absent_count, out);
}

/* All that a route asks for beyond host and path, as text; nothing of one without conditions. */
static void append_conditions(const struct conf_match *match, struct buf *out)
{
    if (conditions_count(match) == 0) {
        return;
    }
    append_list('M', match->method, match->method_count, out);
    append_list('S', match->source, match->source_count, out);
    append_values('H', &match->header, out);
    append_values('C', &match->cookie, out);
    append_values('Q', &match->query, out);
}

/* A template with its variables' names taken out: those do not matter. */
static void append_template(struct slice text, struct buf *out)
{
    struct path_template_piece piece;
    const char *problem = NULL;
    while (path_template_next(&text, &piece, &problem)) {
        bool is_rest = slice_ends(piece.text, SLICE("*"));
        (void)buf_append_slice(out, !piece.is_name ? piece.text
                                    : is_rest      ? SLICE("{*}")
                                                   : SLICE("{}"));
    }
}

/* What a route matches with one of its hosts and protocols, as text: the same text, the same
 * requests. */
static void match_key(const struct conf_route *route, struct slice host, struct slice alpn,
                      struct buf *out)
{
    const struct conf_match *match = &route->match;
    struct slice prefix = match->path_prefix;
    buf_clear(out);
    (void)buf_printf(out, "%.*s\n%s%.*s\n", SLICE_ARG(route->listener),
                     match->host_regex.len > 0 ? "~" : "",
                     SLICE_ARG(match->host_regex.len > 0 ? match->host_regex : host));
    if (alpn.len > 0) {
        (void)buf_append_char(out, ' '); /* no path begins so */
        (void)buf_append_slice(out, alpn);
    } else if (match->path.len > 0) {
        (void)buf_append_char(out, '=');
        (void)buf_append_slice(out, match->path);
    } else if (match->path_template.len > 0) {
        (void)buf_append_char(out, '{');
        append_template(match->path_template, out);
    } else if (match->path_regex.len > 0) {
        (void)buf_append_char(out, '~');
        (void)buf_append_slice(out, match->path_regex);
    } else {
        (void)buf_append_slice(out, prefix.len > 0 ? prefix : SLICE("/"));
    }
}

/* Who has all of this host and path, or exactly these conditions there; NULL: nobody yet. */
static const struct conf_route *owner_of(const struct map *taken, const struct conf_match *match,
                                         struct buf *key)
{
    const struct conf_route *owner = map_get(taken, buf_slice(key));
    append_conditions(match, key);
    return owner != NULL ? owner : map_get(taken, buf_slice(key));
}

/* Takes all of the route's matches for it; returns the route that had all of them before, or NULL.
 */
static const struct conf_route *claim_matches(struct map *taken, struct conf_route *route,
                                              struct buf *key)
{
    const struct conf_route *owner = NULL;
    bool all_taken = true;
    const struct conf_match *match = &route->match;
    uint32_t hosts = match->host_count > 0 ? match->host_count : 1;
    uint32_t protocols = match->alpn_count > 0 ? match->alpn_count : 1;
    for (uint32_t i = 0; i < hosts * protocols; i++) {
        struct slice host = match->host_count > 0 ? match->host[i / protocols] : SLICE("*");
        struct slice alpn = match->alpn_count > 0 ? match->alpn[i % protocols] : SLICE_NONE;
        if (host.len == 0) {
            return NULL; /* it was refused: nobody knows what it would match */
        }
        match_key(route, host, alpn, key);
        const struct conf_route *before = owner_of(taken, match, key);
        if (key->overflow) {
            return NULL; /* too much to compare */
        }
        if (before == NULL) {
            (void)map_put(taken, buf_slice(key), route);
            all_taken = false;
        } else if (before != route) { /* its own host, named twice, is no shadow */
            owner = before;
        }
    }
    return all_taken ? owner : NULL;
}

static void warn_shadowed(struct conf_check *check, const struct conf_route *route, struct slice by)
{
    PATH(routes, &conf_check_root, SLICE("routes"));
    PATH(at, &routes, route->name);
    PATH(other, &routes, by);
    PATH(match, &other, SLICE("match"));
    if (conf_errors_has_below(check->errors, &match)) {
        return; /* what it takes when that is put right nobody knows */
    }
    conf_errors_warn(check->errors, &at, "shadowed-route",
                     "never used: route '%.*s' takes its requests first", SLICE_ARG(by));
}

/* Sure cases only: all of what a route matches belongs to routes that are tried before, word for
 * word or because one of a higher priority takes everything. */
void conf_check_shadows(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    if (conf->route_count < 2) {
        return;
    }
    struct conf_route **order = mem_alloc(conf->route_count * sizeof(*order));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        order[i] = &conf->routes[i];
    }
    qsort(order, conf->route_count, sizeof(*order), compare_routes);

    struct map taken;     /* match -> the route that has it */
    struct map catch_all; /* listener -> the first route there that takes everything */
    struct buf key;
    map_init(&taken);
    map_init(&catch_all);
    buf_init(&key, MATCH_BYTES_MAX);
    for (uint32_t i = 0; i < conf->route_count; i++) {
        struct conf_route *route = order[i];
        const struct conf_route *by = claim_matches(&taken, route, &key);
        const struct conf_route *all = map_get(&catch_all, route->listener);
        if (by != NULL) {
            warn_shadowed(check, route, by->name);
        } else if (all != NULL && all->priority > route->priority) {
            warn_shadowed(check, route, all->name);
        } else if (all == NULL && is_catch_all(route)) {
            (void)map_put(&catch_all, route->listener, route);
        }
    }
    buf_fini(&key);
    map_fini(&catch_all);
    map_fini(&taken);
    free(order);
}

/* -- what each says -- */

static void check_pattern(struct conf_check *check, struct slice text, const struct conf_path *at)
{
    struct err err;
    if (text.len != 0 && !pattern_check(text, &err)) {
        conf_errors_add(check->errors, at, "invalid-value", SLICE_NONE,
                        "must be a regular expression: %s", err.text);
        check->ok = false;
    }
}

static void check_values(struct conf_check *check, const struct conf_match_values *values,
                         const struct conf_path *match, struct slice key)
{
    PATH(at, match, key);
    PATH(regex, &at, SLICE("regex"));
    for (uint32_t i = 0; i < values->regex_count; i++) {
        PATH(entry, &regex, values->regex[i].name);
        check_pattern(check, values->regex[i].value, &entry);
    }
}

/* A request with such a header is refused before any route is looked for (R9). */
static void warn_header(struct conf_check *check, struct slice name, const struct conf_path *at,
                        bool is_wanted)
{
    if (conf_check_value_name_problem(true, name) != NULL) {
        conf_errors_warn(check->errors, at, "no-effect",
                         is_wanted ? "can never match: requests with a header of such a name are "
                                     "refused (bad_header)"
                                   : "without effect: requests with a header of such a name are "
                                     "refused (bad_header)");
    }
}

static void warn_headers(struct conf_check *check, const struct conf_match_values *values,
                         const struct conf_path *match)
{
    PATH(at, match, SLICE("header"));
    PATH(exact, &at, SLICE("exact"));
    PATH(prefix, &at, SLICE("prefix"));
    PATH(regex, &at, SLICE("regex"));
    PATH(present, &at, SLICE("present"));
    PATH(absent, &at, SLICE("absent"));
    const struct {
        const struct conf_header *list;
        uint32_t count;
        const struct conf_path *path;
    } pairs[] = {{values->exact, values->exact_count, &exact},
                 {values->prefix, values->prefix_count, &prefix},
                 {values->regex, values->regex_count, &regex}};
    for (size_t k = 0; k < ARRAY_LEN(pairs); k++) {
        for (uint32_t i = 0; i < pairs[k].count; i++) {
            PATH(entry, pairs[k].path, pairs[k].list[i].name);
            warn_header(check, pairs[k].list[i].name, &entry, true);
        }
    }
    for (uint32_t i = 0; i < values->present_count; i++) {
        const struct conf_path item = {.parent = &present, .index = i};
        warn_header(check, values->present[i], &item, true);
    }
    for (uint32_t i = 0; i < values->absent_count; i++) {
        const struct conf_path item = {.parent = &absent, .index = i};
        warn_header(check, values->absent[i], &item, false);
    }
}

static void check_match(struct conf_check *check, const struct conf_match *match,
                        const struct conf_path *route)
{
    PATH(at, route, SLICE("match"));
    PATH(host_regex, &at, SLICE("host_regex"));
    PATH(path_regex, &at, SLICE("path_regex"));
    check_pattern(check, match->host_regex, &host_regex);
    check_pattern(check, match->path_regex, &path_regex);
    check_values(check, &match->header, &at, SLICE("header"));
    warn_headers(check, &match->header, &at);
    check_values(check, &match->cookie, &at, SLICE("cookie"));
    check_values(check, &match->query, &at, SLICE("query"));
    if (match->host_regex.len != 0 && match->host_count != 0) {
        conf_errors_add(check->errors, &host_regex, "invalid-value", SLICE_NONE,
                        "must be absent beside 'host'");
        check->ok = false;
    }
}

static void refuse(struct conf_check *check, const struct conf_path *at, const char *must)
{
    conf_errors_add(check->errors, at, "invalid-value", SLICE_NONE, "%s", must);
    check->ok = false;
}

/* Is there something that `name` in braces stands for? */
static bool has_variable(const struct conf_match *match, struct slice name)
{
    struct slice rest = match->path_template;
    struct path_template_piece piece;
    const char *problem = NULL;
    while (path_template_next(&rest, &piece, &problem)) {
        struct slice variable = slice_ends(piece.text, SLICE("*"))
                                    ? slice_of(piece.text.ptr, piece.text.len - 1)
                                    : piece.text;
        if (piece.is_name && slice_eq(variable, name)) {
            return true;
        }
    }
    uint64_t number = 0;
    return match->path_regex.len != 0 && num_parse_u64(name, &number) &&
           number <= pattern_count_groups(match->path_regex);
}

static void check_variables(struct conf_check *check, const struct conf_match *match,
                            struct slice text, const struct conf_path *at)
{
    struct path_template_piece piece;
    const char *problem = NULL;
    while (path_template_next(&text, &piece, &problem)) {
        if (piece.is_name && !has_variable(match, piece.text)) {
            conf_errors_add(check->errors, at, "invalid-value", SLICE_NONE,
                            "holds {%.*s}, which is no variable of match.path_template and no "
                            "group of match.path_regex",
                            SLICE_ARG(piece.text));
            check->ok = false;
        }
    }
}

static void check_rewrite(struct conf_check *check, const struct conf_route *route,
                          const struct conf_path *here)
{
    const struct conf_rewrite *rewrite = &route->rewrite;
    PATH(at, here, SLICE("rewrite"));
    PATH(path, &at, SLICE("path"));
    bool has_prefix = rewrite->prefix.len != 0 || rewrite->strip_prefix != 0;
    if ((rewrite->path.len != 0 ? 1 : 0) + (rewrite->prefix.len != 0 ? 1 : 0) +
            (rewrite->strip_prefix != 0 ? 1 : 0) >
        1) {
        refuse(check, &at, "must have at most one of 'path', 'prefix', 'strip_prefix'");
    }
    if (has_prefix && route->match.path_prefix.len == 0) {
        refuse(check, &at, "must have 'prefix' or 'strip_prefix' only beside match.path_prefix");
    }
    if ((has_prefix || rewrite->path.len != 0 || rewrite->host.len != 0) &&
        conf_route_pool(route, 0).len == 0) {
        refuse(check, &at, "must be empty: the route leads to no pool");
    }
    check_variables(check, &route->match, rewrite->path, &path);
}

static void check_split(struct conf_check *check, const struct conf_route *route,
                        const struct conf_path *action)
{
    const struct conf_split *split = &route->split;
    PATH(at, action, SLICE("split"));
    PATH(pools, &at, SLICE("pools"));
    PATH(name, &at, SLICE("name"));
    uint64_t sum = 0;
    for (uint32_t i = 0; i < split->pool_count; i++) {
        sum += split->pools[i].weight;
    }
    if (sum == 0 && !conf_errors_has(check->errors, &pools)) {
        refuse(check, &pools, "must have a weight above 0");
    }
    bool has_name = split->key == CONF_SPLIT_KEY_HEADER || split->key == CONF_SPLIT_KEY_COOKIE;
    if (has_name != (split->name.len != 0)) {
        refuse(check, &name, "must be set when 'key' is header or cookie, and only then");
    }
    if (split->has_cookie != 0) {
        conf_check_split_cookie(check, route, &at);
    }
}

static void check_redirect(struct conf_check *check, const struct conf_route *route,
                           const struct conf_path *action)
{
    const struct conf_redirect *redirect = &route->redirect;
    PATH(at, action, SLICE("redirect"));
    PATH(path, &at, SLICE("path"));
    bool has_parts = redirect->scheme != CONF_SCHEME_SAME || redirect->host.len != 0 ||
                     redirect->port != 0 || redirect->path.len != 0;
    if ((route->redirect_location.len != 0) == has_parts) {
        refuse(check, &at,
               "must have either 'location', or one of 'scheme', 'host', 'port', 'path'");
    }
    PATH(host, &at, SLICE("host"));
    struct slice name;
    uint16_t port = 0;
    if (addr_split(redirect->host, false, &name, &port)) {
        refuse(check, &host, "must be without a port: 'port' says it");
    }
    check_variables(check, &route->match, redirect->path, &path);
}

/* What we send has names of letters, digits and hyphens (R9), and each once. */
static void check_headers(struct conf_check *check, const struct conf_header *headers,
                          uint32_t count, const struct conf_path *answer)
{
    PATH(at, answer, SLICE("headers"));
    for (uint32_t i = 0; i < count; i++) {
        PATH(header, &at, headers[i].name);
        for (size_t c = 0; c < headers[i].name.len; c++) {
            char letter = slice_lower(headers[i].name.ptr[c]);
            if ((letter < 'a' || letter > 'z') && (letter < '0' || letter > '9') && letter != '-') {
                refuse(check, &header, "must have a name of letters, digits and '-'");
                break;
            }
        }
        if (slice_eq_nocase(headers[i].name, SLICE("content-type")) ||
            slice_eq_nocase(headers[i].name, SLICE("location")) ||
            slice_eq_nocase(headers[i].name, SLICE("date")) ||
            conf_check_is_reason_header(headers[i].name)) {
            refuse(check, &header, CONF_CHECK_OURS);
        }
    }
    conf_check_header_twice(check, headers, count, &at);
}

/* Copies go out as HTTP/1.1 and without a PROXY header. */
static void check_mirror(struct conf_check *check, const struct conf_route *route,
                         const struct conf_path *action)
{
    const struct conf_pool *pool =
        route->mirror.pool.len != 0 ? conf_pool_find(check->conf, route->mirror.pool) : NULL;
    PATH(at, action, SLICE("mirror"));
    if (route->mirror.pool.len != 0 && conf_route_pool(route, 0).len == 0) {
        refuse(check, &at, "must be absent: the route leads to no pool");
    }
    if (pool != NULL && (pool->http_version == CONF_HTTP_VERSION_2 ||
                         (pool->http_version == CONF_HTTP_VERSION_AUTO && pool->has_tls != 0))) {
        refuse(check, &at, "must name a pool that speaks HTTP/1.1");
    }
    if (pool != NULL && pool->send_proxy != CONF_SEND_PROXY_OFF) {
        refuse(check, &at, "must name a pool without send_proxy");
    }
}

static void check_answer(struct conf_check *check, const struct conf_route *route,
                         const struct conf_path *action)
{
    PATH(respond, action, SLICE("respond"));
    PATH(redirect, action, SLICE("redirect"));
    bool has_file = route->respond_file.len > 0;
    PATH(body, &respond, has_file ? SLICE("body_file") : SLICE("body"));
    uint32_t status = route->respond_status;
    switch (route->action) {
    case CONF_ACTION_POOL:
        break;
    case CONF_ACTION_RESPOND:
        if ((status == 204 || status == 205 || status == 304) && /* RFC 9110 6.4.1 */
            (route->respond_body.len > 0 || has_file)) {
            conf_errors_add(check->errors, &body, "invalid-value", SLICE_NONE,
                            has_file ? "must not be there: an answer with status %u has no body"
                                     : "must be empty: an answer with status %u has no body",
                            status);
            check->ok = false;
        }
        check_headers(check, route->respond_headers, route->respond_header_count, &respond);
        break;
    case CONF_ACTION_REDIRECT:
        check_redirect(check, route, action);
        check_headers(check, route->redirect_headers, route->redirect_header_count, &redirect);
        break;
    case CONF_ACTION_SPLIT:
        check_split(check, route, action);
        break;
    }
}

/* Of a route that answers by itself: what speaks of a server's answer. */
static void warn_without_pool(struct conf_check *check, const struct conf_route *route,
                              const struct conf_path *here)
{
    PATH(timeouts, here, SLICE("timeouts"));
    PATH(buffering, here, SLICE("buffering"));
    if (route->action != CONF_ACTION_RESPOND && route->action != CONF_ACTION_REDIRECT) {
        return;
    }
    if (route->timeouts.response_ms != 0 || route->timeouts.idle_ms != 0) {
        conf_errors_warn(check->errors, &timeouts, "no-effect",
                         "without effect: the route answers by itself");
    }
    if (route->buffering.request_bytes != 0 || route->buffering.response_bytes != 0) {
        conf_errors_warn(check->errors, &buffering, "no-effect",
                         "without effect: the route answers by itself");
    }
}

void conf_check_routes(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        PATH(here, &routes, route->name);
        PATH(action, &here, SLICE("action"));
        check_match(check, &route->match, &here);
        check_rewrite(check, route, &here);
        check_answer(check, route, &action);
        check_mirror(check, route, &action);
        warn_without_pool(check, route, &here);
    }
}
