#include "lbd/control/control_health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/snapshot/snapshot_build.h"
#include "lbd/snapshot/snapshot_mail.h"
#include "lbd/upstream/health.h"
#include "lbd/upstream/health_probe.h"
#include "lbd/upstream/interview.h"

enum {
    PROBES_PER_INTERVIEW = 16,   /* of those at once */
    CALM_MS = 1000,              /* a server is reported at most once in this time */
    SAY_AGAIN_US = 60 * 1000000, /* what goes on and on is logged at most once in that */
};

/* A pool and its check. */
struct health_pool {
    struct control_health *health;
    char *name;                     /* owned */
    uint64_t version;               /* of the conf_pool it was made from; 0: look again */
    uint64_t check_version;         /* of the conf_health_check, likewise */
    struct health_probe_plan *plan; /* referenced; NULL: no check */
    struct map servers;             /* name -> struct health_server */
    struct control_health_stats stats;
    struct counters_id *counters; /* held: the pool's block, in which control counts too */
    char *tls_name;               /* owned: of its servers; empty: the host of each one's address */
    enum proxy_header_version proxy;
    enum pool_http http;
    bool starttls;
    struct dial_sources sources; /* owned */
    uint32_t source_turn;
    char differing[CONTROL_HEALTH_DIFFERING_MAX + 1]; /* see control_health_differing */
};

/* A server and what we know of it.
 *
 *     idle --timer--> in health->waiting --a place is free--> probe --result--> idle
 */
struct health_server {
    struct health_pool *pool;
    struct server *server; /* referenced */
    struct addr address;   /* len 0: none */
    char *authority;       /* owned: the address as configured */
    struct health health;  /* the verdict of the probes */
    struct list_node waiting;
    struct loop_timer timer;    /* the next probe; without a check: the end of a passive mark */
    uint64_t due_us;            /* when that probe should begin */
    struct health_probe *probe; /* under way */
    bool is_first;              /* probe since the check or the address is new */
    bool is_out;                /* in maintenance: not checked */
    struct loop_timer calm;     /* until then no further report of connection failures is taken */
    uint64_t kept_us;           /* when we last said that it is kept although it fails */
    uint64_t trouble_us;        /* when we last told of its last_error */
    struct control_health_facts facts;
    struct health_history history;
    struct interview *interview; /* under way */
    bool was_interviewed;        /* since the check or the address is new */
};

struct control_health {
    struct control_health_options options;
    struct map pools;                  /* name -> struct health_pool */
    struct tls_client *handshake_only; /* held; NULL: not needed yet */
    const struct registry *registry;   /* borrowed: knows the TLS of each pool; NULL: not yet */
    struct list_node waiting;
    uint32_t probing;        /* under way */
    uint32_t interviewing;   /* likewise */
    struct loop_ready start; /* probes begin after the caller has finished */
    struct random random;
    uint64_t not_run_us; /* when we last said that a probe could not run */
};

/* The hook of server.h has no argument: the one instance and its mailbox. Set before the first
 * worker starts, unset after the last one has ended. */
static struct control_health *listening;

/* --- a change of state --- */

static void post(const struct health_server *live, const char *from, const char *to,
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

static void set_state(struct health_server *live, enum server_health state, const char *why)
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
            post(live, from, to, why);
        }
    }
    if (is_usability_new) {
        struct control_health *health = live->pool->health;
        health->options.changed(server, health->options.arg);
    }
}

/* Not within SAY_AGAIN_US after the last time (0: never). */
static bool is_time_to_say(uint64_t *last_us, uint64_t now)
{
    if (*last_us != 0 && now - *last_us < SAY_AGAIN_US) {
        return false;
    }
    *last_us = now;
    return true;
}

static void remember(struct health_server *live, const char *text)
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
static struct tls_client *handshake_only(struct control_health *health)
{
    static const struct tls_client_options options = {.verify = TLS_VERIFY_OFF};
    struct err err;
    if (health->handshake_only == NULL) {
        health->handshake_only = tls_client_new(&options, &err);
    }
    return health->handshake_only;
}

static void fill_target(const struct health_server *live, struct control_health_target *target)
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
        target->how.tls = handshake_only(pool->health);
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
static void probe_now(struct health_server *live)
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
static void stop_probing(struct health_server *live)
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
    probe_now(container_of(timer, struct health_server, timer));
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

