#include "conf/conf_document.h"
#include "conf/conf_read.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

/* Single quotes stand for double ones. */
static char *quoted(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

static struct conf_document *read_text(const char *text, struct conf_errors *errors)
{
    char *copy = quoted(text);
    conf_errors_init(errors);
    struct conf_document *document = conf_document_from_text(slice_from(copy), errors);
    free(copy);
    return document;
}

static struct conf_document *must_read(const char *text)
{
    struct conf_errors errors;
    struct conf_document *document = read_text(text, &errors);
    ck_assert_msg(document != NULL, "%s: %.*s: %.*s", text, SLICE_ARG(errors.errors[0].pointer),
                  SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return document;
}

START_TEST(everything_has_its_default)
{
    struct conf_document *document =
        must_read("{'listeners':{'web':{'bind':['127.0.0.1:80']}},"
                  "'routes':{'r':{'listener':'web','action':{'respond':{'status':200}}}},"
                  "'pools':{'p':{'servers':{'a':{'address':'h:1'}}}},'health_checks':{'h':{}}}");
    const struct conf *conf = conf_document_conf(document);
    ck_assert_uint_eq(conf->schema, 1);

    const struct conf_listener *listener = conf_listener_find(conf, SLICE("web"));
    ck_assert_uint_eq(listener->protocol, CONF_PROTOCOL_HTTP);
    ck_assert_uint_eq(listener->default_pool.len, 0);
    ck_assert_uint_eq(listener->timeouts.header_ms, 10000);
    ck_assert_uint_eq(listener->timeouts.body_idle_ms, 30000);
    ck_assert_uint_eq(listener->timeouts.keep_alive_ms, 60000);
    ck_assert_uint_eq(listener->timeouts.write_idle_ms, 60000);
    ck_assert_uint_eq(listener->timeouts.tunnel_idle_ms, 3600000);
    ck_assert_uint_eq(listener->limits.connections, 0);
    ck_assert_uint_eq(listener->limits.header_size_bytes, 65536);
    ck_assert_uint_eq(listener->limits.header_fields, 100);
    ck_assert_uint_eq(listener->limits.min_body_rate_bytes, 1024);
    ck_assert_uint_eq(listener->limits.min_read_rate_bytes, 1024);
    ck_assert_uint_eq(listener->limits.buffered_bytes, 8U * 1024 * 1024);
    ck_assert_uint_eq(listener->timeouts.rate_grace_ms, 10000);

    const struct conf_route *route = conf_route_find(conf, SLICE("r"));
    ck_assert_int_eq(route->priority, 0);
    ck_assert_uint_eq(route->action, CONF_ACTION_RESPOND);
    ck_assert_uint_eq(route->respond_status, 200);
    ck_assert_uint_eq(route->respond_type.len, 0); /* what goes with the body */
    ck_assert_uint_eq(route->trailers, CONF_TRAILERS_DROP);
    ck_assert_uint_eq(route->match.host_count, 0);

    const struct conf_pool *pool = conf_pool_find(conf, SLICE("p"));
    ck_assert_uint_eq(pool->algorithm, CONF_ALGORITHM_LEAST_REQUEST);
    ck_assert_uint_eq(pool->when_all_down, CONF_FAIL_CLOSED);
    ck_assert_uint_eq(pool->retries, 1);
    ck_assert_uint_eq(pool->timeouts.connect_ms, 3000);
    ck_assert_uint_eq(pool->timeouts.response_ms, 60000);
    ck_assert_uint_eq(pool->timeouts.idle_ms, 60000);

    const struct conf_server *server = conf_server_find(pool, SLICE("a"));
    ck_assert(slice_eq(server->address, SLICE("h:1")));
    ck_assert_uint_eq(server->weight, 100);
    ck_assert_uint_eq(server->max_connections, 0);
    ck_assert_uint_eq(server->admin_state, CONF_READY);

    const struct conf_health_check *check = conf_health_check_find(conf, SLICE("h"));
    ck_assert_uint_eq(check->type, CONF_CHECK_HTTP);
    ck_assert(slice_eq(check->method, SLICE("GET")) && slice_eq(check->path, SLICE("/")));
    ck_assert_uint_eq(check->expect_classes, 1U << 2);
    ck_assert_uint_eq(check->interval_ms, 2000);
    ck_assert_uint_eq(check->timeout_ms, 1000);
    ck_assert_uint_eq(check->rise, 2);
    ck_assert_uint_eq(check->fall, 3);
    conf_document_unref(document);
}
END_TEST

START_TEST(reads_every_setting)
{
    struct conf_document *document = must_read(
        "{'schema':1,'listeners':{'web':{'bind':['127.0.0.1:80','unix:/run/x'],'protocol':'http',"
        "'default_pool':'p','timeouts':{'header':'1s','body_idle':'2s','keep_alive':'1m30s',"
        "'write_idle':'4s','tunnel_idle':'7d'},'limits':{'connections':5,'header_size':'16KiB',"
        "'header_fields':50},'meta':{'managed_by':'x','note':'n','labels':{'b':'2','a':'1'}}}},"
        "'routes':{'r':{'listener':'web','priority':-5,'match':{'host':['WWW.a.com','*.B.org'],"
        "'path_prefix':'/x'},'action':{'pool':'p'},'trailers':'forward'},"
        "'s':{'listener':'web','match':{'path':'/y'},'action':{'redirect':{'status':308,"
        "'location':'/z{path}'}}}},"
        "'pools':{'k':{'algorithm':'maglev','hash':{'key':'cookie','name':'id','bound':150},"
        "'sticky':{'mode':'passive','cookie':'c','on_unavailable':'fail','on_drain':'move',"
        "'path':'/p','domain':'d.example','http_only':false,'secure':'on','same_site':'unset',"
        "'max_age':'2s','forward':true,'key_file':'/k'}},"
        "'p':{'algorithm':'round_robin','health_check':'h','when_all_down':'fail_open',"
        "'retries':0,'timeouts':{'connect':'1s','response':'2s','idle':'3s'},'servers':{"
        "'b':{'address':'[::1]:1','weight':1000,'max_connections':7,'admin_state':'maint'},"
        "'a':{'address':'unix:/a'}}}},"
        "'health_checks':{'h':{'type':'http','method':'HEAD','path':'/h?x','host':'a:1',"
        "'headers':{'X-A':'1'},'expect':{'status':['3xx',204,'2xx',503]},'interval':'100ms',"
        "'timeout':'50ms','rise':1,'fall':1}}}");
    const struct conf *conf = conf_document_conf(document);

    const struct conf_listener *listener = conf_listener_find(conf, SLICE("web"));
    ck_assert_uint_eq(listener->bind_count, 2);
    ck_assert(slice_eq(listener->bind[1], SLICE("unix:/run/x")));
    ck_assert_uint_eq(listener->timeouts.keep_alive_ms, 90000);
    ck_assert_uint_eq(listener->timeouts.tunnel_idle_ms, 604800000);
    ck_assert_uint_eq(listener->limits.header_size_bytes, 16384);
    ck_assert(slice_eq(listener->meta.labels, SLICE("{\"a\":\"1\",\"b\":\"2\"}")));
    ck_assert(slice_eq(listener->meta.note, SLICE("n")));

    const struct conf_route *route = conf_route_find(conf, SLICE("r"));
    ck_assert_int_eq(route->priority, -5);
    ck_assert_uint_eq(route->match.host_count, 2);
    ck_assert(slice_eq(route->match.host[0], SLICE("www.a.com"))); /* lower case */
    ck_assert(slice_eq(route->match.host[1], SLICE("*.b.org")));
    ck_assert(slice_eq(route->match.path_prefix, SLICE("/x")));
    ck_assert_uint_eq(route->action, CONF_ACTION_POOL);
    ck_assert(slice_eq(route->pool, SLICE("p")));
    ck_assert_uint_eq(route->trailers, CONF_TRAILERS_FORWARD);
    route = conf_route_find(conf, SLICE("s"));
    ck_assert_uint_eq(route->action, CONF_ACTION_REDIRECT);
    ck_assert_uint_eq(route->redirect_status, 308);
    ck_assert(slice_eq(route->redirect_location, SLICE("/z{path}")));

    const struct conf_pool *pool = conf_pool_find(conf, SLICE("p"));
    ck_assert_uint_eq(pool->algorithm, CONF_ALGORITHM_ROUND_ROBIN);
    ck_assert_uint_eq(pool->when_all_down, CONF_FAIL_OPEN);
    ck_assert_uint_eq(pool->retries, 0);
    ck_assert_uint_eq(pool->server_count, 2);
    ck_assert(slice_eq(pool->servers[0].name, SLICE("a"))); /* sorted */
    ck_assert_uint_eq(pool->servers[1].weight, 1000);
    ck_assert_uint_eq(pool->servers[1].max_connections, 7);
    ck_assert_uint_eq(pool->servers[1].admin_state, CONF_MAINT);
    ck_assert_uint_eq(pool->has_hash, 0);
    pool = conf_pool_find(conf, SLICE("k"));
    ck_assert_uint_eq(pool->algorithm, CONF_ALGORITHM_MAGLEV);
    ck_assert_uint_eq(pool->has_hash, 1);
    ck_assert_uint_eq(pool->hash.key, CONF_HASH_KEY_COOKIE);
    ck_assert(slice_eq(pool->hash.name, SLICE("id")));
    ck_assert_uint_eq(pool->hash.bound, 150);
    ck_assert_uint_eq(pool->has_sticky, 1);
    ck_assert_uint_eq(pool->sticky.mode, CONF_STICKY_PASSIVE);
    ck_assert(slice_eq(pool->sticky.cookie, SLICE("c")));
    ck_assert_uint_eq(pool->sticky.on_unavailable, CONF_STICKY_FAIL);
    ck_assert_uint_eq(pool->sticky.on_drain, CONF_STICKY_MOVE);
    ck_assert(slice_eq(pool->sticky.set.path, SLICE("/p")));
    ck_assert(slice_eq(pool->sticky.set.domain, SLICE("d.example")));
    ck_assert_uint_eq(pool->sticky.set.http_only, 0);
    ck_assert_uint_eq(pool->sticky.set.secure, CONF_COOKIE_SECURE_ON);
    ck_assert_uint_eq(pool->sticky.set.same_site, CONF_SAME_SITE_UNSET);
    ck_assert_uint_eq(pool->sticky.set.max_age_ms, 2000);
    ck_assert_uint_eq(pool->sticky.set.forward, 1);
    ck_assert(slice_eq(pool->sticky.set.key_file, SLICE("/k")));

    const struct conf_health_check *check = conf_health_check_find(conf, SLICE("h"));
    ck_assert_uint_eq(check->expect_classes, 1U << 2 | 1U << 3);
    ck_assert_uint_eq(check->expect_status_count, 2);
    ck_assert_uint_eq(check->expect_status[0], 204);
    ck_assert_uint_eq(check->expect_status[1], 503);
    ck_assert_uint_eq(check->header_count, 1);
    ck_assert(slice_eq(check->headers[0].name, SLICE("X-A")));
    ck_assert_uint_eq(check->interval_ms, 100);
    conf_document_unref(document);
}
END_TEST

/* One mistake each: where, which, what is said and what is suggested. `%` stands for the object at
 * hand. */
static const struct {
    const char *text;
    const char *pointer;
    const char *code;
    const char *detail;
    const char *suggestion;
} mistakes[] = {
    {"[]", "", "wrong-type", "must be an object, not a list", ""},
    {"{'daemon':{}}", "/daemon", "file-only", "read from the file", ""},
    {"{'schema':2}", "/schema", "out-of-range", "must be an integer, 1 to 1", ""},
    {"{'pols':{}}", "/pols", "unknown-key", "'pols' is not a known key", "pools"},
    {"{'servers':{}}", "/servers", "unknown-key", "it belongs under 'pools'", ""},
    {"{'workers':1}", "/workers", "unknown-key", "it belongs under 'daemon'", ""},
    {"{'pools':[]}", "/pools", "wrong-type", "must be an object of named pools, not a list", ""},
    {"{'pools':{'A':{}}}", "/pools/A", "invalid-name", "must be a name", ""},
    {"{'pools':{'a':7}}", "/pools/a", "wrong-type", "must be an object, not a number", ""},
    {"{'pools':{'a':{'servers':{'x':{'adress':'a:1'}}}}}", "/pools/a/servers/x/adress",
     "unknown-key", "'adress' is not a known key", "address"},
    {"{'pools':{'a':{'servers':{'x':{}}}}}", "/pools/a/servers/x/address", "missing-key",
     "'address' must be set", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':0}}}}}", "/pools/a/servers/x/weight",
     "out-of-range", "must be an integer or a percentage, 1 to 1000, or 1% to 100%", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'5'}}}}}",
     "/pools/a/servers/x/weight", "invalid-value", "must be an integer or a percentage, 1 to", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'%'}}}}}",
     "/pools/a/servers/x/weight", "invalid-value", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':''}}}}}", "/pools/a/servers/x/weight",
     "invalid-value", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'05%'}}}}}",
     "/pools/a/servers/x/weight", "invalid-value", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'2.5%'}}}}}",
     "/pools/a/servers/x/weight", "invalid-value", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'-5%'}}}}}",
     "/pools/a/servers/x/weight", "invalid-value", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':'101%'}}}}}",
     "/pools/a/servers/x/weight", "out-of-range", "1% to 100%", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':true}}}}}",
     "/pools/a/servers/x/weight", "wrong-type", "must be an integer or a percentage", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','weight':1.5}}}}}",
     "/pools/a/servers/x/weight", "wrong-type", "must be an integer", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a'}}}}}", "/pools/a/servers/x/address",
     "invalid-value", "must be a host and a port", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':''}}}}}", "/pools/a/servers/x/address",
     "out-of-range", "must not be empty", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w','action':{"
     "'pool':''}}}}",
     "/routes/r/action/pool", "out-of-range", "must not be empty", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'default_pool':''}}}", "/listeners/w/default_pool",
     "out-of-range", "must not be empty", ""},
    {"{'pools':{'a':{'servers':{'x':{'address':'a:1','admin_state':'darin'}}}}}",
     "/pools/a/servers/x/admin_state", "invalid-value",
     "must be one of \"ready\", \"drain\", \"maint\"", "drain"},
    {"{'pools':{'a':{'algorithm':1}}}", "/pools/a/algorithm", "wrong-type", "must be one of", ""},
    {"{'pools':{'a':{'algorithm':'ring'}}}", "/pools/a/algorithm", "invalid-value",
     "\"maglev\", \"ring_hash\"", "ring_hash"},
    {"{'policies':{'a':{'rate_limit':{'requests':1,'per':'min'}}}}", "/policies/a/rate_limit/per",
     "invalid-value", "must be one of", "minute"},
    {"{'policies':{'a':{'rate_limit':{'requests':1,'per':''}}}}", "/policies/a/rate_limit/per",
     "invalid-value", "must be one of", ""},
    {"{'pools':{'a':{'algorithm':'maglev','hash':{'key':'cokie'}}}}", "/pools/a/hash/key",
     "invalid-value", "must be one of \"source\"", "cookie"},
    {"{'pools':{'a':{'algorithm':'maglev','hash':{'bound':99}}}}", "/pools/a/hash/bound",
     "out-of-range", "must be an integer, 100 to 10000", ""},
    {"{'pools':{'a':{'sticky':{'cookie':'c','mode':'learn','learn':{'entries':63}}}}}",
     "/pools/a/sticky/learn/entries", "out-of-range", "64 to", ""},
    {"{'pools':{'a':{'sticky':{'cookie':'c','mode':'pasive'}}}}", "/pools/a/sticky/mode",
     "invalid-value", "must be one of \"insert\"", "passive"},
    {"{'pools':{'a':{'timeouts':{'connect':3}}}}", "/pools/a/timeouts/connect", "wrong-type",
     "must be a duration with its unit such as \"2s\", 10ms to 10m", ""},
    {"{'pools':{'a':{'timeouts':{'connect':'3'}}}}", "/pools/a/timeouts/connect", "invalid-value",
     "must be a duration", ""},
    {"{'pools':{'a':{'timeouts':{'connect':'1ms'}}}}", "/pools/a/timeouts/connect", "out-of-range",
     "10ms to 10m", ""},
    {"{'pools':{'a':{'timeouts':null}}}", "/pools/a/timeouts", "wrong-type",
     "must be an object, not null", ""},
    {"{'pools':{'a':{'meta':{'labels':{'x':1}}}}}", "/pools/a/meta/labels/x", "invalid-value",
     "must be a string", ""},
    {"{'pools':{'a':{'note':'x'}}}", "/pools/a/note", "unknown-key", "it belongs under 'meta'", ""},
    {"{'listeners':{'w':{}}}", "/listeners/w/bind", "missing-key", "'bind' must be set", ""},
    {"{'pools':{'p':{'retry':{'on':[]},'servers':{'a':{'address':'h:1'}}}}}", "/pools/p/retry/on",
     "out-of-range", "must have at least 1", ""},
    {"{'listeners':{'w':{'bind':[]}}}", "/listeners/w/bind", "out-of-range", "must have at least 1",
     ""},
    {"{'listeners':{'w':{'bind':'127.0.0.1:80'}}}", "/listeners/w/bind", "wrong-type",
     "must be a list of strings, not a string", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80',5]}}}", "/listeners/w/bind/1", "wrong-type",
     "must be a string, not a number", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'limits':{'header_size':'1GiB'}}}}",
     "/listeners/w/limits/header_size", "out-of-range", "1KiB to 64KiB", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'limits':{'min_body_rate':'2GiB'}}}}",
     "/listeners/w/limits/min_body_rate", "out-of-range", "0 to 1GiB", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'limits':{'buffered':'64KiB'}}}}",
     "/listeners/w/limits/buffered", "out-of-range", "256KiB to 1GiB", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'forwarded':{'depth':33}}}}",
     "/listeners/w/forwarded/depth", "out-of-range", "1 to 32", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80'],'forwarded':{'trusted':['10.0.0.1/8']}}}}",
     "/listeners/w/forwarded/trusted/0", "invalid-value", "", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w'}}}",
     "/routes/r/action", "missing-key", "'action' must be set", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w','action':{}}}}",
     "/routes/r/action", "missing-key", "exactly one of 'pool', 'respond', 'redirect'", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w','action':{"
     "'respond':{'status':200},'redirect':{'location':'/'}}}}}",
     "/routes/r/action", "exclusive-keys", "exactly one of", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w','action':{"
     "'respond':{'status':200}},'match':{'path':'/a','path_prefix':'/b'}}}}",
     "/routes/r/match", "exclusive-keys", "at most one of 'path', 'path_prefix'", ""},
    {"{'listeners':{'w':{'bind':['127.0.0.1:80']}},'routes':{'r':{'listener':'w','action':{"
     "'redirect':{'status':304,'location':'/'}}}}}",
     "/routes/r/action/redirect/status", "out-of-range", "one of 301, 302, 303, 307, 308", ""},
    {"{'health_checks':{'h':{'receive':'x'}}}", "/health_checks/h/receive", "not-applicable",
     "must not be set unless 'type' is \"tcp\"", ""},
    {"{'health_checks':{'h':{'type':'tcp','body':'x'}}}", "/health_checks/h/body", "not-applicable",
     "must not be set unless 'type' is \"http\"", ""},
    {"{'health_checks':{'h':{'port':65536}}}", "/health_checks/h/port", "out-of-range",
     "0 to 65535", ""},
    {"{'health_checks':{'h':{'fast_interval':'61m'}}}", "/health_checks/h/fast_interval",
     "out-of-range", "0s to 1h", ""},
    {"{'health_checks':{'h':{'type':'tcp','path':'/'}}}", "/health_checks/h/path", "not-applicable",
     "must not be set unless 'type' is \"http\"", ""},
    {"{'health_checks':{'h':{'expect':{'status':['6xx']}}}}", "/health_checks/h/expect/status/0",
     "invalid-value", "must be a class", ""},
    {"{'health_checks':{'h':{'headers':{'X':'a\\r\\nb'}}}}", "/health_checks/h/headers/X",
     "invalid-value", "printable ASCII", ""},
};

