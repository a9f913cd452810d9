#include "lbd/control/control_agent.h"

#include <stdlib.h>

#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/random.h"
#include "lbd/upstream/health_probe.h"

struct agent_pool {
    struct control_agent *agent;
    char *name; /* owned */
    uint32_t interval_ms;
    struct health_probe_plan *plan; /* referenced */
    struct map servers;             /* name -> struct agent_server */
};

struct agent_server {
    struct agent_pool *pool;
    char *name; /* owned */
    struct health_probe *probe;
    struct loop_timer timer;
};

struct control_agent {
    struct control_agent_options options;
    const struct registry *registry; /* borrowed; NULL: not yet */
    struct map pools;                /* name -> struct agent_pool */
    uint32_t asking;
    struct random random;
};

static void on_due(struct loop_timer *timer);

static void ask_later(struct agent_server *live)
{
    struct control_agent *agent = live->pool->agent;
    uint64_t permille = 900 + random_below(&agent->random, 201);
    loop_timer_set(agent->options.loop, &live->timer, live->pool->interval_ms * permille / 1000,
                   on_due);
}

static void on_answer(const struct health_probe_result *result, void *arg)
{
    struct agent_server *live = arg;
    struct control_agent *agent = live->pool->agent;
    struct agent_line line;
    live->probe = NULL;
    agent->asking--;
    ask_later(live);
    if (result->verdict == HEALTH_PROBE_PASSED && agent_line_read(result->said, &line)) {
        agent->options.said(slice_from(live->pool->name), slice_from(live->name), &line,
                            agent->options.arg);
    }
}

static void on_due(struct loop_timer *timer)
{
    struct agent_server *live = container_of(timer, struct agent_server, timer);
    struct control_agent *agent = live->pool->agent;
    const struct registry_server *known =
        registry_find_server(agent->registry, slice_from(live->pool->name), slice_from(live->name));
    if (known == NULL || known->address.len == 0 || agent->asking >= CONTROL_AGENT_MAX) {
        ask_later(live);
        return;
    }
    struct addr address;
    health_probe_address(live->pool->plan, &known->address, &address);
    const struct health_probe_server server = {.address = &address, .authority = SLICE("agent")};
    agent->asking++;
    live->probe =
        health_probe_start(agent->options.loop, live->pool->plan, &server, on_answer, live);
}

/* -- what the document says -- */

static void free_server(struct agent_server *live)
{
    if (live->probe != NULL) {
        health_probe_cancel(live->probe);
        live->pool->agent->asking--;
    }
    loop_timer_stop(&live->timer);
    free(live->name);
    free(live);
}

static void forget_server(struct agent_server *live)
{
    struct control_agent *agent = live->pool->agent;
    agent->options.said(slice_from(live->pool->name), slice_from(live->name), NULL,
                        agent->options.arg);
    free_server(live);
}

static void free_pool(struct agent_pool *pool, void (*free_one)(struct agent_server *live))
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        free_one(entry->value);
    }
    map_fini(&pool->servers);
    health_probe_plan_unref(pool->plan);
    free(pool->name);
    free(pool);
}

static void set_plan(struct agent_pool *pool, const struct conf_pool_agent *conf)
{
    const struct conf_health_check check = {
        .type = CONF_CHECK_TCP,
        .send = conf->send,
        .receive = SLICE("\\n"),
        .port = conf->port,
        .interval_ms = conf->interval_ms,
        .timeout_ms = conf->timeout_ms,
        .rise = 1,
        .fall = 1,
    };
    pool->interval_ms = conf->interval_ms;
    if (pool->plan == NULL || !health_probe_plan_is(pool->plan, &check)) {
        health_probe_plan_unref(pool->plan); /* those under way hold the old one */
        pool->plan = health_probe_plan_new(&check);
    }
}

/* Beside a unix socket there is no port. */
static bool is_asked(const struct conf_server *server)
{
    return server != NULL && !addr_is_unix(server->address);
}

static void apply_pool(struct control_agent *agent, const struct conf_pool *named)
{
    struct agent_pool *pool = map_get(&agent->pools, named->name);
    struct map_entry *entry = NULL;
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->agent = agent;
        pool->name = mem_slicedup(named->name);
        map_init(&pool->servers);
        (void)map_put(&agent->pools, named->name, pool);
    }
    set_plan(pool, &named->agent);
    for (uint32_t i = 0; i < named->server_count; i++) {
        if (is_asked(&named->servers[i]) &&
            map_get(&pool->servers, named->servers[i].name) == NULL) {
            struct agent_server *live = mem_zero(1, sizeof(*live));
            live->pool = pool;
            live->name = mem_slicedup(named->servers[i].name);
            (void)map_put(&pool->servers, named->servers[i].name, live);
            loop_timer_set(agent->options.loop, &live->timer, 0, on_due);
        }
    }
    map_for_each (entry, &pool->servers) {
        struct agent_server *live = entry->value;
        if (!is_asked(conf_server_find(named, entry->key))) {
            (void)map_remove(&pool->servers, entry->key);
            forget_server(live);
        }
    }
}

void control_agent_apply(struct control_agent *agent, const struct conf *conf,
                         const struct registry *registry)
{
    struct map_entry *entry = NULL;
    agent->registry = registry;
    map_for_each (entry, &agent->pools) {
        struct agent_pool *pool = entry->value;
        const struct conf_pool *named = conf_pool_find(conf, entry->key);
        if (named == NULL || named->has_agent == 0) {
            (void)map_remove(&agent->pools, entry->key);
            free_pool(pool, forget_server);
        }
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (conf->pools[i].has_agent != 0) {
            apply_pool(agent, &conf->pools[i]);
        }
    }
}

/* -- life -- */

struct control_agent *control_agent_new(const struct control_agent_options *options)
{
    struct control_agent *agent = mem_zero(1, sizeof(*agent));
    agent->options = *options;
    map_init(&agent->pools);
    random_seed(&agent->random);
    return agent;
}

void control_agent_free(struct control_agent *agent)
{
    if (agent == NULL) {
        return;
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &agent->pools) {
        free_pool(entry->value, free_server);
    }
    map_fini(&agent->pools);
    free(agent);
}
