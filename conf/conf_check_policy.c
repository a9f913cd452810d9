/* conf_check_policy - policies, and the listeners and routes that name them. */
#include <stdlib.h>

#include "conf/conf_check_inside.h"
#include "lbd/base/mem.h"

#define PATH CONF_CHECK_PATH

/* A list of policies, wherever it stands. */
struct list {
    const struct slice *names;
    uint32_t count;
    const struct conf_path *path;
};

typedef void seen_fn(const struct list *list, void *arg);

/* Every list of policies in the document. */
static void each_list(const struct conf *conf, seen_fn *seen, void *arg)
{
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        PATH(at, &listeners, conf->listeners[i].name);
        PATH(field, &at, SLICE("policies"));
        struct list list = {conf->listeners[i].policies, conf->listeners[i].policy_count, &field};
        seen(&list, arg);
    }
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        PATH(at, &routes, conf->routes[i].name);
        PATH(field, &at, SLICE("policies"));
        struct list list = {conf->routes[i].policies, conf->routes[i].policy_count, &field};
        seen(&list, arg);
    }
}

/* An error when the name at `i` stands before it, too. */
static void check_twice(struct conf_check *check, const struct slice *names, uint32_t i,
                        const struct conf_path *item)
{
    for (uint32_t before = 0; before < i; before++) {
        if (slice_eq(names[i], names[before])) {
            conf_errors_add(check->errors, item, "duplicate", SLICE_NONE, "must not stand twice");
            check->ok = false;
            return;
        }
    }
}

static void check_list(const struct list *list, void *arg)
{
    struct conf_check *check = arg;
    const struct conf *conf = check->conf;
    const struct conf_check_names names = {conf->policies, conf->policy_count,
                                           sizeof(*conf->policies), "policy"};
    for (uint32_t i = 0; i < list->count; i++) {
        const struct conf_path item = {.parent = list->path, .index = i};
        conf_check_reference(check, &names, conf_policy_find(conf, list->names[i]) != NULL,
                             list->names[i], &item);
        check_twice(check, list->names, i, &item);
    }
}

/* -- address sets, which policies of the kind access name -- */

typedef void set_seen_fn(const struct conf_address_set *set, struct slice name,
                         const struct conf_path *item, void *arg);

/* Every name of one; `set` NULL: there is none. */
static void each_set(const struct conf *conf, set_seen_fn *seen, void *arg)
{
    PATH(policies, &conf_check_root, SLICE("policies"));
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        const struct conf_policy_access *access = &conf->policies[i].access;
        PATH(policy, &policies, conf->policies[i].name);
        PATH(at, &policy, SLICE("access"));
        PATH(allow, &at, SLICE("allow_sets"));
        PATH(deny, &at, SLICE("deny_sets"));
        const struct list lists[] = {{access->allow_sets, access->allow_set_count, &allow},
                                     {access->deny_sets, access->deny_set_count, &deny}};
        for (size_t k = 0; conf->policies[i].kind == CONF_POLICY_ACCESS && k < ARRAY_LEN(lists);
             k++) {
            for (uint32_t n = 0; n < lists[k].count; n++) {
                const struct conf_path item = {.parent = lists[k].path, .index = n};
                seen(conf_address_set_find(conf, lists[k].names[n]), lists[k].names[n], &item, arg);
            }
        }
    }
}

static void check_set(const struct conf_address_set *set, struct slice name,
                      const struct conf_path *item, void *arg)
{
    struct conf_check *check = arg;
    const struct conf_check_names names = {check->conf->address_sets,
                                           check->conf->address_set_count,
                                           sizeof(*check->conf->address_sets), "address set"};
    conf_check_reference(check, &names, set != NULL, name, item);
}

static void check_access(struct conf_check *check, const struct conf_policy_access *access,
                         const struct conf_path *path)
{
    if (access->allow_count + access->deny_count + access->allow_set_count +
            access->deny_set_count ==
        0) {
        conf_errors_add(check->errors, path, "invalid-value", SLICE_NONE,
                        "needs 'allow', 'deny', 'allow_sets' or 'deny_sets'");
        check->ok = false;
    }
}

static void fail_key(struct conf_check *check, const struct conf_path *path, const char *field,
                     const char *code, const char *problem)
{
    PATH(key, path, SLICE("key"));
    PATH(at, &key, slice_from(field));
    conf_errors_add(check->errors, &at, code, SLICE_NONE, "%s", problem);
    check->ok = false;
}