START_TEST(tells_one_mistake_once)
{
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        struct conf_errors errors;
        struct conf_document *document = read_text(mistakes[i].text, &errors);
        ck_assert_msg(document == NULL, "%s", mistakes[i].text);
        const struct conf_error *error = &errors.errors[0];
        ck_assert_msg(errors.error_count == 1, "%s: %u, also %.*s", mistakes[i].text,
                      errors.error_count, SLICE_ARG(errors.errors[1].detail));
        ck_assert_msg(slice_eq(error->pointer, slice_from(mistakes[i].pointer)), "%s: %.*s",
                      mistakes[i].text, SLICE_ARG(error->pointer));
        ck_assert_msg(slice_eq(error->code, slice_from(mistakes[i].code)), "%s: %.*s",
                      mistakes[i].text, SLICE_ARG(error->code));
        ck_assert_msg(memmem(error->detail.ptr, error->detail.len, mistakes[i].detail,
                             strlen(mistakes[i].detail)) != NULL,
                      "%s: %.*s", mistakes[i].text, SLICE_ARG(error->detail));
        ck_assert_msg(slice_eq(error->suggestion, slice_from(mistakes[i].suggestion)), "%s: %.*s",
                      mistakes[i].text, SLICE_ARG(error->suggestion));
        ck_assert_uint_eq(error->line, 1);
        conf_errors_fini(&errors);
    }
}
END_TEST

