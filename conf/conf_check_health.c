/* conf_check_health - how servers are checked; see conf_check_inside.h. */
#include "conf/conf_check_inside.h"
#include "lbd/base/addr.h"

#define PATH CONF_CHECK_PATH

enum { INTERVAL_MIN_MS = 100 };

static void fail(struct conf_check *check, const struct conf_path *at, const char *key,
                 const char *code, const char *problem)
{
    PATH(field, at, slice_from(key));
    conf_errors_add(check->errors, &field, code, SLICE_NONE, "%s", problem);
    check->ok = false;
}

static void check_intervals(struct conf_check *check, const struct conf_health_check *health,
                            const struct conf_path *at)
{
    const struct {
        const char *key;
        uint32_t ms;
    } fields[] = {{"fast_interval", health->fast_interval_ms},
                  {"down_interval", health->down_interval_ms}};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].ms != 0 && fields[i].ms < INTERVAL_MIN_MS) {
            fail(check, at, fields[i].key, "invalid-value", "must be \"0s\" or at least 100ms");
        }
    }
    if (health->timeout_ms > health->interval_ms) {
        PATH(timeout, at, SLICE("timeout"));
        conf_errors_warn(check->errors, &timeout, "long-timeout",
                         "longer than 'interval': checks of a silent server come late");
    }
}

/* What one field cannot know; what stands at another type was told by the reader. */
static void check_words(struct conf_check *check, const struct conf_health_check *health,
                        const struct conf_path *at)
{
    bool is_http = health->type == CONF_CHECK_HTTP;
    if (health->type == CONF_CHECK_TCP && health->send.len != 0 && health->receive.len == 0) {
        fail(check, at, "receive", "missing-key", "must be set: what does the server answer?");
    }
    if (is_http && health->expect_body.len != 0 && slice_eq(health->method, SLICE("HEAD"))) {
        PATH(expect, at, SLICE("expect"));
        fail(check, &expect, "body", "invalid-value",
             "must be absent: an answer to HEAD has no body");
    }
    if (is_http && health->body.len != 0 &&
        (slice_eq(health->method, SLICE("GET")) || slice_eq(health->method, SLICE("HEAD")))) {
        fail(check, at, "body", "invalid-value", "must be absent with GET and HEAD: set 'method'");
    }
    if (health->address.len != 0 && health->port != 0) {
        PATH(port, at, SLICE("port"));
        conf_errors_warn(check->errors, &port, "no-effect", "without effect: 'address' has one");
    }
}

/* How many pools stand behind this one; more than CONF_CHECK_FALLBACKS_MAX: too many, or they go
 * round. */
static uint32_t count_fallbacks(const struct conf *conf, const struct conf_pool *pool)
{
    uint32_t count = 0;
    while (pool != NULL && pool->fallback_pool.len != 0 && count <= CONF_CHECK_FALLBACKS_MAX) {
        count++;
        pool = conf_pool_find(conf, pool->fallback_pool);
    }
    return count;
}

static void check_fallback(struct conf_check *check, const struct conf_pool *pool,
                           const struct conf_path *at)
{
    if (pool->when_all_down == CONF_FALL_BACK && pool->fallback_pool.len == 0) {
        fail(check, at, "fallback_pool", "missing-key", "must be set: who stands in?");
    } else if (count_fallbacks(check->conf, pool) > CONF_CHECK_FALLBACKS_MAX) {
        fail(check, at, "fallback_pool", "invalid-value",
             "must not lead back to this pool, nor over more than 8 others");
    } else if (pool->fallback_pool.len != 0 && pool->has_mail != 0) {
        fail(check, at, "fallback_pool", "invalid-value",
             "must be absent with 'mail': users belong to their servers");
    }
}

static void warn(struct conf_check *check, const struct conf_path *at, const char *key,
                 const char *detail)
{
    PATH(field, at, slice_from(key));
    conf_errors_warn(check->errors, &field, "no-effect", "%s", detail);
}

static void check_outlier(struct conf_check *check, const struct conf_pool *pool,
                          const struct conf_path *at)
{
    const struct conf_pool_outlier *outlier = &pool->outlier;
    PATH(path, at, SLICE("outlier"));
    if (outlier->consecutive_failures == 0 && outlier->success_rate == 0 && outlier->latency == 0) {
        warn(check, at, "outlier",
             "without effect: 'consecutive_failures', 'success_rate' and 'latency' are all 0");
    } else if (outlier->ejection_ms > outlier->max_ejection_ms) {
        warn(check, &path, "max_ejection_time",
             "without effect: 'ejection_time' is longer, so each time lasts that long");
    }
}

/* A unix socket has no other port beside it. Told of the first server that has one. */
static void check_unix(struct conf_check *check, const struct conf_pool *pool,
                       const struct conf_path *at)
{
    const struct conf_health_check *health =
        pool->health_check.len != 0 ? conf_health_check_find(check->conf, pool->health_check)
                                    : NULL;
    bool has_port = health != NULL && health->port != 0 && health->address.len == 0;
    for (uint32_t i = 0; i < pool->server_count; i++) {
        struct slice name = pool->servers[i].name;
        if (!addr_is_unix(pool->servers[i].address)) {
            continue;
        }
        if (has_port) {
            PATH(field, at, SLICE("health_check"));
            conf_errors_warn(check->errors, &field, "no-effect",
                             "'port' of it is without effect on server '%.*s': a unix socket has "
                             "none",
                             SLICE_ARG(name));
        }
        if (pool->has_agent != 0) {
            PATH(field, at, SLICE("agent"));
            conf_errors_warn(check->errors, &field, "no-effect",
                             "without effect on server '%.*s': a unix socket has no port beside it",
                             SLICE_ARG(name));
        }
        return;
    }
}

void conf_check_health(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        PATH(at, &pools, conf->pools[i].name);
        check_fallback(check, &conf->pools[i], &at);
        check_unix(check, &conf->pools[i], &at);
        if (conf->pools[i].has_outlier != 0) {
            check_outlier(check, &conf->pools[i], &at);
        }
    }
    PATH(checks, &conf_check_root, SLICE("health_checks"));
    for (uint32_t i = 0; i < conf->health_check_count; i++) {
        PATH(at, &checks, conf->health_checks[i].name);
        check_intervals(check, &conf->health_checks[i], &at);
        check_words(check, &conf->health_checks[i], &at);
    }
}