/* -- what mail servers can -- */

static bool learns(const struct health_pool *pool, enum mail_keywords_form *form)
{
    return pool->plan != NULL && snapshot_mail_form(pool->plan->check.type, form);
}

/* "pool.capabilities": {"differing":"CHUNKING SMTPUTF8"} */
static void tell_differing(struct health_pool *pool)
{
    struct buf data;
    struct json_write w;
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "differing", pool->differing);
    json_write_object_end(&w);
    if (pool->differing[0] != '\0') {
        log_warn("pool.capabilities", "pool=%s differing=\"%s\"", pool->name, pool->differing);
        events_post(pool->health->options.events, "pool.capabilities", slice_from(pool->name),
                    data.data, "not all servers have %s", pool->differing);
    } else {
        log_info("pool.capabilities", "pool=%s differing=\"\"", pool->name);
        events_post(pool->health->options.events, "pool.capabilities", slice_from(pool->name),
                    data.data, "all servers have the same");
    }
    buf_fini(&data);
}

/* Holds the lists of the pool's servers against each other: each against the first is enough, for
 * two that differ from each other differ from a third. */
static void compare(struct health_pool *pool, enum mail_keywords_form form)
{
    struct buf differing;
    const char *first = NULL;
    const struct map_entry *entry = NULL;
    buf_init(&differing, CONTROL_HEALTH_DIFFERING_MAX);
    map_for_each (entry, &pool->servers) {
        const struct health_server *live = entry->value;
        const char *list = live->server->capabilities;
        if (list == NULL) {
            continue;
        }
        first = first == NULL ? list : first;
        mail_keywords_beyond(slice_from(first), slice_from(list), form, &differing);
        mail_keywords_beyond(slice_from(list), slice_from(first), form, &differing);
    }
    if (!slice_eq(buf_slice(&differing), slice_from(pool->differing))) {
        (void)snprintf(pool->differing, sizeof(pool->differing), "%.*s",
                       SLICE_ARG(buf_slice(&differing)));
        tell_differing(pool);
    }
    buf_fini(&differing);
}

static void learn(struct health_server *live, struct slice list)
{
    struct server *server = live->server;
    struct health_pool *pool = live->pool;
    enum mail_keywords_form form;
    if (list.len == 0 || !learns(pool, &form) ||
        (server->capabilities != NULL && slice_eq(slice_from(server->capabilities), list))) {
        return;
    }
    free(server->capabilities);
    server->capabilities = mem_slicedup(list);
    compare(pool, form);
    pool->health->options.changed(server, pool->health->options.arg);
}

/* Nobody learns any more, or others are asked something else. */
static void unlearn(struct health_server *live)
{
    enum mail_keywords_form form;
    if (!learns(live->pool, &form)) {
        free(live->server->capabilities);
        live->server->capabilities = NULL;
        live->pool->differing[0] = '\0';
    }
    live->server->is_degraded = false;
}

/* A state beside up: nothing changes for traffic. */
static void note_degraded(struct health_server *live, bool is_degraded, const char *text)
{
    struct server *server = live->server;
    const char *from = is_degraded ? "up" : "degraded";
    const char *to = is_degraded ? "degraded" : "up";
    if (server->is_degraded == is_degraded) {
        return;
    }
    server->is_degraded = is_degraded;
    if (is_degraded) {
        log_warn("server.health", "pool=%s server=%s from=%s to=%s why=\"%s\"", server->pool_name,
                 server->name, from, to, text);
    } else {
        log_info("server.health", "pool=%s server=%s from=%s to=%s why=\"%s\"", server->pool_name,
                 server->name, from, to, text);
    }
    post(live, from, to, text);
}

/* -- what a server speaks that was not understood -- */

static void set_interview(struct health_server *live, const char *text)
{
    free(live->server->interview);
    live->server->interview = text[0] != '\0' ? mem_strdup(text) : NULL;
}

