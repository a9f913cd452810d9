/* control_health - when servers are probed, what their state is, what workers tell. */
#include "lbd/control/control_health.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_health_inside.h"

enum {
    CALM_MS = 1000,              /* a server is reported at most once in this time */
    SAY_AGAIN_US = 60 * 1000000, /* what goes on and on is logged at most once in that */
};

/* The hook of server.h has no argument: the one instance and its mailbox. Set before the first
 * worker starts, unset after the last one has ended. */
static struct control_health *listening;

/* --- a change of state --- */

void control_health_post(const struct health_server *live, const char *from, const char *to,
                         const char *why)
{
    const struct server *server = live->server;
    char name[EVENTS_NAME_MAX + 1];
    struct buf data;
    struct json_write w;
    (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "from", from);
    json_write_member_text(&w, "to", to);
    json_write_member_text(&w, "reason", why);
    json_write_object_end(&w);
    events_post(live->pool->health->options.events, "server.health", slice_from(name), data.data,
                "%s -> %s: %s", from, to, why);
    buf_fini(&data);
}

void control_health_set_state(struct health_server *live, enum server_health state, const char *why)
{
    struct server *server = live->server;
    enum server_health before = server->health;
    bool is_usability_new = server_set_health(server, state, now_wall_us());
    if (before != state) {
        const char *event = "server.health";
        const char *from = server_health_word(before);
        const char *to = server_health_word(state);
        bool is_news = true;
        if (before == SERVER_STARTING && live->pool->plan == NULL) {
            log_debug(event, "pool=%s server=%s from=%s to=%s why=\"%s\"", server->pool_name,
                      server->name, from, to, why); /* nobody looked: no news */
            is_news = false;
        } else if (state == SERVER_DOWN) {
            log_warn(event, "pool=%s server=%s from=%s to=%s why=\"%s\"", server->pool_name,
                     server->name, from, to, why);
        } else {
            log_info(event, "pool=%s server=%s from=%s to=%s why=\"%s\"", server->pool_name,
                     server->name, from, to, why);
        }
        if (is_news) {
            control_health_post(live, from, to, why);
        }
    }
    if (is_usability_new) {
        struct control_health *health = live->pool->health;
        health->options.changed(server, health->options.arg);
    }
}

/* Not within SAY_AGAIN_US after the last time (0: never). */
bool control_health_is_time_to_say(uint64_t *last_us, uint64_t now)
{
    if (*last_us != 0 && now - *last_us < SAY_AGAIN_US) {
        return false;
    }
    *last_us = now;
    return true;
}

void control_health_remember(struct health_server *live, const char *text)
{
    (void)snprintf(live->server->last_check, sizeof(live->server->last_check), "%s", text);
}

/* --- how a server is reached --- */

/* The host of "host:port"; one behind a unix socket has no name but this. */
static void write_tls_name(const struct health_server *live, char out[TALK_NAME_MAX])
{
    struct slice host = slice_from(live->authority);
    uint16_t port = 0;
    if (live->pool->tls_name[0] != '\0') {
        host = slice_from(live->pool->tls_name);
    } else if (addr_is_unix(host) || !addr_split(host, true, &host, &port)) {
        host = SLICE("localhost");
    }
    (void)snprintf(out, TALK_NAME_MAX, "%.*s", SLICE_ARG(host));
}

/* For checks of TLS in a pool that speaks none itself; NULL: OpenSSL has no room. */
struct tls_client *control_health_handshake_only(struct control_health *health)
{
    static const struct tls_client_options options = {.verify = TLS_VERIFY_OFF};
    struct err err;
    if (health->handshake_only == NULL) {
        health->handshake_only = tls_client_new(&options, &err);
    }
    return health->handshake_only;
}