START_TEST(tells_all_mistakes_with_their_places)
{
    struct conf_errors errors;
    struct conf_document *document = read_text("{'pools':{\n"
                                               " 'a':{'servers':{'x':{'adress':'h:1'}}},\n"
                                               " 'b':{'retries':-1,\n"
                                               "  'when_all_down':'open'}},\n"
                                               "'listeners':{'w':{'bind':['x']}}}",
                                               &errors);
    static const struct {
        uint32_t line;
        uint32_t column;
    } places[] = {{5, 27}, {2, 23}, {3, 17}, {4, 19}};
    ck_assert_ptr_null(document);
    ck_assert_uint_eq(errors.error_count, ARRAY_LEN(places));
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        ck_assert_msg(errors.errors[i].line == places[i].line &&
                          errors.errors[i].column == places[i].column,
                      "%.*s: %u:%u", SLICE_ARG(errors.errors[i].pointer), errors.errors[i].line,
                      errors.errors[i].column);
    }
    conf_errors_fini(&errors);
}
END_TEST

static struct conf_daemon *read_daemon(const char *text, struct conf_errors *errors)
{
    struct conf_daemon *daemon = NULL;
    struct conf_document *document = NULL;
    char *copy = quoted(text);
    conf_errors_init(errors);
    if (conf_document_from_file_text(slice_from(copy), &document, &daemon, errors)) {
        conf_document_unref(document);
    }
    free(copy);
    return daemon;
}