static void check_key(struct conf_check *check, const struct conf_policy_key *key,
                      const struct conf_path *path)
{
    bool wants_name = key->by == CONF_KEY_HEADER || key->by == CONF_KEY_COOKIE;
    if (wants_name && key->name.len == 0) {
        fail_key(check, path, "name", "missing-key", "must be set: of which header or cookie?");
    } else if (!wants_name && key->name.len != 0) {
        fail_key(check, path, "name", "not-applicable",
                 "must be absent: 'by' is neither header nor cookie");
    } else if (!wants_name && key->missing != CONF_KEY_MISSING_TOGETHER) {
        fail_key(check, path, "missing", "not-applicable",
                 "must be absent: 'by' is neither header nor cookie");
    } else if (key->by == CONF_KEY_HEADER && slice_eq_nocase(key->name, SLICE("host"))) {
        fail_key(check, path, "name", "invalid-value",
                 "must not be Host: its spelling is the client's; let routes tell hosts apart");
    } else if (wants_name) {
        const char *problem = conf_check_value_name_problem(key->by == CONF_KEY_HEADER, key->name);
        if (problem != NULL) {
            fail_key(check, path, "name", "invalid-value", problem);
        }
    }
}

/* A type and a subtype or a star, or a star and a suffix ("*+json"). */
static bool is_type_pattern(struct slice text)
{
    struct slice rest = text;
    struct slice type;
    (void)slice_split(&rest, '/', &type);
    if (slice_starts(text, SLICE("*+"))) {
        return text.len > 2 && slice_find(slice_from_at(text, 1), '*') == SIZE_MAX &&
               slice_find(text, '/') == SIZE_MAX;
    }
    bool has_star = slice_find(rest, '*') != SIZE_MAX && rest.len != 1;
    return type.len > 0 && rest.len > 0 && slice_find(type, '*') == SIZE_MAX && !has_star &&
           slice_find(rest, '/') == SIZE_MAX && slice_find(text, ';') == SIZE_MAX &&
           slice_find(text, ' ') == SIZE_MAX;
}

static void check_encodings(struct conf_check *check, const struct conf_policy_compression *policy,
                            const struct conf_path *path)
{
    PATH(encodings, path, SLICE("encodings"));
    for (uint32_t i = 0; i < policy->encoding_count; i++) {
        const struct conf_path item = {.parent = &encodings, .index = i};
        enum conf_encoding encoding = conf_encoding_of(policy->encodings[i]);
        if (encoding == CONF_ENCODING_COUNT) {
            continue; /* its format is wrong, which was said */
        }
        if (!conf_encoding_is_built(encoding)) {
            conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE,
                            "must be an encoding that this lbd was built with ('lbd --version' "
                            "lists them): it was built without '%s'",
                            conf_encoding_word(encoding));
            check->ok = false;
        }
        check_twice(check, policy->encodings, i, &item);
    }
}

static void check_types(struct conf_check *check, const struct conf_policy_compression *policy,
                        const struct conf_path *path)
{
    PATH(types, path, SLICE("types"));
    for (uint32_t i = 0; i < policy->type_count; i++) {
        const struct conf_path item = {.parent = &types, .index = i};
        if (!is_type_pattern(policy->types[i])) {
            conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE,
                            "must be a media type without parameters, 'text/html', or 'text/*', or "
                            "'*+json'");
            check->ok = false;
        }
    }
}

static void check_keys(struct conf_check *check, const struct conf_policy *policy,
                       const struct conf_path *at)
{
    bool has_file = policy->jwt.keys_file.len != 0;
    bool has_url = policy->jwt.keys_url.len != 0;
    PATH(jwt, at, SLICE("jwt"));
    if (has_file == has_url && (has_file || !conf_check_is_refused(check, &jwt))) {
        conf_errors_add(check->errors, &jwt, "invalid-value", SLICE_NONE,
                        "needs either 'keys_file' or 'keys_url'");
        check->ok = false;
    }
}

static void check_algorithms(struct conf_check *check, const struct conf_policy_jwt *jwt,
                             const struct conf_path *path)
{
    static const struct slice known[] = {SLICE_INIT("RS256"), SLICE_INIT("ES256"),
                                         SLICE_INIT("EdDSA"), SLICE_INIT("HS256")};
    PATH(algorithms, path, SLICE("algorithms"));
    for (uint32_t i = 0; i < jwt->algorithm_count; i++) {
        const struct conf_path item = {.parent = &algorithms, .index = i};
        bool is_known = false;
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            is_known = is_known || slice_eq(jwt->algorithms[i], known[k]);
        }
        if (!is_known) {
            conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE,
                            "must be one of \"RS256\", \"ES256\", \"EdDSA\", \"HS256\"");
            check->ok = false;
        }
    }
}