void control_health_fill_target(const struct health_server *live,
                                struct control_health_target *target)
{
    const struct health_pool *pool = live->pool;
    const struct registry_pool *known =
        pool->health->registry != NULL
            ? registry_find_pool(pool->health->registry, slice_from(pool->name))
            : NULL;
    write_tls_name(live, target->tls_name);
    target->server = live->server;
    target->plan = pool->plan;
    target->address = live->address;
    if (pool->plan != NULL) {
        health_probe_address(pool->plan, &live->address, &target->address);
    }
    target->how = (struct health_probe_server){
        .address = &target->address,
        .authority = slice_from(live->authority),
        .tls = known != NULL ? known->tls : NULL,
        .tls_name = target->tls_name,
        .proxy = pool->proxy,
        .http = pool->http,
        .starttls = pool->starttls,
        .sources = pool->sources,
        .turn = live->pool->source_turn++,
    };
    if (target->how.tls == NULL && pool->plan != NULL && pool->plan->check.type == CONF_CHECK_TLS) {
        target->how.tls = control_health_handshake_only(pool->health);
        target->how.handshake_only = true;
    }
}

/* --- probing --- */

static void start_waiting(struct control_health *health);

static void on_start(struct loop_ready *ready)
{
    start_waiting(container_of(ready, struct control_health, start));
}

static void start_later(struct control_health *health)
{
    if (!list_is_empty(&health->waiting)) {
        loop_ready_put(health->options.loop, &health->start, on_start);
    }
}

/* As soon as there is a place. */
void control_health_probe_now(struct health_server *live)
{
    struct control_health *health = live->pool->health;
    if (live->is_out || live->probe != NULL || list_is_linked(&live->waiting)) {
        return;
    }
    loop_timer_stop(&live->timer);
    live->due_us = loop_now_us(health->options.loop);
    list_push_back(&health->waiting, &live->waiting);
    start_later(health);
}

/* What is under way or waits is about something that is not true any more. */
void control_health_stop_probing(struct health_server *live)
{
    if (live->probe != NULL) {
        health_probe_cancel(live->probe);
        live->probe = NULL;
        live->pool->health->probing--;
        start_later(live->pool->health); /* its place is free */
    }
    list_remove(&live->waiting);
    loop_timer_stop(&live->timer);
}

static void on_due(struct loop_timer *timer)
{
    control_health_probe_now(container_of(timer, struct health_server, timer));
}

static uint64_t interval_us_of(const struct health_server *live)
{
    const struct conf_health_check *check = &live->pool->plan->check;
    uint32_t ms = check->interval_ms;
    if (live->health.streak != 0) { /* about to change */
        ms = check->fast_interval_ms != 0 ? check->fast_interval_ms : ms;
    } else if (live->health.state == SERVER_DOWN && check->down_interval_ms != 0) {
        ms = check->down_interval_ms;
    }
    return ms * UINT64_C(1000);
}

/* Intervals are counted from beginning to beginning. */
static void schedule_next(struct health_server *live, uint64_t duration_us)
{
    struct control_health *health = live->pool->health;
    uint64_t interval_us = interval_us_of(live);
    /* in a large pool all begin together: from the second probe on they are spread */
    bool spreads = live->is_first && live->pool->servers.count >= CONTROL_HEALTH_SPREAD_FROM;
    uint64_t permille = spreads ? 100 + random_below(&health->random, 901)
                                : 900 + random_below(&health->random, 201);
    uint64_t wait_us = interval_us * permille / 1000;
    wait_us = wait_us > duration_us ? wait_us - duration_us : 0;
    live->is_first = false;
    loop_timer_set(health->options.loop, &live->timer, wait_us / 1000, on_due);
}

static struct counters_pool *counters_of(const struct health_pool *pool)
{
    return counters_of_pool(counters_control(), pool->counters->id);
}