static void on_interviewed(const char *text, void *arg)
{
    struct health_server *live = arg;
    struct server *server = live->server;
    live->interview = NULL;
    live->pool->health->interviewing--;
    set_interview(live, text);
    if (text[0] != '\0') {
        char name[EVENTS_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
        log_warn("server.interview", "pool=%s server=%s why=\"%s\"", server->pool_name,
                 server->name, text);
        events_post(live->pool->health->options.events, "server.interview", slice_from(name), NULL,
                    "%s", text);
    }
}

static void stop_interview(struct health_server *live)
{
    if (live->interview != NULL) {
        interview_cancel(live->interview);
        live->interview = NULL;
        live->pool->health->interviewing--;
    }
}

/* What the pool's check and TLS say of its servers. */
static const char *word_of(enum conf_check_type type, bool is_http2, bool is_tls,
                           enum interview_found *expected)
{
    static const struct {
        const char *clear;
        const char *over_tls;
        enum interview_found expected;
    } words[] = {
        [CONF_CHECK_HTTP] = {"http", "https", INTERVIEW_HTTP1},
        [CONF_CHECK_TCP] = {"tcp", "tcp", INTERVIEW_OTHER},
        [CONF_CHECK_TLS] = {"tls", "tls", INTERVIEW_TLS},
        [CONF_CHECK_GRPC] = {"grpc", "grpc over TLS", INTERVIEW_HTTP2},
        [CONF_CHECK_IMAP] = {"imap", "imaps", INTERVIEW_IMAP},
        [CONF_CHECK_POP3] = {"pop3", "pop3s", INTERVIEW_POP3},
        [CONF_CHECK_SMTP] = {"smtp", "smtps", INTERVIEW_SMTP},
        [CONF_CHECK_SIEVE] = {"sieve", "sieve over TLS", INTERVIEW_OTHER},
    };
    bool is_plain_http2 = is_http2 && type == CONF_CHECK_HTTP && !is_tls;
    *expected = is_tls ? INTERVIEW_TLS : is_plain_http2 ? INTERVIEW_HTTP2 : words[type].expected;
    return is_plain_http2 ? "http_version 2" : is_tls ? words[type].over_tls : words[type].clear;
}

/* Its first check connected and was not understood: once, somebody looks what it is. */
static void interview(struct health_server *live, const struct health_probe_result *result)
{
    struct control_health *health = live->pool->health;
    if (result->verdict != HEALTH_PROBE_FAILED || !result->was_reached || result->was_understood ||
        live->was_interviewed || live->interview != NULL ||
        health->interviewing * PROBES_PER_INTERVIEW >= health->options.probes_max) {
        return;
    }
    struct tls_client *tls = handshake_only(health);
    if (tls == NULL) {
        return;
    }
    struct control_health_target target;
    fill_target(live, &target);
    enum conf_check_type type = live->pool->plan->check.type;
    bool is_tls = target.how.tls != NULL && !target.how.starttls && type != CONF_CHECK_TCP;
    struct interview_server server = {
        .address = &target.address,
        .host = SLICE("localhost"),
        .proxy = target.how.proxy,
        .tls = tls,
        .tls_name = target.tls_name,
    };
    server.word = word_of(type, target.how.http == POOL_HTTP2, is_tls, &server.expected);
    live->was_interviewed = true;
    health->interviewing++;
    live->interview = interview_start(health->options.loop, &server, on_interviewed, live);
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
    remember(live, result->text);
    count_result(pool, result);
    if (result->verdict == HEALTH_PROBE_NOT_RUN) {
        /* says something about us, nothing about the server */
        uint64_t now = loop_now_us(pool->health->options.loop);
        if (is_time_to_say(&pool->health->not_run_us, now)) {
            log_warn("health.not_run", "pool=%s server=%s why=\"%s\"", live->server->pool_name,
                     live->server->name, result->text);
        }
    } else {
        (void)health_note(&live->health, passed);
        if (live->health.state != SERVER_STARTING) {
            set_state(live, live->health.state, result->text);
        }
        if (passed) {
            set_interview(live, "");
            note_degraded(live, result->is_degraded, result->text);
            learn(live, result->capabilities);
        } else {
            live->server->is_degraded = false; /* it is worse */
            interview(live, result);
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
        fill_target(live, &target);
        live->probe = health_probe_start(health->options.loop, plan, &target.how, on_result, live);
    }
}

/* --- passive marks --- */

/* Is there another usable one in the pool? */
static bool has_company(const struct health_server *live)
{
    const struct map_entry *entry = NULL;
    map_for_each (entry, &live->pool->servers) {
        const struct health_server *other = entry->value;
        if (other != live && server_is_usable(other->server)) {
            return true;
        }
    }
    return false;
}

static void on_passive_over(struct loop_timer *timer)
{
    struct health_server *live = container_of(timer, struct health_server, timer);
    if (live->address.len != 0) {
        set_state(live, SERVER_UP, "10s after connection failures");
    }
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
        uint64_t now = loop_now_us(health->options.loop);
        if (is_time_to_say(&live->kept_us, now)) {
            log_warn("server.kept", "pool=%s server=%s why=\"%s, but no other is usable\"",
                     live->server->pool_name, live->server->name, why);
        }
        if (live->pool->plan != NULL) {
            probe_now(live);
        }
        return;
    }

    counter_add(&counters_of(live->pool)->ejections, 1);
    live->health.state = SERVER_DOWN;
    live->health.streak = 0;
    remember(live, why);
    set_state(live, SERVER_DOWN, why);
    if (live->pool->plan != NULL) {
        probe_now(live);
    } else {
        loop_timer_set(health->options.loop, &live->timer, CONTROL_HEALTH_PASSIVE_MS,
                       on_passive_over);
    }
}

static struct health_server *find(const struct control_health *health, struct slice pool,
                                  struct slice server)
{
    const struct health_pool *found = map_get(&health->pools, pool);
    return found != NULL ? map_get(&found->servers, server) : NULL;
}

/* From here on three failures in a row make another report. */
static void listen_again(struct server *server)
{
    atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
    atomic_store_explicit(&server->reported, 0, memory_order_release);
}

static void on_calm(struct loop_timer *timer)
{
    listen_again(container_of(timer, struct health_server, calm)->server);
}

static void deliver_passive(struct mailbox_message *message, void *receiver)
{
    struct server *server = container_of(message, struct server, passive_message);
    struct health_server *live = NULL;
    (void)receiver; /* control's, which does not know us */
    if (listening != NULL) {
        live = find(listening, slice_from(server->pool_name), slice_from(server->name));
    }
    if (live != NULL && live->server == server) {
        loop_timer_set(listening->options.loop, &live->calm, CALM_MS, on_calm);
        mark_down(live);
    } else {
        listen_again(server);
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
        live = find(listening, slice_from(server->pool_name), slice_from(server->name));
    }
    if (live != NULL && live->server == server) {
        bool is_new = server->last_error == NULL || strcmp(server->last_error, trouble->text) != 0;
        server_set_error(live->server, trouble->text, now_wall_us());
        if (is_new) {
            live->trouble_us = 0; /* something else: told at once */
        }
        if (is_time_to_say(&live->trouble_us, loop_now_us(listening->options.loop))) {
            log_warn("server.error", "pool=%s server=%s reason=%s why=\"%s\"", server->pool_name,
                     server->name, close_reason_word(trouble->reason).ptr, trouble->text);
            post_trouble(live, trouble);
        }
    }
    server_trouble_free(trouble);
}

/* On a worker's thread. */
static void on_trouble(struct server_trouble *trouble)
{
    trouble->message.deliver = deliver_trouble;
    mailbox_post(listening->options.mailbox, &trouble->message);
}

/* --- what the document says --- */

/* Probes (or the lack of a check) decide anew; until then the state is what it was, but for a
 * server that had none. */
static void begin(struct health_server *live)
{
    const struct health_probe_plan *plan = live->pool->plan;
    enum server_health before = live->server->health;
    stop_probing(live);
    stop_interview(live);
    live->was_interviewed = false;
    set_interview(live, "");
    unlearn(live);
    live->is_first = true;
    live->server->has_check = plan != NULL;
    if (live->address.len == 0) {
        health_init(&live->health, 1, 1);
        remember(live, "");
        set_state(live, SERVER_UNRESOLVED, "its name has no address");
        return;
    }
    if (plan == NULL) {
        health_init(&live->health, 1, 1);
        remember(live, "");
        set_state(live, SERVER_UP, "no health check");
        return;
    }
    health_init(&live->health, plan->check.rise, plan->check.fall);
    if (before == SERVER_UNRESOLVED) {
        set_state(live, SERVER_STARTING, "its name has an address");
    }
    probe_now(live);
}

/* Maintenance: nobody looks, so nobody knows; afterwards a probe decides before traffic comes. */
static void heed_admin(struct health_server *live)
{
    bool is_out = live->server->admin == SERVER_MAINT;
    if (is_out == live->is_out) {
        return;
    }
    live->is_out = is_out;
    if (live->pool->plan == NULL || live->address.len == 0) {
        return;
    }
    if (is_out) {
        stop_probing(live);
        remember(live, "");
        set_state(live, SERVER_STARTING, "maintenance: not checked");
    } else {
        begin(live);
    }
}

static void free_server(struct health_server *live)
{
    stop_probing(live);
    stop_interview(live);
    set_interview(live, "");
    if (loop_timer_is_set(&live->calm)) {
        loop_timer_stop(&live->calm);
        listen_again(live->server);
    }
    server_unref(live->server);
    health_history_fini(&live->history);
    free(live->authority);
    free(live);
}

static void free_pool(struct health_pool *pool)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        free_server(entry->value);
    }
    map_fini(&pool->servers);
    health_probe_plan_unref(pool->plan);
    counters_id_unref(pool->counters);
    free((void *)(uintptr_t)pool->sources.list);
    free(pool->tls_name);
    free(pool->name);
    free(pool);
}