START_TEST(the_daemon_has_defaults)
{
    static const char *const texts[] = {"{}", "{'daemon':{}} // no more"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct conf_errors errors;
        struct conf_daemon *daemon = read_daemon(texts[i], &errors);
        ck_assert_ptr_nonnull(daemon);
        ck_assert_uint_eq(daemon->workers, 0);
        ck_assert(slice_eq(daemon->user, SLICE("lbd")));
        ck_assert_uint_eq(daemon->api.listen_count, 0);
        ck_assert_uint_eq(daemon->observe_listen_count, 0);
        ck_assert_uint_eq(daemon->config_source, CONF_SOURCE_API);
        ck_assert(slice_eq(daemon->state_dir, SLICE("/var/lib/lbd")));
        ck_assert_uint_eq(daemon->drain_timeout_ms, 30000);
        ck_assert_uint_eq(daemon->resolver_count, 0);
        ck_assert_uint_eq(daemon->max_connections, 0);
        ck_assert_uint_eq(daemon->max_memory_bytes, 0);
        ck_assert_uint_eq(daemon->max_buffered_bytes, 1U << 30U);
        ck_assert_uint_eq(daemon->shed_lag_ms, 20);
        ck_assert_uint_eq(daemon->log_level, LOG_LEVEL_INFO);
        ck_assert_uint_eq(daemon->log_format, LOG_FORMAT_TEXT);
        ck_assert(slice_eq(daemon->log_path, SLICE("stderr")));
        ck_assert(slice_eq(daemon->access_log_path, SLICE("off")));
        conf_daemon_free(daemon);
        conf_errors_fini(&errors);
    }
}
END_TEST