static void count_result(struct health_pool *pool, const struct health_probe_result *result)
{
    struct counters_pool *counters = counters_of(pool);
    switch (result->verdict) {
    case HEALTH_PROBE_PASSED:
        pool->stats.passed++;
        counter_add(&counters->checks[COUNTERS_CHECK_PASSED], 1);
        break;
    case HEALTH_PROBE_FAILED:
        pool->stats.failed++;
        counter_add(&counters->checks[COUNTERS_CHECK_FAILED], 1);
        break;
    case HEALTH_PROBE_NOT_RUN:
        pool->stats.not_run++;
        counter_add(&counters->checks[COUNTERS_CHECK_NOT_RUN], 1);
        return;
    }
    histogram_note_us(&pool->stats.duration, result->duration_us);
    histogram_note_us(&counters->check_duration, result->duration_us);
}

/* What a probe found counts. */
static void take_result(struct health_server *live, const struct health_probe_result *result)
{
    struct health_pool *pool = live->pool;
    bool passed = result->verdict == HEALTH_PROBE_PASSED;
    live->facts.checks++;
    live->facts.last_wall_us = now_wall_us();
    live->facts.last_duration_us = result->duration_us;
    live->facts.last_passed = passed;
    health_history_note(&live->history, live->facts.last_wall_us, result->duration_us,
                        result->verdict, result->text);
    control_health_remember(live, result->text);
    count_result(pool, result);
    if (result->verdict == HEALTH_PROBE_NOT_RUN) {
        /* says something about us, nothing about the server */
        uint64_t now = loop_now_us(pool->health->options.loop);
        if (control_health_is_time_to_say(&pool->health->not_run_us, now)) {
            log_warn("health.not_run", "pool=%s server=%s why=\"%s\"", live->server->pool_name,
                     live->server->name, result->text);
        }
    } else {
        (void)health_note(&live->health, passed);
        if (live->health.state != SERVER_STARTING) {
            control_health_set_state(live, live->health.state, result->text);
        }
        if (passed) {
            live->is_kept = false;
            control_health_trust(live);
            control_health_note_degraded(live, result->is_degraded, result->text);
            control_health_learn(live, result->capabilities);
        } else {
            live->server->is_degraded = false; /* it is worse */
            control_health_doubt(live, result);
        }
    }
}

static void on_result(const struct health_probe_result *result, void *arg)
{
    struct health_server *live = arg;
    struct health_pool *pool = live->pool;
    live->probe = NULL;
    pool->health->probing--;
    take_result(live, result);
    schedule_next(live, result->duration_us);
    start_later(pool->health);
}

static void start_waiting(struct control_health *health)
{
    uint64_t now = loop_now_us(health->options.loop);
    while (health->probing < health->options.probes_max) {
        struct list_node *node = list_pop_front(&health->waiting);
        if (node == NULL) {
            return;
        }
        struct health_server *live = list_entry(node, struct health_server, waiting);
        struct health_probe_plan *plan = live->pool->plan;
        if (now > live->due_us + interval_us_of(live)) {
            live->pool->stats.late++;
            counter_add(&counters_of(live->pool)->checks_late, 1);
        }
        health->probing++;
        struct control_health_target target;
        control_health_fill_target(live, &target);
        live->probe = health_probe_start(health->options.loop, plan, &target.how, on_result, live);
    }
}

/* --- passive marks --- */

static bool has_usable(const struct health_pool *pool, const struct health_server *but)
{
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        const struct health_server *other = entry->value;
        if (other != but && server_is_usable(other->server)) {
            return true;
        }
    }
    return false;
}

/* Is there another usable one, in the pool or in those that stand in for it? */
static bool has_company(const struct health_server *live)
{
    const struct health_pool *pool = live->pool;
    while (pool != NULL && !has_usable(pool, live)) {
        pool = map_get(&pool->health->pools, slice_from(pool->fallback)); /* they end: conf_check */
    }
    return pool != NULL;
}

/* Until a connection works, which forgets its failures, a check passes or another is usable. */
static bool is_kept(const struct health_server *live)
{
    uint32_t failures = atomic_load_explicit(&live->server->connect_failures, memory_order_relaxed);
    return live->is_kept && failures >= SERVER_PASSIVE_FALL && server_is_usable(live->server) &&
           !has_company(live);
}