static void set_authority(struct health_server *live, struct slice text)
{
    if (live->authority == NULL || !slice_eq(slice_from(live->authority), text)) {
        free(live->authority);
        live->authority = mem_slicedup(text);
    }
}

static void apply_server(struct health_pool *pool, const struct conf_server *conf,
                         const struct registry_server *known, bool is_check_new, size_t *cursor)
{
    struct health_server *live = map_get_near(&pool->servers, conf->name, cursor);
    if (live != NULL && live->server != known->server) {
        (void)map_remove(&pool->servers, conf->name); /* the name lives on, the server does not */
        free_server(live);
        live = NULL;
    }
    bool is_new = live == NULL;
    if (is_new) {
        live = mem_zero(1, sizeof(*live));
        live->pool = pool;
        live->server = server_ref(known->server);
        (void)map_put(&pool->servers, conf->name, live);
    }
    set_authority(live, conf->address);
    if (is_check_new) {
        health_history_fini(&live->history); /* of another check */
    }
    bool is_moved = !addr_eq(&live->address, &known->address);
    live->address = known->address;
    if (is_new || is_moved || is_check_new) {
        live->is_out = live->server->admin == SERVER_MAINT;
        begin(live);
    } else {
        heed_admin(live);
    }
}

static void sweep_servers(struct health_pool *pool, const struct conf_pool *conf)
{
    if (pool->servers.count == conf->server_count) {
        return; /* all that the document names were put: none is too many */
    }
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        struct health_server *live = entry->value;
        if (conf_server_find(conf, entry->key) == NULL) {
            (void)map_remove(&pool->servers, entry->key);
            free_server(live);
        }
    }
}

