/* control_health_learn - what is learnt of servers beside their state; see control_health_inside.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_health_inside.h"
#include "lbd/snapshot/snapshot_mail.h"

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

void control_health_learn(struct health_server *live, struct slice list)
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
void control_health_unlearn(struct health_server *live)
{
    enum mail_keywords_form form;
    if (!learns(live->pool, &form)) {
        free(live->server->capabilities);
        live->server->capabilities = NULL;
        live->pool->differing[0] = '\0';
    }
    live->server->is_degraded = false;
}

const char *control_health_differing(const struct control_health *health, struct slice pool)
{
    const struct health_pool *found = map_get(&health->pools, pool);
    enum mail_keywords_form form;
    return found != NULL && learns(found, &form) ? found->differing : NULL;
}

/* A state beside up: nothing changes for traffic. */
void control_health_note_degraded(struct health_server *live, bool is_degraded, const char *text)
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
    control_health_post(live, from, to, text);
}

/* -- what a server speaks that was not understood -- */

enum {
    PROBES_PER_INTERVIEW = 16, /* of those at once */
    AGAIN_MS = 30000           /* from one interview to the next, where no check looks */
};

/* Would a check see that it speaks something else? One of TCP is content with a connection. */
static bool is_understood_by_check(const struct health_pool *pool)
{
    return pool->plan != NULL && pool->plan->check.type != CONF_CHECK_TCP;
}

static void set_interview(struct health_server *live, const char *text)
{
    free(live->server->interview);
    live->server->interview = text[0] != '\0' ? mem_strdup(text) : NULL;
}

static void on_again(struct loop_timer *timer);

static void on_interviewed(const char *text, void *arg)
{
    struct health_server *live = arg;
    struct server *server = live->server;
    struct control_health *health = live->pool->health;
    bool is_news = server->interview == NULL || strcmp(server->interview, text) != 0;
    live->interview = NULL;
    health->interviewing--;
    set_interview(live, text);
    if (text[0] != '\0' && is_news) {
        char name[EVENTS_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
        log_warn("server.interview", "pool=%s server=%s why=\"%s\"", server->pool_name,
                 server->name, text);
        events_post(health->options.events, "server.interview", slice_from(name), NULL, "%s", text);
    }
    if (text[0] != '\0' && !is_understood_by_check(live->pool)) {
        loop_timer_set(health->options.loop, &live->again, AGAIN_MS, on_again);
    }
}

/* As what it is configured. */
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

/* False: not now, so many are under way. */
static bool interview(struct health_server *live, enum conf_check_type type,
                      const struct control_health_target *target)
{
    struct control_health *health = live->pool->health;
    struct tls_client *tls = NULL;
    if (live->interview != NULL || live->address.len == 0 ||
        health->interviewing * PROBES_PER_INTERVIEW >= health->options.probes_max ||
        (tls = control_health_handshake_only(health)) == NULL) {
        return false;
    }
    bool is_tls = target->how.tls != NULL && !target->how.starttls && type != CONF_CHECK_TCP;
    struct interview_server server = {
        .address = &target->address,
        .host = SLICE("localhost"),
        .proxy = target->how.proxy,
        .tls = tls,
        .tls_name = target->tls_name,
    };
    server.word = word_of(type, target->how.http == POOL_HTTP2, is_tls, &server.expected);
    live->was_interviewed = true;
    health->interviewing++;
    live->interview = interview_start(health->options.loop, &server, on_interviewed, live);
    return true;
}

/* Where requests go, as which they are sent. */
static void interview_for_requests(struct health_server *live)
{
    struct control_health_target target;
    control_health_fill_target(live, &target);
    target.address = live->address;
    if (!interview(live, live->doubted_as, &target)) {
        loop_timer_set(live->pool->health->options.loop, &live->again, AGAIN_MS, on_again);
    }
}

static void on_again(struct loop_timer *timer)
{
    interview_for_requests(container_of(timer, struct health_server, again));
}

void control_health_doubt(struct health_server *live, const struct health_probe_result *result)
{
    struct control_health_target target;
    if (result->verdict == HEALTH_PROBE_FAILED && result->was_reached && !result->was_understood &&
        !live->was_interviewed) {
        control_health_fill_target(live, &target);
        (void)interview(live, live->pool->plan->check.type, &target);
    }
}

void control_health_doubt_requests(struct health_server *live, enum close_reason reason)
{
    bool is_tls = reason == CLOSE_SERVER_TLS_FAILED;
    bool is_http = reason == CLOSE_BAD_RESPONSE || reason == CLOSE_SERVER_SPEAKS_TLS ||
                   reason == CLOSE_SERVER_PROTOCOL_ERROR || reason == CLOSE_SERVER_RESET;
    uint64_t now = loop_now_us(live->pool->health->options.loop);
    if ((is_http || is_tls) && !live->pool->is_mail && !is_understood_by_check(live->pool) &&
        live->interview == NULL && !loop_timer_is_set(&live->again) &&
        control_health_is_time_to_say(&live->doubted_us, now)) {
        live->doubted_as = is_tls ? CONF_CHECK_TLS : CONF_CHECK_HTTP;
        interview_for_requests(live);
    }
}

void control_health_admit(struct health_server *live)
{
    if (!live->is_out && live->address.len != 0 && !is_understood_by_check(live->pool)) {
        live->doubted_as = CONF_CHECK_HTTP;
        interview_for_requests(live);
    }
}

void control_health_trust(struct health_server *live)
{
    if (is_understood_by_check(live->pool)) {
        set_interview(live, "");
    }
}

void control_health_forget_interview(struct health_server *live)
{
    if (live->interview != NULL) {
        interview_cancel(live->interview);
        live->interview = NULL;
        live->pool->health->interviewing--;
    }
    loop_timer_stop(&live->again);
    live->was_interviewed = false;
    live->doubted_us = 0;
    set_interview(live, "");
}
