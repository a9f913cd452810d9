/* conf_check_tcp - listeners that pass bytes on, and their routes; see conf_check_inside.h. */
#include "conf/conf_check_inside.h"

#define PATH CONF_CHECK_PATH

/* Does it learn what name a client asks for? */
static bool has_names(const struct conf_listener *listener)
{
    return listener->protocol == CONF_PROTOCOL_TLS_PASSTHROUGH || listener->has_tls != 0 ||
           listener->proxy_protocol_from_count != 0; /* a proxy that ended TLS may say it */
}

static bool has_values(const struct conf_match_values *values)
{
    return values->exact_count + values->prefix_count + values->regex_count +
               values->present_count + values->absent_count !=
           0;
}

static bool check_match(const struct conf_route *route, const struct conf_listener *listener,
                        const struct conf_path *at, struct conf_errors *errors)
{
    const struct conf_match *says = &route->match;
    PATH(match, at, SLICE("match"));
    PATH(host, &match, SLICE("host"));
    PATH(host_regex, &match, SLICE("host_regex"));
    PATH(alpn, &match, SLICE("alpn"));
    const struct {
        const char *key;
        bool is_set;
    } requests[] = {
        {"path", says->path.len != 0},
        {"path_prefix", says->path_prefix.len != 0},
        {"path_template", says->path_template.len != 0},
        {"path_regex", says->path_regex.len != 0},
        {"method", says->method_count != 0},
        {"header", has_values(&says->header)},
        {"cookie", has_values(&says->cookie)},
        {"query", has_values(&says->query)},
    };
    const struct {
        const struct conf_path *field;
        bool is_set;
    } names[] = {{&host, says->host_count != 0},
                 {&host_regex, says->host_regex.len != 0},
                 {&alpn, says->alpn_count != 0}};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (requests[i].is_set) {
            PATH(field, &match, slice_from(requests[i].key));
            conf_errors_add(errors, &field, "invalid-value", SLICE_NONE,
                            "must be absent: listener '%.*s' speaks %s, which has no %s",
                            SLICE_ARG(listener->name), conf_protocol_word(listener->protocol),
                            i < 4 ? "paths" : "requests");
            ok = false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].is_set && !has_names(listener)) {
            conf_errors_add(errors, names[i].field, "invalid-value", SLICE_NONE,
                            "must be absent: listener '%.*s' is tcp without TLS, where clients ask "
                            "for no name, and no proxy before it tells one",
                            SLICE_ARG(listener->name));
            ok = false;
        }
    }
    return ok;
}

static bool check_route(const struct conf_route *route, const struct conf_listener *listener,
                        struct conf_errors *errors)
{
    PATH(routes, &conf_check_root, SLICE("routes"));
    PATH(at, &routes, route->name);
    bool ok = true;
    if (listener->protocol == CONF_PROTOCOL_HTTP) {
        if (route->match.alpn_count != 0) {
            PATH(match, &at, SLICE("match"));
            PATH(alpn, &match, SLICE("alpn"));
            conf_errors_add(errors, &alpn, "invalid-value", SLICE_NONE,
                            "must be absent: listener '%.*s' speaks http, whose routes are for "
                            "requests",
                            SLICE_ARG(listener->name));
            ok = false;
        }
        return ok;
    }
    ok = check_match(route, listener, &at, errors);
    if (route->action != CONF_ACTION_POOL) {
        PATH(action, &at, SLICE("action"));
        conf_errors_add(errors, &action, "invalid-value", SLICE_NONE,
                        "must be a pool: listener '%.*s' speaks %s and answers nothing by itself",
                        SLICE_ARG(listener->name), conf_protocol_word(listener->protocol));
        ok = false;
    }
    return ok;
}

/* The ClientHello of a client would go inside of TLS of our own. */
static void check_pool(struct conf_check *check, const struct conf_listener *listener,
                       const struct conf_pool *pool)
{
    PATH(pools, &conf_check_root, SLICE("pools"));
    PATH(at, &pools, pool->name);
    PATH(tls, &at, SLICE("tls"));
    PATH(http_version, &at, SLICE("http_version"));
    if (pool->has_tls != 0 && !conf_check_is_refused(check, &tls)) {
        conf_errors_add(check->errors, &tls, "invalid-value", SLICE_NONE,
                        "must be absent: listener '%.*s' is tls_passthrough, whose TLS is between "
                        "the clients and the servers",
                        SLICE_ARG(listener->name));
        check->ok = false;
    }
    if (pool->http_version != CONF_HTTP_VERSION_1) {
        conf_errors_warn(check->errors, &http_version, "no-effect",
                         "without effect for listener '%.*s', which is tls_passthrough",
                         SLICE_ARG(listener->name));
    }
}

/* Of the pool, and of those that stand in for it; that they may go round is told elsewhere. */
static void check_reached(struct conf_check *check, const struct conf_listener *listener,
                          struct slice name)
{
    if (listener->protocol != CONF_PROTOCOL_TLS_PASSTHROUGH) {
        return;
    }
    for (uint32_t i = 0; i <= CONF_CHECK_FALLBACKS_MAX && name.len != 0; i++) {
        const struct conf_pool *pool = conf_pool_find(check->conf, name);
        if (pool == NULL) {
            return;
        }
        check_pool(check, listener, pool);
        name = pool->fallback_pool;
    }
}

static void check_listener(struct conf_check *check, const struct conf_listener *listener)
{
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    PATH(at, &listeners, listener->name);
    if (listener->protocol == CONF_PROTOCOL_TLS_PASSTHROUGH && listener->has_tls != 0) {
        PATH(tls, &at, SLICE("tls"));
        conf_errors_add(check->errors, &tls, "invalid-value", SLICE_NONE,
                        "must be absent: with tls_passthrough TLS ends at the servers");
        check->ok = false;
    }
    if (listener->protocol != CONF_PROTOCOL_HTTP &&
        (listener->http2.enabled == 0 ||
         listener->http2.max_streams != CONF_HTTP2_STREAMS_PRESET)) {
        PATH(http2, &at, SLICE("http2"));
        conf_errors_warn(check->errors, &http2, "no-effect",
                         "without effect: 'protocol' is not http");
    }
    check_reached(check, listener, listener->default_pool);
}

void conf_check_tcp(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    struct conf_errors *errors = check->errors;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        check_listener(check, &conf->listeners[i]);
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_listener *listener = conf_listener_find(conf, conf->routes[i].listener);
        if (listener != NULL && !conf_protocol_is_mail(listener->protocol) &&
            !check_route(&conf->routes[i], listener, errors)) {
            check->ok = false;
        }
        if (listener != NULL) {
            check_reached(check, listener, conf->routes[i].pool);
        }
    }
}