/* True when the pool's check is another one than before. */
static bool apply_check(struct health_pool *pool, const struct conf_health_check *check)
{
    if (check == NULL || pool->plan == NULL) {
        if (check == NULL && pool->plan == NULL) {
            return false;
        }
    } else if (health_probe_plan_is(pool->plan, check)) {
        return false;
    }
    /* probes under way hold the old plan until begin() stops them */
    health_probe_plan_unref(pool->plan);
    pool->plan = check != NULL ? health_probe_plan_new(check) : NULL;
    return true;
}

static bool has_sources(const struct health_pool *pool, const struct conf_pool *named)
{
    bool is_same = pool->sources.count == named->source_address_count;
    for (uint32_t i = 0; is_same && i < pool->sources.count; i++) {
        struct addr address;
        is_same = addr_from_ip(named->source_address[i], 0, &address) &&
                  addr_eq(&address, &pool->sources.list[i]);
    }
    return is_same;
}

static void set_sources(struct health_pool *pool, const struct conf_pool *named)
{
    struct addr *list = mem_zero(named->source_address_count + 1, sizeof(*list));
    for (uint32_t i = 0; i < named->source_address_count; i++) {
        (void)!addr_from_ip(named->source_address[i], 0,
                            &list[i]); /* the format has been checked */
    }
    free((void *)(uintptr_t)pool->sources.list);
    pool->sources = (struct dial_sources){list, named->source_address_count};
}