static void on_passive_over(struct loop_timer *timer)
{
    struct health_server *live = container_of(timer, struct health_server, timer);
    if (live->address.len != 0) {
        control_health_set_state(live, SERVER_UP, "10s after connection failures");
    }
}

/* "server.kept": {"reason":"connect_failures"}; once a minute, like its line in the log. */
static void keep(struct health_server *live, const char *why)
{
    const struct server *server = live->server;
    char name[EVENTS_NAME_MAX + 1];
    live->is_kept = true;
    if (!control_health_is_time_to_say(&live->kept_us,
                                       loop_now_us(live->pool->health->options.loop))) {
        return;
    }
    log_warn("server.kept", "pool=%s server=%s why=\"%s, but no other is usable\"",
             server->pool_name, server->name, why);
    (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
    events_post(live->pool->health->options.events, "server.kept", slice_from(name),
                "{\"reason\":\"connect_failures\"}", "%s, but no other is usable", why);
}

static void mark_down(struct health_server *live)
{
    struct control_health *health = live->pool->health;
    char why[48];
    (void)snprintf(why, sizeof(why), "%d connection failures in a row", SERVER_PASSIVE_FALL);
    if (live->server->health != SERVER_UP) {
        return;
    }
    if (health->options.refused != NULL) {
        health->options.refused(live->server, health->options.arg);
    }
    if (server_is_usable(live->server) && !has_company(live)) {
        keep(live, why);
        if (live->pool->plan != NULL) {
            control_health_probe_now(live);
        }
        return;
    }

    live->is_kept = false;
    counter_add(&counters_of(live->pool)->ejections, 1);
    live->health.state = SERVER_DOWN;
    live->health.streak = 0;
    control_health_remember(live, why);
    control_health_set_state(live, SERVER_DOWN, why);
    if (live->pool->plan != NULL) {
        control_health_probe_now(live);
    } else {
        loop_timer_set(health->options.loop, &live->timer, CONTROL_HEALTH_PASSIVE_MS,
                       on_passive_over);
    }
}

struct health_server *control_health_find(const struct control_health *health, struct slice pool,
                                          struct slice server)
{
    const struct health_pool *found = map_get(&health->pools, pool);
    return found != NULL ? map_get(&found->servers, server) : NULL;
}

/* From here on three failures in a row make another report. */
void control_health_listen_again(struct server *server)
{
    atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
    atomic_store_explicit(&server->reported, 0, memory_order_release);
}

static void on_calm(struct loop_timer *timer)
{
    struct health_server *live = container_of(timer, struct health_server, calm);
    if (is_kept(live)) { /* its failures go on: forgotten, it would look as if one had worked */
        atomic_store_explicit(&live->server->reported, 0, memory_order_release);
    } else {
        control_health_listen_again(live->server);
    }
}

static void deliver_passive(struct mailbox_message *message, void *receiver)
{
    struct server *server = container_of(message, struct server, passive_message);
    struct health_server *live = NULL;
    (void)receiver; /* control's, which does not know us */
    if (listening != NULL) {
        live =
            control_health_find(listening, slice_from(server->pool_name), slice_from(server->name));
    }
    if (live != NULL && live->server == server) {
        loop_timer_set(listening->options.loop, &live->calm, CALM_MS, on_calm);
        mark_down(live);
    } else {
        control_health_listen_again(server);
    }
    server_unref(server);
}

/* On a worker's thread, with a reference. */
static void on_hook(struct server *server)
{
    server->passive_message.deliver = deliver_passive;
    mailbox_post(listening->options.mailbox, &server->passive_message);
}

/* --- troubles that workers had --- */

/* "server.error": {"reason":"server_tls_unverified"} */
static void post_trouble(const struct health_server *live, const struct server_trouble *trouble)
{
    char name[EVENTS_NAME_MAX + 1];
    struct buf data;
    struct json_write w;
    (void)snprintf(name, sizeof(name), "%s/%s", live->server->pool_name, live->server->name);
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_string(&w, "reason", close_reason_word(trouble->reason));
    json_write_object_end(&w);
    events_post(live->pool->health->options.events, "server.error", slice_from(name), data.data,
                "%s", trouble->text);
    buf_fini(&data);
}

static void deliver_trouble(struct mailbox_message *message, void *receiver)
{
    struct server_trouble *trouble = container_of(message, struct server_trouble, message);
    const struct server *server = trouble->server;
    struct health_server *live = NULL;
    (void)receiver; /* control's, which does not know us */
    if (listening != NULL) {
        live =
            control_health_find(listening, slice_from(server->pool_name), slice_from(server->name));
    }
    if (live != NULL && live->server == server) {
        bool is_new = server->last_error == NULL || strcmp(server->last_error, trouble->text) != 0;
        server_set_error(live->server, trouble->text, now_wall_us());
        if (is_new) {
            live->trouble_us = 0; /* something else: told at once */
        }
        if (control_health_is_time_to_say(&live->trouble_us,
                                          loop_now_us(listening->options.loop))) {
            log_warn("server.error", "pool=%s server=%s reason=%s why=\"%s\"", server->pool_name,
                     server->name, close_reason_word(trouble->reason).ptr, trouble->text);
            post_trouble(live, trouble);
        }
        control_health_doubt_requests(live, trouble->reason);
    }
    server_trouble_free(trouble);
}

/* On a worker's thread. */
static void on_trouble(struct server_trouble *trouble)
{
    trouble->message.deliver = deliver_trouble;
    mailbox_post(listening->options.mailbox, &trouble->message);
}

/* --- asking us --- */

bool control_health_target(const struct control_health *health, struct slice pool,
                           struct slice server, struct control_health_target *target)
{
    const struct health_server *live = control_health_find(health, pool, server);
    if (live == NULL) {
        return false;
    }
    control_health_fill_target(live, target);
    return true;
}

void control_health_note(struct control_health *health, struct slice pool,
                         const struct server *server, const struct health_probe_result *result)
{
    struct health_server *live = control_health_find(health, pool, slice_from(server->name));
    if (live != NULL && live->server == server && live->pool->plan != NULL && !live->is_out) {
        take_result(live, result);
    }
}

bool control_health_facts(const struct control_health *health, struct slice pool,
                          struct slice server, struct control_health_facts *facts)
{
    const struct health_server *live = control_health_find(health, pool, server);
    if (live == NULL) {
        return false;
    }
    *facts = live->facts;
    facts->has_check = live->pool->plan != NULL;
    facts->is_probing = live->probe != NULL || list_is_linked(&live->waiting);
    facts->is_kept = is_kept(live);
    facts->streak = live->health.streak;
    facts->history = &live->history;
    return true;
}

const struct control_health_stats *control_health_stats(const struct control_health *health,
                                                        struct slice pool)
{
    const struct health_pool *found = map_get(&health->pools, pool);
    return found != NULL ? &found->stats : NULL;
}

/* --- life --- */

struct control_health *control_health_new(const struct control_health_options *options)
{
    assert(listening == NULL);
    struct control_health *health = mem_zero(1, sizeof(*health));
    health->options = *options;
    if (health->options.probes_max == 0) {
        health->options.probes_max = CONTROL_HEALTH_PROBES_MAX;
    }
    map_init(&health->pools);
    list_init(&health->waiting);
    random_seed(&health->random);
    listening = health;
    server_on_passive_down(on_hook);
    server_on_trouble(on_trouble);
    return health;
}

void control_health_free(struct control_health *health)
{
    if (health == NULL) {
        return;
    }
    server_on_passive_down(NULL);
    server_on_trouble(NULL);
    listening = NULL;
    struct map_entry *entry = NULL;
    map_for_each (entry, &health->pools) {
        control_health_free_pool(entry->value);
    }
    map_fini(&health->pools);
    tls_client_unref(health->handshake_only);
    loop_ready_remove(&health->start);
    free(health);
}
