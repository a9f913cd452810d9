#include "api/api_overview.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_blocks.h"
#include "api/api_certificates.h"
#include "api/api_policies.h"
#include "api/api_scrape.h"
#include "api/api_status_inside.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_health.h"
#include "lbd_version.h"

enum stage {
    HEAD,
    LISTENERS,
    POOLS,
    POLICIES,
    CERTIFICATES,
    CA_SETS,
    PROBLEMS,
    POOL_PROBLEMS,
    ROUTE_PROBLEMS,
    POLICY_PROBLEMS,
    CERTIFICATE_PROBLEMS,
    CA_SET_PROBLEMS,
    DONE
};

/* One answer on its way. */
struct overview {
    struct api_blocks blocks;
    struct api_request *request;    /* lives as long as its answer */
    struct conf_document *document; /* held */
    const struct conf *conf;
    struct json_write w;
    /* the cursor */
    enum stage stage;
    uint32_t index;  /* of the listener, pool, policy, certificate or CA set */
    uint32_t server; /* in that pool */
    bool is_inside;  /* the pool's own members are written */
};

/* -- the head -- */

static const char *state_word(struct api_request *request)
{
    const char *why = NULL;
    if (control_is_drained(request->control)) {
        return "draining";
    }
    return control_is_ready(request->control, &why) ? "ready" : "starting";
}

/* The size of a scrape is known here, the rest in control. */
static uint32_t find_conditions(const struct api_request *request,
                                struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    struct api_scrape_size size = api_scrape_size(request->control);
    uint32_t count = control_conditions_process(request->control, out);
    struct control_condition *metrics = &out[count++];
    metrics->type = "MetricsComplete";
    metrics->status = size.fits;
    metrics->reason = size.fits ? "WithinBudget" : "ServersOmitted";
    (void)snprintf(metrics->message, sizeof(metrics->message),
                   "%llu series, observability.metrics.max_series is %llu%s",
                   (unsigned long long)size.series, (unsigned long long)size.max,
                   size.fits ? "" : ": servers are left out");
    control_conditions_metrics(request->control, metrics);
    return count;
}

static void write_head(struct overview *self)
{
    struct control_condition conditions[CONTROL_CONDITIONS_MAX];
    struct api_request *request = self->request;
    const struct control_facts *facts = control_facts(request->control);
    uint64_t now = now_wall_us();
    struct json_write *w = &self->w;
    json_write_object_begin(w);
    json_write_member_text(w, "version", LBD_VERSION);
    json_write_member_text(w, "state", state_word(request));
    json_write_member_u64(w, "revision", facts->revision);
    api_status_write_conditions(request, w, conditions, find_conditions(request, conditions));
    json_write_member_text(w, "source", control_source_word(facts->source));
    api_request_write_time(w, "started", facts->started_wall_us);
    json_write_member_u64(w, "uptime_seconds",
                          now > facts->started_wall_us ? (now - facts->started_wall_us) / 1000000
                                                       : 0);
    json_write_member_u64(w, "workers", facts->workers);
}

/* -- problems -- */

static void write_problem(struct json_write *w, const char *message, const char *fmt, ...)
    LB_PRINTF(3, 4);