/* True when its servers are reached otherwise than before. */
static bool apply_way(struct health_pool *pool, const struct conf_pool *named)
{
    enum proxy_header_version proxy = snapshot_send_proxy(named->send_proxy);
    enum pool_http http = snapshot_http(named);
    bool starttls = named->has_mail != 0 && named->mail.starttls != 0;
    bool is_same = pool->tls_name != NULL && pool->proxy == proxy && pool->http == http &&
                   pool->starttls == starttls &&
                   slice_eq(slice_from(pool->tls_name), named->tls.server_name) &&
                   has_sources(pool, named);
    if (!is_same) {
        free(pool->tls_name);
        set_sources(pool, named);
        pool->tls_name = mem_slicedup(named->tls.server_name);
        pool->proxy = proxy;
        pool->http = http;
        pool->starttls = starttls;
    }
    return !is_same;
}

static void apply_pool(struct control_health *health, const struct conf *conf,
                       const struct conf_pool *named, const struct registry *registry)
{
    const struct conf_health_check *check =
        named->health_check.len != 0 ? conf_health_check_find(conf, named->health_check) : NULL;
    uint64_t check_version = check != NULL ? check->version : 0;
    struct health_pool *pool = map_get(&health->pools, named->name);
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->health = health;
        pool->name = mem_slicedup(named->name);
        map_init(&pool->servers);
        (void)map_put(&health->pools, named->name, pool);
    } else if (named->version != 0 && named->version == pool->version &&
               (check == NULL || (check_version != 0 && check_version == pool->check_version))) {
        return;
    }
    pool->version = named->version;
    pool->check_version = check_version;

    bool is_check_new = apply_check(pool, check);
    is_check_new = apply_way(pool, named) || is_check_new;
    const struct registry_pool *known = registry_find_pool(registry, named->name);
    size_t known_cursor = 0;
    size_t cursor = 0;
    assert(known != NULL); /* the document was committed */
    if (pool->counters != known->counters) {
        counters_id_unref(pool->counters);
        pool->counters = counters_id_ref(known->counters);
    }
    for (uint32_t i = 0; i < named->server_count; i++) {
        const struct conf_server *server = &named->servers[i];
        apply_server(pool, server, map_get_near(&known->servers, server->name, &known_cursor),
                     is_check_new, &cursor);
    }
    sweep_servers(pool, named);
}

void control_health_apply(struct control_health *health, const struct conf *conf,
                          const struct registry *registry)
{
    struct map_entry *entry = NULL;
    health->registry = registry;
    map_for_each (entry, &health->pools) {
        struct health_pool *pool = entry->value;
        if (conf_pool_find(conf, entry->key) == NULL) {
            (void)map_remove(&health->pools, entry->key);
            free_pool(pool);
        }
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        apply_pool(health, conf, &conf->pools[i], registry);
    }
}

void control_health_set_address(struct control_health *health, struct slice pool,
                                struct slice server, const struct addr *address)
{
    struct health_server *live = find(health, pool, server);
    if (live != NULL && !addr_eq(&live->address, address)) {
        live->address = *address;
        begin(live);
    }
}

void control_health_heed_admin(struct control_health *health, struct slice pool,
                               struct slice server)
{
    struct health_server *live = find(health, pool, server);
    if (live != NULL) {
        heed_admin(live);
    }
}

/* --- asking us --- */

bool control_health_target(const struct control_health *health, struct slice pool,
                           struct slice server, struct control_health_target *target)
{
    const struct health_server *live = find(health, pool, server);
    if (live == NULL) {
        return false;
    }
    fill_target(live, target);
    return true;
}

void control_health_note(struct control_health *health, struct slice pool,
                         const struct server *server, const struct health_probe_result *result)
{
    struct health_server *live = find(health, pool, slice_from(server->name));
    if (live != NULL && live->server == server && live->pool->plan != NULL && !live->is_out) {
        take_result(live, result);
    }
}

bool control_health_facts(const struct control_health *health, struct slice pool,
                          struct slice server, struct control_health_facts *facts)
{
    const struct health_server *live = find(health, pool, server);
    if (live == NULL) {
        return false;
    }
    *facts = live->facts;
    facts->has_check = live->pool->plan != NULL;
    facts->is_probing = live->probe != NULL || list_is_linked(&live->waiting);
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
        free_pool(entry->value);
    }
    map_fini(&health->pools);
    tls_client_unref(health->handshake_only);
    loop_ready_remove(&health->start);
    free(health);
}

const char *control_health_differing(const struct control_health *health, struct slice pool)
{
    const struct health_pool *found = map_get(&health->pools, pool);
    enum mail_keywords_form form;
    return found != NULL && learns(found, &form) ? found->differing : NULL;
}