START_TEST(the_daemon_reads_its_keys)
{
    struct conf_errors errors;
    struct conf_daemon *daemon = read_daemon(
        "{'daemon':{'workers':3,'user':'','api':{'listen':['unix:a','unix:/b']},"
        "'observe':{'listen':['127.0.0.1:0']},'config_source':'file','state_dir':'s',"
        "'drain_timeout':'0s','resolvers':['[::1]:53'],'max_connections':9,"
        "'max_memory':'5GiB','max_buffered':'16TiB','shed_lag':'50ms',"
        "'log':{'level':'debug','format':'json','path':'l'},'access_log':{'path':'x'},},}",
        &errors);
    ck_assert_ptr_nonnull(daemon);
    ck_assert_uint_eq(daemon->workers, 3);
    ck_assert_uint_eq(daemon->user.len, 0);
    ck_assert_uint_eq(daemon->api.listen_count, 2);
    ck_assert(slice_eq(daemon->api.listen[1], SLICE("unix:/b")));
    ck_assert(slice_eq(daemon->observe_listen[0], SLICE("127.0.0.1:0")));
    ck_assert_uint_eq(daemon->config_source, CONF_SOURCE_FILE);
    ck_assert_uint_eq(daemon->drain_timeout_ms, 0);
    ck_assert(slice_eq(daemon->resolvers[0], SLICE("[::1]:53")));
    ck_assert_uint_eq(daemon->max_connections, 9);
    ck_assert_uint_eq(daemon->max_memory_bytes, UINT64_C(5) << 30U);
    ck_assert_uint_eq(daemon->max_buffered_bytes, UINT64_C(16) << 40U);
    ck_assert_uint_eq(daemon->shed_lag_ms, 50);
    ck_assert_uint_eq(daemon->log_level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(daemon->log_format, LOG_FORMAT_JSON);
    ck_assert(slice_eq(daemon->access_log_path, SLICE("x")));
    conf_daemon_free(daemon);
    conf_errors_fini(&errors);
}
END_TEST

START_TEST(the_daemon_refuses_mistakes)
{
    static const char *const texts[] = {
        "{'daemon':{'workers':0}}",          "{'daemon':{'workers':65}}",
        "{'daemon':{'workers':'many'}}",     "{'daemon':{'api':{'listen':['0.0.0.0:1']}}}",
        "{'daemon':{'listeners':{}}}",       "{'daemon':7}",
        "{'daemon':{'state_dir':''}}",       "{'daemon':{'max_memory':'1000KiB'}}",
        "{'daemon':{'max_memory':-1}}",      "{'daemon':{'shed_lag':'2m'}}",
        "{'daemon':{'max_memory':'17TiB'}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct conf_errors errors;
        ck_assert_msg(read_daemon(texts[i], &errors) == NULL, "%s", texts[i]);
        ck_assert_msg(errors.error_count == 1, "%s: %u", texts[i], errors.error_count);
        ck_assert(slice_starts(errors.errors[0].pointer, SLICE("/daemon")));
        conf_errors_fini(&errors);
    }
}
END_TEST

UNIT_TESTS("conf_read", everything_has_its_default, reads_every_setting, tells_one_mistake_once,
           tells_all_mistakes_with_their_places, the_daemon_has_defaults, the_daemon_reads_its_keys,
           the_daemon_refuses_mistakes)
