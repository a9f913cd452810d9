#include "lbd/control/control_outlier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/stats/counters.h"
#include "lbd/upstream/outlier.h"

enum { SAY_AGAIN_US = 60 * 1000000 }; /* that an outlier stays is logged at most once in that */

struct outlier_pool {
    struct control_outlier *outlier;
    char *name;                    /* owned */
    struct conf_pool_outlier conf; /* as it was applied */
    struct outlier_rules rules;    /* what follows from it */
    struct counters_id *counters;  /* held: the pool's block, in which control counts too */
    struct map servers;            /* name -> struct outlier_server */
    uint32_t resting;              /* of them; in shadow too */
    struct loop_timer timer;       /* the end of the interval */
};

/* What was counted of a server up to some moment. */
struct tally {
    uint64_t requests;
    uint64_t failures;
    uint64_t answers;
    uint64_t answers_us;
};

struct outlier_server {
    struct outlier_pool *pool;
    struct server *server; /* referenced */
    struct tally before;   /* at the beginning of the interval, */
    bool was_in;           /* in which it got requests from the beginning */
    /* while it rests */
    enum outlier_why why; /* OUTLIER_NONE: it does not */
    char text[CONTROL_OUTLIER_TEXT_MAX];
    struct loop_timer timer;
    uint64_t until_wall_us;
    /* over all */
    uint32_t times;   /* it rested, less those that are forgotten */
    uint64_t back_us; /* when it returned last */
    uint64_t kept_us; /* when we last said that it stays */
};

struct control_outlier {
    struct control_outlier_options options;
    struct map pools; /* name -> struct outlier_pool */
};

/* The hook of server.h has no argument. */
static struct control_outlier *listening;

static bool is_shadow(const struct outlier_pool *pool)
{
    return pool->conf.mode == CONF_OUTLIER_SHADOW;
}

/* -- out and back -- */

/* "server.outlier": {"reason":"latency","mode":"enforce","ejected":true,"for_ms":30000} */
static void post(const struct outlier_server *live, bool is_out, uint32_t for_ms, const char *why)
{
    const struct server *server = live->server;
    const char *mode = is_shadow(live->pool) ? "shadow" : "enforce";
    char name[EVENTS_NAME_MAX + 1];
    struct buf data;
    struct json_write w;
    (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "reason", outlier_word(live->why));
    json_write_member_text(&w, "mode", mode);
    json_write_member_bool(&w, "ejected", is_out);
    if (is_out) {
        json_write_member_u64(&w, "for_ms", for_ms);
    }
    json_write_object_end(&w);
    events_post(live->pool->outlier->options.events, "server.outlier", slice_from(name), data.data,
                "%s%s: %s", is_shadow(live->pool) ? "(shadow) " : "", is_out ? "rests" : "is back",
                why);
    buf_fini(&data);
}

static void set_ejected(struct outlier_server *live, bool is_ejected)
{
    struct control_outlier *outlier = live->pool->outlier;
    if (live->server->is_ejected != is_ejected && server_set_ejected(live->server, is_ejected)) {
        outlier->options.changed(live->server, outlier->options.arg);
    }
}

static void come_back(struct outlier_server *live, const char *because)
{
    loop_timer_stop(&live->timer);
    if (live->why == OUTLIER_NONE) {
        return;
    }
    log_info("server.outlier", "pool=%s server=%s mode=%s ejected=no reason=%s why=\"%s\"",
             live->server->pool_name, live->server->name,
             is_shadow(live->pool) ? "shadow" : "enforce", outlier_word(live->why), because);
    post(live, false, 0, because);
    live->why = OUTLIER_NONE;
    live->pool->resting--;
    live->back_us = loop_now_us(live->pool->outlier->options.loop);
    live->was_in = false;
    server_forgive(live->server);
    set_ejected(live, false);
}

static void on_rested(struct loop_timer *timer)
{
    come_back(container_of(timer, struct outlier_server, timer), "its rest is over");
}

static struct counters_pool *counters_of(const struct outlier_pool *pool)
{
    return counters_of_pool(counters_control(), pool->counters->id);
}

static bool may_go(const struct outlier_server *live)
{
    const struct outlier_pool *pool = live->pool;
    uint32_t out = 0;
    uint32_t others = 0;
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        const struct outlier_server *other = entry->value;
        bool is_out = other->why != OUTLIER_NONE;
        out += is_out ? 1 : 0;
        others += other != live && !is_out && server_is_usable(other->server) ? 1 : 0;
    }
    return outlier_may_eject(&pool->rules, (uint32_t)pool->servers.count, out, others);
}

