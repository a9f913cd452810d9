#include "conf/conf.h"

#include <stdlib.h>

#include "lbd/base/mem.h"

/* The index of `name` among `count` elements of `size` bytes that begin with their name, sorted; or
 * NULL. */
static const void *find(const void *array, uint32_t count, size_t size, struct slice name)
{
    const char *base = array;
    size_t from = 0;
    size_t to = count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct slice *here = (const void *)(base + middle * size);
        int order = slice_compare(name, *here);
        if (order == 0) {
            return here;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return NULL;
}

static_assert(
    offsetof(struct conf_listener, name) == 0 && offsetof(struct conf_route, name) == 0 &&
        offsetof(struct conf_policy, name) == 0 && offsetof(struct conf_address_set, name) == 0 &&
        offsetof(struct conf_pool, name) == 0 && offsetof(struct conf_server, name) == 0 &&
        offsetof(struct conf_health_check, name) == 0 &&
        offsetof(struct conf_certificate, name) == 0 && offsetof(struct conf_ca_set, name) == 0 &&
        offsetof(struct conf_mail_map, name) == 0 && offsetof(struct conf_mail_user, name) == 0 &&
        offsetof(struct conf_mail_callback, name) == 0,
    "find() looks for the name at the front");

const struct conf_listener *conf_listener_find(const struct conf *conf, struct slice name)
{
    return find(conf->listeners, conf->listener_count, sizeof(*conf->listeners), name);
}

struct slice conf_route_pool(const struct conf_route *route, uint32_t index)
{
    if (route->action == CONF_ACTION_SPLIT) {
        return index < route->split.pool_count ? route->split.pools[index].name : SLICE_NONE;
    }
    return index == 0 && route->action == CONF_ACTION_POOL ? route->pool : SLICE_NONE;
}

const struct conf_route *conf_route_find(const struct conf *conf, struct slice name)
{
    return find(conf->routes, conf->route_count, sizeof(*conf->routes), name);
}

const struct conf_policy *conf_policy_find(const struct conf *conf, struct slice name)
{
    return find(conf->policies, conf->policy_count, sizeof(*conf->policies), name);
}

const struct conf_address_set *conf_address_set_find(const struct conf *conf, struct slice name)
{
    return find(conf->address_sets, conf->address_set_count, sizeof(*conf->address_sets), name);
}

const struct conf_pool *conf_pool_find(const struct conf *conf, struct slice name)
{
    return find(conf->pools, conf->pool_count, sizeof(*conf->pools), name);
}

const struct conf_server *conf_server_find(const struct conf_pool *pool, struct slice name)
{
    return find(pool->servers, pool->server_count, sizeof(*pool->servers), name);
}

const struct conf_health_check *conf_health_check_find(const struct conf *conf, struct slice name)
{
    return find(conf->health_checks, conf->health_check_count, sizeof(*conf->health_checks), name);
}

const struct conf_certificate *conf_certificate_find(const struct conf *conf, struct slice name)
{
    return find(conf->certificates, conf->certificate_count, sizeof(*conf->certificates), name);
}

const struct conf_ca_set *conf_ca_set_find(const struct conf *conf, struct slice name)
{
    return find(conf->ca_sets, conf->ca_set_count, sizeof(*conf->ca_sets), name);
}

const struct conf_mail_map *conf_mail_map_find(const struct conf *conf, struct slice name)
{
    return find(conf->mail_maps, conf->mail_map_count, sizeof(*conf->mail_maps), name);
}

const struct conf_mail_user *conf_mail_user_find(const struct conf *conf, struct slice name)
{
    return find(conf->mail_users, conf->mail_user_count, sizeof(*conf->mail_users), name);
}

const struct conf_mail_callback *conf_mail_callback_find(const struct conf *conf, struct slice name)
{
    return find(conf->mail_callbacks, conf->mail_callback_count, sizeof(*conf->mail_callbacks),
                name);
}

enum conf_header_word conf_header_word_of(struct slice word)
{
    static const struct slice words[] = {
        [CONF_HEADER_WORD_NONE] = SLICE_INIT(""),
        [CONF_HEADER_WORD_CLIENT_IP] = SLICE_INIT("client_ip"),
        [CONF_HEADER_WORD_REQUEST_ID] = SLICE_INIT("request_id"),
        [CONF_HEADER_WORD_ROUTE] = SLICE_INIT("route"),
        [CONF_HEADER_WORD_LISTENER] = SLICE_INIT("listener"),
        [CONF_HEADER_WORD_SCHEME] = SLICE_INIT("scheme"),
        [CONF_HEADER_WORD_HOST] = SLICE_INIT("host"),
        [CONF_HEADER_WORD_METHOD] = SLICE_INIT("method"),
        [CONF_HEADER_WORD_PATH] = SLICE_INIT("path"),
    };
    for (size_t i = CONF_HEADER_WORD_NONE + 1; i < ARRAY_LEN(words); i++) {
        if (slice_eq(words[i], word)) {
            return (enum conf_header_word)i;
        }
    }
    return CONF_HEADER_WORD_NONE;
}

const char *conf_encoding_word(enum conf_encoding encoding)
{
    static const char *const words[CONF_ENCODING_COUNT] = {
        [CONF_ENCODING_ZSTD] = "zstd", [CONF_ENCODING_BR] = "br", [CONF_ENCODING_GZIP] = "gzip"};
    return words[encoding];
}

enum conf_encoding conf_encoding_of(struct slice word)
{
    enum conf_encoding encoding = 0;
    while (encoding < CONF_ENCODING_COUNT &&
           !slice_eq(word, slice_from(conf_encoding_word(encoding)))) {
        encoding++;
    }
    return encoding;
}

/* LB_BROTLI and LB_ZSTD are 1 where CMake found the library, else 0. */
bool conf_encoding_is_built(enum conf_encoding encoding)
{
    static const bool is_built[CONF_ENCODING_COUNT] = {[CONF_ENCODING_ZSTD] = LB_ZSTD,
                                                       [CONF_ENCODING_BR] = LB_BROTLI,
                                                       [CONF_ENCODING_GZIP] = true};
    return is_built[encoding];
}

const char *conf_policy_word(enum conf_policy_kind kind)
{
    static const char *const words[CONF_POLICY_KIND_COUNT] = {
        [CONF_POLICY_ACCESS] = "access",
        [CONF_POLICY_HEADERS] = "headers",
        [CONF_POLICY_BANDWIDTH] = "bandwidth",
        [CONF_POLICY_COMPRESSION] = "compression",
        [CONF_POLICY_CORS] = "cors",
        [CONF_POLICY_SECURITY_HEADERS] = "security_headers",
        [CONF_POLICY_MAINTENANCE] = "maintenance",
        [CONF_POLICY_RATE_LIMIT] = "rate_limit",
        [CONF_POLICY_CONCURRENCY] = "concurrency",
        [CONF_POLICY_BODY_SIZE] = "body_size",
        [CONF_POLICY_BASIC_AUTH] = "basic_auth",
        [CONF_POLICY_JWT] = "jwt",
        [CONF_POLICY_EXTERNAL_AUTH] = "external_auth",
    };
    return words[kind];
}

struct slice conf_policy_url(const struct conf_policy *policy)
{
    return policy->kind == CONF_POLICY_EXTERNAL_AUTH ? policy->external_auth.url
           : policy->kind == CONF_POLICY_JWT         ? policy->jwt.keys_url
                                                     : SLICE_NONE;
}

struct slice conf_policy_ca(const struct conf_policy *policy)
{
    return policy->kind == CONF_POLICY_EXTERNAL_AUTH ? policy->external_auth.ca
           : policy->kind == CONF_POLICY_JWT         ? policy->jwt.ca
                                                     : SLICE_NONE;
}

struct slice conf_policy_file(const struct conf_policy *policy)
{
    return policy->kind == CONF_POLICY_BASIC_AUTH    ? policy->basic_auth.users_file
           : policy->kind == CONF_POLICY_JWT         ? policy->jwt.keys_file
           : policy->kind == CONF_POLICY_MAINTENANCE ? policy->maintenance.body_file
                                                     : SLICE_NONE;
}

const char *conf_protocol_word(enum conf_protocol protocol)
{
    static const char *const words[] = {
        [CONF_PROTOCOL_HTTP] = "http",
        [CONF_PROTOCOL_TCP] = "tcp",
        [CONF_PROTOCOL_TLS_PASSTHROUGH] = "tls_passthrough",
        [CONF_PROTOCOL_IMAP] = "imap",
        [CONF_PROTOCOL_POP3] = "pop3",
        [CONF_PROTOCOL_SMTP] = "smtp",
        [CONF_PROTOCOL_SIEVE] = "sieve",
    };
    return words[protocol];
}

struct conf *conf_new(void)
{
    struct conf *conf = mem_zero(1, sizeof(*conf));
    arena_init(&conf->arena, NULL, 0);
    conf->schema = 1;
    return conf;
}

void conf_free(struct conf *conf)
{
    if (conf != NULL) {
        arena_fini(&conf->arena);
        free(conf);
    }
}

void conf_daemon_free(struct conf_daemon *daemon)
{
    if (daemon != NULL) {
        arena_fini(&daemon->arena);
        free(daemon);
    }
}

static const char *const admin_state_words[] = {
    [CONF_READY] = "ready", [CONF_DRAIN] = "drain", [CONF_MAINT] = "maint"};

const char *conf_admin_state_word(enum conf_admin_state state)
{
    return admin_state_words[state];
}

bool conf_admin_state_parse(struct slice word, enum conf_admin_state *out)
{
    for (size_t i = 0; i < ARRAY_LEN(admin_state_words); i++) {
        if (slice_eq(word, slice_from(admin_state_words[i]))) {
            *out = (enum conf_admin_state)i;
            return true;
        }
    }
    return false;
}