static void write_problem(struct json_write *w, const char *message, const char *fmt, ...)
{
    char pointer[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(pointer, sizeof(pointer), fmt, args);
    va_end(args);
    json_write_object_begin(w);
    json_write_member_text(w, "pointer", pointer);
    json_write_member_text(w, "message", message);
    json_write_object_end(w);
}

static void write_problems(struct overview *self)
{
    struct control *control = self->request->control;
    const struct control_facts *facts = control_facts(control);
    struct json_write *w = &self->w;
    const char *why = NULL;
    if (!control_is_ready(control, &why)) {
        write_problem(w, why, "%s", "");
    }
    if (facts->is_degraded) {
        write_problem(w, "saved state was damaged; see the log", "%s", "");
    }
    if (!facts->last_apply_succeeded) {
        write_problem(w, "the last change was refused; the configuration before it runs", "%s", "");
    }
    if (facts->is_seed_different) {
        write_problem(w,
                      "the file differs from the saved configuration, which is the one that runs",
                      "%s", "");
    }
    if (!api_scrape_size(control).fits) {
        write_problem(w, "metrics leave servers out: more than max_series", "%s",
                      "#/observability/metrics/max_series");
    }
}

static void write_pool_problem(struct overview *self, const struct conf_pool *pool)
{
    struct api_status_tally tally = api_status_tally(self->request, pool);
    if (tally.usable == 0) {
        write_problem(&self->w, tally.servers != 0 ? "no server is usable" : "has no servers",
                      "#/pools/%.*s", SLICE_ARG(pool->name));
    }
}

static void write_server_problem(struct overview *self, const struct conf_pool *pool,
                                 struct slice name)
{
    char message[256];
    struct control_health_facts facts;
    const struct registry_server *live = api_status_find(self->request, pool->name, name);
    if (control_health_facts(control_checks(self->request->control), pool->name, name, &facts) &&
        facts.is_kept) {
        write_problem(&self->w, "kept although connecting fails: it is the last usable one",
                      "#/pools/%.*s/servers/%.*s", SLICE_ARG(pool->name), SLICE_ARG(name));
        return;
    }
    if (live == NULL ||
        (live->server->health != SERVER_DOWN && live->server->health != SERVER_UNRESOLVED)) {
        return;
    }
    (void)snprintf(message, sizeof(message), "%s%s%s", server_health_word(live->server->health),
                   live->server->last_check[0] != '\0' ? ": " : "", live->server->last_check);
    write_problem(&self->w, message, "#/pools/%.*s/servers/%.*s", SLICE_ARG(pool->name),
                  SLICE_ARG(name));
}

/* -- pools: begun, then a server at a time -- */

static void begin_pool(struct overview *self, const struct conf_pool *pool)
{
    struct api_status_tally tally = api_status_tally(self->request, pool);
    json_write_key_slice(&self->w, pool->name);
    json_write_object_begin(&self->w);
    json_write_member_text(&self->w, "health", tally.usable != 0 ? "up" : "down");
    json_write_member_u64(&self->w, "usable", tally.usable);
    api_status_write_queue(self->request, pool, &self->w);
    json_write_key(&self->w, "servers");
    json_write_object_begin(&self->w);
}

static void write_server(struct overview *self, const struct conf_pool *pool,
                         const struct conf_server *server)
{
    if (api_status_find(self->request, pool->name, server->name) == NULL) {
        return; /* it went meanwhile */
    }
    json_write_key_slice(&self->w, server->name);
    json_write_object_begin(&self->w);
    api_status_write_server(self->request, pool->name, server, &self->w);
    json_write_object_end(&self->w);
}

/* Returns false when all pools are done. */
static bool step_pools(struct overview *self)
{
    bool is_problem = self->stage == POOL_PROBLEMS;
    if (self->index == self->conf->pool_count) {
        return false;
    }
    const struct conf_pool *pool = &self->conf->pools[self->index];
    if (!self->is_inside) {
        self->is_inside = true;
        (is_problem ? write_pool_problem : begin_pool)(self, pool);
    } else if (self->server < pool->server_count) {
        const struct conf_server *server = &pool->servers[self->server++];
        if (is_problem) {
            write_server_problem(self, pool, server->name);
        } else {
            write_server(self, pool, server);
        }
    } else {
        if (!is_problem) {
            json_write_object_end(&self->w);
            json_write_object_end(&self->w);
        }
        self->is_inside = false;
        self->index++;
        self->server = 0;
    }
    return true;
}

static bool step_listeners(struct overview *self)
{
    if (self->index == self->conf->listener_count) {
        return false;
    }
    const struct conf_listener *listener = &self->conf->listeners[self->index++];
    json_write_key_slice(&self->w, listener->name);
    json_write_object_begin(&self->w);
    api_status_write_listener(self->request, listener, &self->w);
    json_write_object_end(&self->w);
    return true;
}

/* -- routes: those whose answer is a file that changed and is no good -- */

static bool step_routes(struct overview *self)
{
    const struct registry_tls *tls = &control_registry(self->request->control)->tls;
    char message[512];
    if (self->index == self->conf->route_count) {
        return false;
    }
    const struct conf_route *conf = &self->conf->routes[self->index++];
    const struct registry_material *body =
        conf->action == CONF_ACTION_RESPOND && conf->respond_file.len != 0
            ? registry_find_body(tls, conf->respond_file)
            : NULL;
    if (body != NULL && body->failure[0] != '\0') {
        (void)snprintf(message, sizeof(message),
                       "the file cannot be used, the one before goes on: %s", body->failure);
        write_problem(&self->w, message, "#/routes/%.*s/action/respond/body_file",
                      SLICE_ARG(conf->name));
    }
    return true;
}

/* -- policies, certificates and CA sets -- */

static bool step_policies(struct overview *self)
{
    char message[512];
    if (self->index == self->conf->policy_count) {
        return false;
    }
    const struct conf_policy *conf = &self->conf->policies[self->index++];
    if (self->stage == POLICIES) {
        json_write_key_slice(&self->w, conf->name);
        json_write_object_begin(&self->w);
        api_policies_write_summary(self->request, conf, &self->w);
        json_write_object_end(&self->w);
        return true;
    }
    api_policies_problem(self->request, conf, message, sizeof(message));
    if (message[0] != '\0') {
        write_problem(&self->w, message, "#/policies/%.*s", SLICE_ARG(conf->name));
    }
    return true;
}

static bool step_certificates(struct overview *self)
{
    char message[256];
    if (self->index == self->conf->certificate_count) {
        return false;
    }
    const struct conf_certificate *conf = &self->conf->certificates[self->index++];
    if (self->stage == CERTIFICATES) {
        json_write_key_slice(&self->w, conf->name);
        json_write_object_begin(&self->w);
        api_certificates_write_summary(self->request, conf, &self->w);
        json_write_object_end(&self->w);
        return true;
    }
    api_certificates_problem(self->request, conf, message, sizeof(message));
    if (message[0] != '\0') {
        write_problem(&self->w, message, "#/certificates/%.*s", SLICE_ARG(conf->name));
    }
    return true;
}

static bool step_ca_sets(struct overview *self)
{
    char message[256];
    if (self->index == self->conf->ca_set_count) {
        return false;
    }
    const struct conf_ca_set *conf = &self->conf->ca_sets[self->index++];
    if (self->stage == CA_SETS) {
        json_write_key_slice(&self->w, conf->name);
        json_write_object_begin(&self->w);
        api_certificates_write_ca_set_summary(self->request, conf, &self->w);
        json_write_object_end(&self->w);
        return true;
    }
    api_certificates_ca_set_problem(self->request, conf, message, sizeof(message));
    if (message[0] != '\0') {
        write_problem(&self->w, message, "#/ca_sets/%.*s", SLICE_ARG(conf->name));
    }
    return true;
}

/* -- the answer -- */

static void begin_map(struct overview *self, const char *key)
{
    json_write_key(&self->w, key);
    json_write_object_begin(&self->w);
}

static void go_on(struct overview *self, enum stage stage)
{
    self->stage = stage;
    self->index = 0;
}

static void step(struct overview *self)
{
    struct json_write *w = &self->w;
    switch (self->stage) {
    case HEAD:
        write_head(self);
        begin_map(self, "listeners");
        go_on(self, LISTENERS);
        break;
    case LISTENERS:
        if (!step_listeners(self)) {
            json_write_object_end(w);
            begin_map(self, "pools");
            go_on(self, POOLS);
        }
        break;
    case POOLS:
        if (!step_pools(self)) {
            json_write_object_end(w);
            begin_map(self, "policies");
            go_on(self, POLICIES);
        }
        break;
    case POLICIES:
        if (!step_policies(self)) {
            json_write_object_end(w);
            begin_map(self, "certificates");
            go_on(self, CERTIFICATES);
        }
        break;
    case CERTIFICATES:
        if (!step_certificates(self)) {
            json_write_object_end(w);
            begin_map(self, "ca_sets");
            go_on(self, CA_SETS);
        }
        break;
    case CA_SETS:
        if (!step_ca_sets(self)) {
            json_write_object_end(w);
            go_on(self, PROBLEMS);
        }
        break;
    case PROBLEMS:
        json_write_key(w, "problems");
        json_write_array_begin(w);
        write_problems(self);
        go_on(self, POOL_PROBLEMS);
        break;
    case POOL_PROBLEMS:
        if (!step_pools(self)) {
            go_on(self, ROUTE_PROBLEMS);
        }
        break;
    case ROUTE_PROBLEMS:
        if (!step_routes(self)) {
            go_on(self, POLICY_PROBLEMS);
        }
        break;
    case POLICY_PROBLEMS:
        if (!step_policies(self)) {
            go_on(self, CERTIFICATE_PROBLEMS);
        }
        break;
    case CERTIFICATE_PROBLEMS:
        if (!step_certificates(self)) {
            go_on(self, CA_SET_PROBLEMS);
        }
        break;
    case CA_SET_PROBLEMS:
        if (!step_ca_sets(self)) {
            json_write_array_end(w);
            json_write_object_end(w);
            (void)buf_append_char(w->out, '\n');
            go_on(self, DONE);
        }
        break;
    case DONE:
        break;
    }
}

static bool make_more(struct api_blocks *blocks, struct buf *out, size_t bytes)
{
    struct overview *self = container_of(blocks, struct overview, blocks);
    if (self->stage == HEAD) {
        json_write_init(&self->w, out, JSON_PRETTY);
    }
    self->w.out = out;
    while (self->stage != DONE && out->len < bytes) {
        step(self);
    }
    return self->stage != DONE;
}

static void fini(struct api_blocks *blocks)
{
    struct overview *self = container_of(blocks, struct overview, blocks);
    conf_document_unref(self->document);
    free(self);
}

void api_overview_get(struct api_request *request)
{
    struct overview *self = mem_zero(1, sizeof(*self));
    uint64_t servers = 0;
    self->request = request;
    self->document = conf_document_ref(control_running(request->control));
    self->conf = conf_document_conf(self->document);
    for (uint32_t i = 0; i < self->conf->pool_count; i++) {
        servers += self->conf->pools[i].server_count;
    }
    if (servers > API_OVERVIEW_WHOLE_MAX) {
        api_blocks_start(request, &self->blocks, make_more, fini);
    } else {
        (void)make_more(&self->blocks, &request->reply.body, SIZE_MAX);
        fini(&self->blocks);
    }
    request->reply.status = 200;
    request->reply.content_type = "application/json";
    api_request_done(request);
}