/* "server.kept": {"reason":"latency"} */
static void post_kept(const struct outlier_server *live, enum outlier_why why, const char *text)
{
    const struct server *server = live->server;
    char name[EVENTS_NAME_MAX + 1];
    char data[64];
    (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
    (void)snprintf(data, sizeof(data), "{\"reason\":\"%s\"}", outlier_word(why));
    events_post(live->pool->outlier->options.events, "server.kept", slice_from(name), data,
                "%s, but max_ejected are out or no other is usable", text);
}

static void stay(struct outlier_server *live, enum outlier_why why, const char *text, uint64_t now)
{
    counter_add(&counters_of(live->pool)->outliers_kept, 1);
    server_forgive(live->server);
    if (live->kept_us == 0 || now - live->kept_us >= SAY_AGAIN_US) {
        live->kept_us = now;
        log_warn("server.kept",
                 "pool=%s server=%s why=\"%s, but max_ejected are out or no other is usable\"",
                 live->server->pool_name, live->server->name, text);
        post_kept(live, why, text);
    }
}

/* An outlier for this reason: it rests, if it may. */
static void take_out(struct outlier_server *live, enum outlier_why why, const char *text)
{
    struct outlier_pool *pool = live->pool;
    struct loop *loop = pool->outlier->options.loop;
    uint64_t now = loop_now_us(loop);
    if (!may_go(live)) {
        stay(live, why, text, now);
        return;
    }
    uint64_t forgotten = (now - live->back_us) / (pool->conf.ejection_ms * UINT64_C(1000));
    live->times -= forgotten < live->times ? (uint32_t)forgotten : live->times;
    live->times++;
    uint32_t for_ms = outlier_eject_ms(&pool->rules, live->times);
    live->why = why;
    pool->resting++;
    live->until_wall_us = now_wall_us() + for_ms * UINT64_C(1000);
    (void)snprintf(live->text, sizeof(live->text), "%s", text);
    loop_timer_set(loop, &live->timer, for_ms, on_rested);

    struct counters_pool *counters = counters_of(pool);
    counter_add(
        is_shadow(pool) ? &counters->outliers_shadow[why - 1] : &counters->outliers[why - 1], 1);
    log_warn("server.outlier",
             "pool=%s server=%s mode=%s ejected=yes reason=%s for_ms=%u times=%u why=\"%s\"",
             live->server->pool_name, live->server->name, is_shadow(pool) ? "shadow" : "enforce",
             outlier_word(why), for_ms, live->times, text);
    post(live, true, for_ms, text);
    if (!is_shadow(pool)) {
        set_ejected(live, true);
    }
}

/* -- needed after all -- */

/* The one that would be back first, of those that are fit but for their rest. NULL: there is none,
 * or somebody else but `without` is usable. */
static struct outlier_server *find_needed(const struct outlier_pool *pool,
                                          const struct server *without)
{
    struct outlier_server *needed = NULL;
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        struct outlier_server *live = entry->value;
        const struct server *server = live->server;
        if (server == without) {
            continue;
        }
        if (server_is_usable(server)) {
            return NULL;
        }
        bool is_fit = server->is_ejected && server->health == SERVER_UP &&
                      server->admin == SERVER_READY && !server->is_stopped;
        if (is_fit && (needed == NULL || live->until_wall_us < needed->until_wall_us)) {
            needed = live;
        }
    }
    return needed;
}

static void recall_one(const struct outlier_pool *pool, const struct server *without)
{
    struct outlier_server *needed = NULL;
    if (pool->resting != 0 && !is_shadow(pool)) {
        needed = find_needed(pool, without);
    }
    if (needed != NULL) {
        come_back(needed, "no other server is usable");
    }
}

void control_outlier_recall(struct control_outlier *outlier)
{
    const struct map_entry *entry = NULL;
    if (outlier != NULL) {
        map_for_each (entry, &outlier->pools) {
            recall_one(entry->value, NULL);
        }
    }
}

void control_outlier_recall_beside(struct control_outlier *outlier, const struct server *server)
{
    const struct outlier_pool *pool = map_get(&outlier->pools, slice_from(server->pool_name));
    if (pool != NULL) {
        recall_one(pool, server);
    }
}

/* -- failures in a row -- */