static void check_ca(struct conf_check *check, const struct conf_policy *policy,
                     const struct conf_path *path)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names names = {conf->ca_sets, conf->ca_set_count,
                                           sizeof(*conf->ca_sets), "CA set"};
    PATH(kind, path, slice_from(conf_policy_word(policy->kind)));
    PATH(ca, &kind, SLICE("ca"));
    conf_check_reference(check, &names, conf_ca_set_find(conf, conf_policy_ca(policy)) != NULL,
                         conf_policy_ca(policy), &ca);
}

void conf_check_policy(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    each_list(conf, check_list, check);
    each_set(conf, check_set, check);
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        PATH(at, &listeners, listener->name);
        PATH(field, &at, SLICE("policies"));
        for (uint32_t k = 0; listener->protocol != CONF_PROTOCOL_HTTP && k < listener->policy_count;
             k++) {
            const struct conf_policy *policy = conf_policy_find(conf, listener->policies[k]);
            const struct conf_path item = {.parent = &field, .index = k};
            if (policy != NULL && policy->kind != CONF_POLICY_ACCESS) {
                conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE,
                                "must be of the kind access: 'protocol' is not http");
                check->ok = false;
            }
        }
    }
    PATH(policies, &conf_check_root, SLICE("policies"));
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        const struct conf_policy *policy = &conf->policies[i];
        PATH(at, &policies, policy->name);
        if (conf_errors_has(check->errors, &at)) {
            continue; /* it has no kind, or several */
        }
        switch (policy->kind) {
        case CONF_POLICY_ACCESS: {
            PATH(access, &at, SLICE("access"));
            check_access(check, &policy->access, &access);
            break;
        }
        case CONF_POLICY_RATE_LIMIT: {
            PATH(rate_limit, &at, SLICE("rate_limit"));
            check_key(check, &policy->rate_limit.key, &rate_limit);
            break;
        }
        case CONF_POLICY_CONCURRENCY: {
            PATH(concurrency, &at, SLICE("concurrency"));
            check_key(check, &policy->concurrency.key, &concurrency);
            break;
        }
        case CONF_POLICY_BASIC_AUTH:
            conf_check_policy_told(check, policy, &at);
            if (policy->basic_auth.user_count == 0 && policy->basic_auth.users_file.len == 0) {
                PATH(basic, &at, SLICE("basic_auth"));
                conf_errors_add(check->errors, &basic, "invalid-value", SLICE_NONE,
                                "needs 'users', 'users_file' or both");
                check->ok = false;
            }
            break;
        case CONF_POLICY_JWT: {
            PATH(jwt, &at, SLICE("jwt"));
            conf_check_policy_told(check, policy, &at);
            check_keys(check, policy, &at);
            check_algorithms(check, &policy->jwt, &jwt);
            check_ca(check, policy, &at);
            break;
        }
        case CONF_POLICY_EXTERNAL_AUTH:
            conf_check_policy_told(check, policy, &at);
            check_ca(check, policy, &at);
            break;
        case CONF_POLICY_BANDWIDTH: {
            PATH(bandwidth, &at, SLICE("bandwidth"));
            check_key(check, &policy->bandwidth.key, &bandwidth);
            if (policy->bandwidth.per_request_bytes == 0 && policy->bandwidth.per_key_bytes == 0) {
                conf_errors_add(check->errors, &bandwidth, "invalid-value", SLICE_NONE,
                                "needs 'per_request', 'per_key' or both");
                check->ok = false;
            }
            break;
        }
        case CONF_POLICY_COMPRESSION: {
            PATH(compression, &at, SLICE("compression"));
            check_encodings(check, &policy->compression, &compression);
            check_types(check, &policy->compression, &compression);
            break;
        }
        case CONF_POLICY_HEADERS:
        case CONF_POLICY_CORS:
            conf_check_policy_heads(check, policy, &at);
            break;
        case CONF_POLICY_SECURITY_HEADERS:
        case CONF_POLICY_MAINTENANCE:
        case CONF_POLICY_BODY_SIZE:
        case CONF_POLICY_KIND_COUNT:
            break;
        }
    }
}

/* -- policies that cannot do on a route what they are for -- */