static struct outlier_server *find(const struct control_outlier *outlier, struct slice pool,
                                   struct slice server)
{
    const struct outlier_pool *found = map_get(&outlier->pools, pool);
    return found != NULL ? map_get(&found->servers, server) : NULL;
}

static void deliver_failures(struct mailbox_message *message, void *receiver)
{
    struct server *server = container_of(message, struct server, failures_message);
    struct outlier_server *live = NULL;
    (void)receiver; /* control's, which does not know us */
    if (listening != NULL) {
        live = find(listening, slice_from(server->pool_name), slice_from(server->name));
    }
    if (live == NULL || live->server != server || live->pool->conf.consecutive_failures == 0) {
        server_forgive(server);
    } else if (live->why == OUTLIER_NONE) {
        char text[CONTROL_OUTLIER_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%u failures in a row",
                       live->pool->conf.consecutive_failures);
        take_out(live, OUTLIER_CONSECUTIVE, text);
    }
    server_unref(server);
}

/* On a worker's thread, with a reference. */
static void on_failures(struct server *server)
{
    server->failures_message.deliver = deliver_failures;
    mailbox_post(listening->options.mailbox, &server->failures_message);
}

/* -- the interval -- */

static struct tally count(const struct server *server)
{
    struct counters_server sum;
    counters_read(COUNTERS_SERVER, server->id, &sum);
    struct tally tally = {.requests = sum.requests, .answers_us = sum.response_us};
    for (size_t i = 0; i < COUNTERS_CODE_COUNT; i++) {
        tally.answers += sum.responses[i];
    }
    tally.failures = sum.errors + sum.responses[counters_code_of(500)];
    return tally;
}

/* What happened since the last time, and a new beginning. */
static struct outlier_sample sample_of(struct outlier_server *live)
{
    struct tally now = count(live->server);
    bool is_in = live->why == OUTLIER_NONE && server_is_usable(live->server);
    const struct outlier_sample sample = {
        .requests = now.requests - live->before.requests,
        .failures = now.failures - live->before.failures,
        .answers = now.answers - live->before.answers,
        .answers_us = now.answers_us - live->before.answers_us,
        .counts = live->was_in && is_in,
    };
    live->before = now;
    live->was_in = is_in;
    return sample;
}

static void take_out_sampled(struct outlier_server *live, const struct outlier_sample *sample)
{
    char text[CONTROL_OUTLIER_TEXT_MAX];
    if (sample->why == OUTLIER_SUCCESS_RATE) {
        (void)snprintf(text, sizeof(text),
                       "%.1f %% of its answers are good, of the others' %.1f %%",
                       sample->value * 100, sample->usual * 100);
    } else {
        (void)snprintf(text, sizeof(text),
                       "answers after %.1f ms, the median of the pool is %.1f ms",
                       sample->value / 1000, sample->usual / 1000);
    }
    take_out(live, sample->why, text);
}

static void on_interval(struct loop_timer *timer)
{
    struct outlier_pool *pool = container_of(timer, struct outlier_pool, timer);
    struct outlier_sample *samples = mem_zero(pool->servers.count + 1, sizeof(*samples));
    struct map_entry *entry = NULL;
    uint32_t n = 0;
    loop_timer_set(pool->outlier->options.loop, &pool->timer, pool->conf.interval_ms, on_interval);
    map_for_each (entry, &pool->servers) {
        samples[n++] = sample_of(entry->value);
    }
    outlier_judge(&pool->rules, samples, n);
    n = 0;
    map_for_each (entry, &pool->servers) {
        const struct outlier_sample *sample = &samples[n++];
        if (sample->why != OUTLIER_NONE) {
            take_out_sampled(entry->value, sample);
        }
    }
    free(samples);
}

/* -- what the document says -- */

static void free_server(struct outlier_server *live)
{
    loop_timer_stop(&live->timer);
    server_unref(live->server);
    free(live);
}

/* It is judged no more, or by other rules: as if nothing had been. */
static void forget_server(struct outlier_server *live)
{
    come_back(live, "it is judged by other rules, or no more");
    live->times = 0;
    server_forgive(live->server);
}

static void forget_servers(struct outlier_pool *pool)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        forget_server(entry->value);
    }
}

static void free_pool(struct outlier_pool *pool)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        free_server(entry->value);
    }
    map_fini(&pool->servers);
    loop_timer_stop(&pool->timer);
    counters_id_unref(pool->counters);
    free(pool->name);
    free(pool);
}

static void apply_server(struct outlier_pool *pool, struct slice name, struct server *server)
{
    struct outlier_server *live = map_get(&pool->servers, name);
    if (live != NULL && live->server == server) {
        return;
    }
    if (live != NULL) { /* the name lives on, the server does not */
        (void)map_remove(&pool->servers, name);
        forget_server(live);
        free_server(live);
    }
    live = mem_zero(1, sizeof(*live));
    live->pool = pool;
    live->server = server_ref(server);
    live->before = count(server);
    (void)map_put(&pool->servers, name, live);
}

static void set_rules(struct outlier_pool *pool, const struct conf_pool_outlier *conf)
{
    if (memcmp(&pool->conf, conf, sizeof(*conf)) == 0) {
        return;
    }
    forget_servers(pool);
    pool->conf = *conf;
    pool->rules = (struct outlier_rules){
        .stdev_percent = conf->success_rate,
        .latency_percent = conf->latency,
        .min_servers = conf->min_servers,
        .min_requests = conf->min_requests,
        .eject_ms = conf->ejection_ms,
        .eject_max_ms = conf->max_ejection_ms,
        .max_ejected = conf->max_ejected,
    };
    loop_timer_set(pool->outlier->options.loop, &pool->timer, conf->interval_ms, on_interval);
}

static void apply_pool(struct control_outlier *outlier, const struct conf_pool *named,
                       const struct registry_pool *known)
{
    struct outlier_pool *pool = map_get(&outlier->pools, named->name);
    struct map_entry *entry = NULL;
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->outlier = outlier;
        pool->name = mem_slicedup(named->name);
        map_init(&pool->servers);
        (void)map_put(&outlier->pools, named->name, pool);
    }
    if (pool->counters != known->counters) {
        counters_id_unref(pool->counters);
        pool->counters = counters_id_ref(known->counters);
    }
    set_rules(pool, &named->outlier);
    for (uint32_t i = 0; i < named->server_count; i++) {
        const struct registry_server *server = map_get(&known->servers, named->servers[i].name);
        apply_server(pool, named->servers[i].name, server->server);
    }
    map_for_each (entry, &pool->servers) {
        struct outlier_server *live = entry->value;
        if (conf_server_find(named, entry->key) == NULL) {
            (void)map_remove(&pool->servers, entry->key);
            forget_server(live);
            free_server(live);
        }
    }
}

void control_outlier_apply(struct control_outlier *outlier, const struct conf *conf,
                           const struct registry *registry)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &outlier->pools) {
        struct outlier_pool *pool = entry->value;
        const struct conf_pool *named = conf_pool_find(conf, entry->key);
        if (named == NULL || named->has_outlier == 0) {
            (void)map_remove(&outlier->pools, entry->key);
            forget_servers(pool);
            free_pool(pool);
        }
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        if (conf->pools[i].has_outlier != 0) {
            const struct registry_pool *known = registry_find_pool(registry, conf->pools[i].name);
            assert(known != NULL); /* the document was committed */
            apply_pool(outlier, &conf->pools[i], known);
        }
    }
    control_outlier_recall(outlier);
}

/* -- asking us -- */

bool control_outlier_facts(const struct control_outlier *outlier, struct slice pool,
                           struct slice server, struct control_outlier_facts *facts)
{
    const struct outlier_server *live = find(outlier, pool, server);
    if (live == NULL || live->why == OUTLIER_NONE) {
        return false;
    }
    *facts = (struct control_outlier_facts){
        .is_shadow = is_shadow(live->pool),
        .reason = outlier_word(live->why),
        .text = live->text,
        .until_wall_us = live->until_wall_us,
        .times = live->times,
    };
    return true;
}

/* -- life -- */

struct control_outlier *control_outlier_new(const struct control_outlier_options *options)
{
    assert(listening == NULL);
    struct control_outlier *outlier = mem_zero(1, sizeof(*outlier));
    outlier->options = *options;
    map_init(&outlier->pools);
    listening = outlier;
    server_on_failures(on_failures);
    return outlier;
}

void control_outlier_free(struct control_outlier *outlier)
{
    if (outlier == NULL) {
        return;
    }
    server_on_failures(NULL);
    listening = NULL;
    struct map_entry *entry = NULL;
    map_for_each (entry, &outlier->pools) {
        free_pool(entry->value);
    }
    map_fini(&outlier->pools);
    free(outlier);
}