static bool has_name(const struct slice *names, uint32_t count, struct slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool takes_options(const struct conf_route *route)
{
    return route->match.method_count == 0 ||
           has_name(route->match.method, route->match.method_count, SLICE("OPTIONS"));
}

/* Does the listener, or a route of it that takes OPTIONS, name the policy, too? */
static bool has_preflights(const struct conf *conf, const struct conf_route *route,
                           struct slice policy)
{
    const struct conf_listener *listener = conf_listener_find(conf, route->listener);
    if (listener != NULL && has_name(listener->policies, listener->policy_count, policy)) {
        return true;
    }
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *other = &conf->routes[i];
        if (slice_eq(other->listener, route->listener) && takes_options(other) &&
            has_name(other->policies, other->policy_count, policy)) {
            return true;
        }
    }
    return false;
}

static void warn_preflights(struct conf_check *check, const struct conf_route *route,
                            const struct conf_path *here)
{
    PATH(field, here, SLICE("policies"));
    for (uint32_t i = 0; !takes_options(route) && i < route->policy_count; i++) {
        const struct conf_policy *policy = conf_policy_find(check->conf, route->policies[i]);
        const struct conf_path item = {.parent = &field, .index = i};
        if (policy != NULL && policy->kind == CONF_POLICY_CORS &&
            !has_preflights(check->conf, route, policy->name)) {
            conf_errors_warn(check->errors, &item, "no-preflights",
                             "preflights are OPTIONS, which match.method of this route leaves out");
        }
    }
}

void conf_check_policy_routes(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(routes, &conf_check_root, SLICE("routes"));
    /* each looks at the other routes: no further than it can be told */
    for (uint32_t i = 0; i < conf->route_count && check->errors->warning_count < CONF_ERRORS_MAX;
         i++) {
        const struct conf_route *route = &conf->routes[i];
        PATH(here, &routes, route->name);
        warn_preflights(check, route, &here);
    }
}

/* -- who uses them -- */

struct noting {
    const struct conf *conf;
    bool *used;
};

static void note_list(const struct list *list, void *arg)
{
    struct noting *noting = arg;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct conf_policy *policy = conf_policy_find(noting->conf, list->names[i]);
        if (policy != NULL) {
            noting->used[policy - noting->conf->policies] = true;
        }
    }
}

void conf_check_policy_unused(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    struct noting noting = {conf, mem_zero(conf->policy_count + 1, sizeof(bool))};
    each_list(conf, note_list, &noting);
    PATH(policies, &conf_check_root, SLICE("policies"));
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        if (!noting.used[i]) {
            PATH(at, &policies, conf->policies[i].name);
            conf_errors_warn(check->errors, &at, "unused-policy",
                             "no listener and no route names it");
        }
    }
    free(noting.used);
}

struct search {
    struct slice name;
    struct conf_errors *errors;
    bool is_unused;
};

static void find_user(const struct list *list, void *arg)
{
    struct search *search = arg;
    for (uint32_t i = 0; i < list->count; i++) {
        if (slice_eq(list->names[i], search->name)) {
            const struct conf_path item = {.parent = list->path, .index = i};
            search->is_unused =
                conf_check_report_user(search->errors, &item, SLICE("policies"), search->name);
        }
    }
}

bool conf_check_policy_is_unused(const struct conf *conf, struct slice name,
                                 struct conf_errors *errors)
{
    struct search search = {name, errors, true};
    each_list(conf, find_user, &search);
    return search.is_unused;
}

struct set_use {
    const struct conf *conf;
    bool *used;
};

static void note_set(const struct conf_address_set *set, struct slice name,
                     const struct conf_path *item, void *arg)
{
    struct set_use *use = arg;
    (void)name;
    (void)item;
    if (set != NULL) {
        use->used[set - use->conf->address_sets] = true;
    }
}

void conf_check_address_sets_unused(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    struct set_use use = {conf, mem_zero(conf->address_set_count + 1, sizeof(bool))};
    each_set(conf, note_set, &use);
    PATH(sets, &conf_check_root, SLICE("address_sets"));
    for (uint32_t i = 0; i < conf->address_set_count; i++) {
        if (!use.used[i]) {
            PATH(at, &sets, conf->address_sets[i].name);
            conf_errors_warn(check->errors, &at, "unused-address-set", "no policy names it");
        }
    }
    free(use.used);
}

static void find_set_user(const struct conf_address_set *set, struct slice name,
                          const struct conf_path *item, void *arg)
{
    struct search *search = arg;
    (void)set;
    if (slice_eq(name, search->name)) {
        search->is_unused =
            conf_check_report_user(search->errors, item, SLICE("address_sets"), search->name);
    }
}

bool conf_check_address_set_is_unused(const struct conf *conf, struct slice name,
                                      struct conf_errors *errors)
{
    struct search search = {name, errors, true};
    each_set(conf, find_set_user, &search);
    return search.is_unused;
}
