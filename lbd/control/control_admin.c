/*
 * control_admin - admin states, weights and drains set by hand; declared in control.h.
 *
 *     wishes of one pass -> applied to the table -> saved, one write for all
 *                              '-- not saved: undone, nobody has seen it
 *         -> servers, weights, listeners -> one publication -> drains, events -> done
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_share.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"

#define WEIGHT_MAX     1000U
#define EXPIRY_LOOK_MS 60000U /* the wall clock may be set meanwhile */

/* One wish on its way. */
struct wish {
    struct list_node link;
    struct control *control;
    enum override_kind kind;
    char key[OVERRIDES_KEY_MAX + 1];
    bool is_clear;
    bool is_expiry; /* the clock's wish */
    struct override value;
    struct override *before; /* taken out of the table; NULL: there was none */
    enum server_admin from;  /* that counted before */
    struct control_wished wished;
    void (*done)(const struct control_wished *wished, void *arg);
    void *arg;
};

/* -- is a wish possible? -- */

struct slice control_wish_key(const struct control_wish *wish, char out[OVERRIDES_KEY_MAX])
{
    switch (wish->kind) {
    case OVERRIDE_ADMIN:
    case OVERRIDE_WEIGHT:
        return overrides_server_key(wish->pool, wish->name, out);
    case OVERRIDE_LISTENER:
        return wish->name;
    case OVERRIDE_PROCESS:
    case OVERRIDE_KINDS:
        break;
    }
    return SLICE(OVERRIDES_PROCESS);
}

static bool check_weight(const struct control_wish *wish, const struct conf_pool *pool,
                         const struct conf_server *server, struct err *err)
{
    uint32_t weight = wish->percent != 0
                          ? conf_share_of(conf_share_number(pool, server), wish->percent)
                          : wish->weight;
    if (weight < 1 || weight > WEIGHT_MAX) {
        return err_set_at(err, ERR_INVALID, "/weight",
                          "must come to a weight from 1 to %u; it is %u (to send nothing there, "
                          "set the admin state to drain)",
                          WEIGHT_MAX, weight);
    }
    return true;
}

static bool check_server(const struct control *control, const struct control_wish *wish,
                         struct err *err)
{
    const struct conf_pool *pool =
        conf_pool_find(conf_document_conf(control_running(control)), wish->pool);
    if (pool == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no pool named '%.*s'", SLICE_ARG(wish->pool));
    }
    const struct conf_server *server = conf_server_find(pool, wish->name);
    if (server == NULL) {
        return err_set(err, ERR_NOT_FOUND, "pool '%.*s' has no server named '%.*s'",
                       SLICE_ARG(wish->pool), SLICE_ARG(wish->name));
    }
    return wish->kind != OVERRIDE_WEIGHT || wish->is_clear || check_weight(wish, pool, server, err);
}

bool control_override_check(const struct control *control, const struct control_wish *wish,
                            struct err *err)
{
    if (control->document == NULL || control->facts.is_draining || control->is_ending) {
        return err_set(err, ERR_UNAVAILABLE, "lbd is starting or stopping");
    }
    switch (wish->kind) {
    case OVERRIDE_ADMIN:
    case OVERRIDE_WEIGHT:
        return check_server(control, wish, err);
    case OVERRIDE_LISTENER:
        return conf_listener_find(conf_document_conf(control->document), wish->name) != NULL ||
               err_set(err, ERR_NOT_FOUND, "there is no listener named '%.*s'",
                       SLICE_ARG(wish->name));
    case OVERRIDE_PROCESS:
    case OVERRIDE_KINDS:
        break;
    }
    return true;
}

/* -- what it comes to -- */

/* Does an agent want a state for it that is not the configured one? */
static bool agent_differs(const struct control *control, const struct wish *wish)
{
    struct slice pool = slice_from(wish->key);
    size_t slash = slice_find(pool, '/');
    const struct registry_server *live =
        slash < pool.len ? registry_find_server(&control->registry, slice_of(pool.ptr, slash),
                                                slice_from_at(pool, slash + 1))
                         : NULL;
    return live != NULL && ((live->agent.has_admin && live->agent.admin != SERVER_READY) ||
                            (live->agent.has_percent && live->agent.percent == 0));
}

static void set_value(const struct control *control, struct wish *wish,
                      const struct control_wish *asked, const struct conf_pool *pool,
                      const struct conf_server *server)
{
    uint64_t now = now_wall_us();
    struct override *value = &wish->value;
    value->state = asked->state;
    value->since_wall_us = now;
    value->expires_wall_us = asked->expires_ms != 0 ? now + asked->expires_ms * 1000 : 0;
    value->deadline_wall_us = asked->deadline_ms != 0 ? now + asked->deadline_ms * 1000 : 0;
    value->on_deadline = asked->on_deadline;
    value->reason = mem_slicedup(asked->reason);
    value->who = mem_slicedup(asked->who);
    wish->is_clear = asked->is_clear;
    switch (wish->kind) {
    case OVERRIDE_ADMIN:
        value->base = control_configured(server);
        /* What is configured needs no override, unless it is a drain with a deadline, or an agent
         * wants something else. */
        wish->is_clear =
            wish->is_clear || (value->state == value->base && !agent_differs(control, wish) &&
                               (value->state == SERVER_READY || value->deadline_wall_us == 0));
        break;
    case OVERRIDE_WEIGHT:
        value->base_weight = conf_share_number(pool, server);
        value->base_percent = server->weight_percent;
        value->percent = asked->percent;
        value->weight =
            asked->percent != 0 ? conf_share_of(value->base_weight, asked->percent) : asked->weight;
        break;
    case OVERRIDE_LISTENER:
    case OVERRIDE_PROCESS:
        wish->is_clear = wish->is_clear || asked->state == SERVER_READY;
        break;
    case OVERRIDE_KINDS:
        break;
    }
}

/* Says the same thing as before? Then nothing is written. A deadline or an end is told from now on,
 * so it is another one each time. */
static bool is_same(const struct override *a, const struct override *b)
{
    return a->state == b->state && a->weight == b->weight && a->percent == b->percent &&
           a->base == b->base && a->base_weight == b->base_weight &&
           a->base_percent == b->base_percent && a->deadline_wall_us == b->deadline_wall_us &&
           a->expires_wall_us == b->expires_wall_us && strcmp(a->reason, b->reason) == 0;
}

static enum server_admin state_now(const struct control *control, const struct wish *wish)
{
    const struct conf_pool *pool = NULL;
    const struct override *override =
        overrides_find(&control->overrides, wish->kind, slice_from(wish->key));
    if (override != NULL) {
        return override->state;
    }
    const struct conf_server *server =
        wish->kind == OVERRIDE_ADMIN ? control_server_of(control, slice_from(wish->key), &pool)
                                     : NULL;
    return server != NULL ? control_configured(server) : SERVER_READY;
}

static void apply(struct control *control, struct wish *wish)
{
    struct slice key = slice_from(wish->key);
    const struct override *old = overrides_find(&control->overrides, wish->kind, key);
    wish->from = state_now(control, wish);
    if (wish->is_expiry &&
        (old == NULL || old->expires_wall_us == 0 || old->expires_wall_us > now_wall_us())) {
        return; /* it was set anew in the same pass */
    }
    if (wish->is_clear) {
        wish->before = overrides_take(&control->overrides, wish->kind, key);
        wish->wished.is_changed = wish->before != NULL;
    } else if (old == NULL || !is_same(old, &wish->value)) {
        wish->before = overrides_put(&control->overrides, wish->kind, key, &wish->value);
        wish->wished.is_changed = true;
    }
}

static void undo(struct control *control, struct wish *wish)
{
    struct slice key = slice_from(wish->key);
    if (!wish->wished.is_changed) {
        return;
    }
    wish->wished.is_changed = false;
    if (wish->before != NULL) {
        overrides_give(&control->overrides, wish->kind, key, wish->before);
        wish->before = NULL;
    } else {
        override_free(overrides_take(&control->overrides, wish->kind, key));
    }
}

static void tell(struct control *control, const struct wish *wish)
{
    struct slice key = slice_from(wish->key);
    enum server_admin to = wish->is_clear ? state_now(control, wish) : wish->value.state;
    const char *reason = wish->value.reason;
    if (wish->is_expiry) {
        control_post_override(control, "override.expired", wish->kind, key, wish->before,
                              "its time is up");
    } else if (wish->is_clear) {
        control_post_override(control, "override.cleared", wish->kind, key, wish->before, reason);
    } else {
        control_post_override(control, "override.set", wish->kind, key, &wish->value, reason);
    }
    if (wish->kind == OVERRIDE_ADMIN) {
        control_post_admin(control, key, wish->from, to, reason, wish->value.who);
    } else if (wish->kind == OVERRIDE_LISTENER && wish->from != to) {
        char name[OVERRIDES_KEY_MAX + 16];
        (void)snprintf(name, sizeof(name), "listener/%s", wish->key);
        events_post(control->events, to == SERVER_READY ? "listener.up" : "listener.drain",
                    slice_from(name), NULL, "%s",
                    to == SERVER_READY ? "accepts connections again" : "drained by hand");
    } else if (wish->kind == OVERRIDE_PROCESS && wish->from != to) {
        events_post(control->events, "daemon.drain", SLICE(OVERRIDES_PROCESS), NULL, "%s",
                    to == SERVER_READY ? "accepts connections again" : "drained by hand");
    }
}

/* -- effect -- */

/* What is configured, and what its agent asks for where that says ready. */
static enum server_admin wanted_admin(const struct registry_server *live,
                                      const struct conf_server *conf)
{
    enum server_admin configured = control_configured(conf);
    const struct agent_line *agent = &live->agent;
    if (configured != SERVER_READY) {
        return configured;
    }
    if (agent->has_admin && agent->admin != SERVER_READY) {
        return agent->admin;
    }
    return agent->has_percent && agent->percent == 0 ? SERVER_DRAIN : SERVER_READY;
}

/* The server has another state or weight from here on; true: its pool must be made anew. */
static void settle_server(struct control *control, struct registry_server *live,
                          const struct conf_pool *pool, const struct conf_server *conf)
{
    char key_text[OVERRIDES_KEY_MAX];
    struct slice key = overrides_server_key(pool->name, conf->name, key_text);
    const struct override *admin = overrides_find(&control->overrides, OVERRIDE_ADMIN, key);
    const struct override *weight = overrides_find(&control->overrides, OVERRIDE_WEIGHT, key);
    /* of a share it stays what was asked for, whatever the share comes to */
    uint32_t percent = weight != NULL && conf->weight_percent != 0 ? weight->percent : 0;
    uint32_t by_hand = weight != NULL && percent == 0 ? weight->weight : 0;
    if (server_set_admin(live->server, admin != NULL ? admin->state : wanted_admin(live, conf),
                         now_wall_us()) ||
        live->weight != by_hand || live->weight_percent != percent) {
        live->weight = by_hand;
        live->weight_percent = percent;
        registry_touch(&control->registry, pool->name);
    }
}

void control_heed_server(struct control *control, struct registry_server *live,
                         const struct conf_pool *pool, const struct conf_server *conf)
{
    char key_text[OVERRIDES_KEY_MAX];
    struct slice key = overrides_server_key(pool->name, conf->name, key_text);
    enum server_admin from = live->server->admin;
    settle_server(control, live, pool, conf);
    const struct override *override = overrides_find(&control->overrides, OVERRIDE_ADMIN, key);
    if (from == live->server->admin || (!control->is_started && override == NULL)) {
        return;
    }
    if (control->is_started) {
        control_post_admin(control, key, from, live->server->admin, "", "config");
    }
    control_drain_target(control, OVERRIDE_ADMIN, key, live->server->admin != SERVER_READY,
                         override, control->facts.generation + 1);
}

/* True when that is something new. */
static bool merge_line(struct agent_line *all, const struct agent_line *line)
{
    struct agent_line before = *all;
    if (line == NULL) {
        *all = (struct agent_line){0};
    } else {
        all->percent = line->has_percent ? line->percent : all->percent;
        all->has_percent = all->has_percent || line->has_percent;
        all->max_connections = line->has_max ? line->max_connections : all->max_connections;
        all->has_max = all->has_max || line->has_max;
        all->admin = line->has_admin ? line->admin : all->admin;
        all->has_admin = all->has_admin || line->has_admin;
        all->is_down = line->has_fitness ? line->is_down : all->is_down;
        all->has_fitness = all->has_fitness || line->has_fitness;
    }
    return before.percent != all->percent || before.has_percent != all->has_percent ||
           before.max_connections != all->max_connections || before.admin != all->admin ||
           before.has_admin != all->has_admin || before.is_down != all->is_down;
}

void control_agent_said(struct slice pool_name, struct slice name, const struct agent_line *line,
                        void *arg)
{
    struct control *control = arg;
    char key_text[OVERRIDES_KEY_MAX];
    struct slice key = overrides_server_key(pool_name, name, key_text);
    const struct conf_pool *pool = NULL;
    const struct conf_server *conf = control_server_of(control, key, &pool);
    struct registry_server *live = registry_find_server(&control->registry, pool_name, name);
    if (live == NULL || conf == NULL || !merge_line(&live->agent, line)) {
        return;
    }
    (void)server_set_stopped(live->server, live->agent.is_down);
    registry_touch(&control->registry, pool_name);
    log_info("server.agent", "pool=%s server=%s down=%s weight=%u max_connections=%u",
             live->server->pool_name, live->server->name, live->agent.is_down ? "yes" : "no",
             registry_server_weight(live, pool, conf), live->agent.max_connections);
    control_heed_server(control, live, pool, conf);
    control_health_heed_admin(control->health, pool_name, name);
    control_republish(control);
}

static void take_effect(struct control *control, const struct wish *wish)
{
    const struct conf_pool *pool = NULL;
    const struct conf_server *conf = NULL;
    struct registry_server *live = NULL;
    switch (wish->kind) {
    case OVERRIDE_ADMIN:
    case OVERRIDE_WEIGHT:
        conf = control_server_of(control, slice_from(wish->key), &pool);
        live =
            conf != NULL ? registry_find_server(&control->registry, pool->name, conf->name) : NULL;
        if (live != NULL) {
            settle_server(control, live, pool, conf);
            control_health_heed_admin(control->health, pool->name, conf->name);
        }
        break;
    case OVERRIDE_LISTENER:
    case OVERRIDE_PROCESS:
        control_heed_listeners(control);
        break;
    case OVERRIDE_KINDS:
        break;
    }
}

static void drain_or_not(struct control *control, const struct wish *wish)
{
    struct slice key = slice_from(wish->key);
    const struct override *override = overrides_find(&control->overrides, wish->kind, key);
    enum server_admin to = state_now(control, wish);
    if (wish->kind != OVERRIDE_WEIGHT) {
        control_drain_target(control, wish->kind, key, to != SERVER_READY, override,
                             control->facts.generation);
    }
}

/* -- one write for all -- */

static void free_wish(struct wish *wish)
{
    override_free(wish->before);
    free(wish->value.reason);
    free(wish->value.who);
    free(wish);
}

static void finish(struct wish *wish)
{
    if (wish->done != NULL) {
        wish->done(&wish->wished, wish->arg);
    }
    free_wish(wish);
}

static void on_adopted(const struct control_result *result, void *arg)
{
    (void)result;
    finish(arg);
}

/* Applies all to the table and saves it; false: nothing was changed. */
static bool apply_all(struct control *control, struct list_node *wishes, struct err *err)
{
    bool is_changed = false;
    struct list_node *node = NULL;
    struct control_record record;
    control_record_begin(&record);
    list_for_each (node, wishes) {
        struct wish *wish = list_entry(node, struct wish, link);
        apply(control, wish);
        if (wish->wished.is_changed) {
            is_changed = true;
            overrides_write_change(&record.w, wish->kind, slice_from(wish->key),
                                   wish->is_clear ? NULL : &wish->value);
        }
    }
    if (!is_changed) {
        buf_fini(&record.text);
        return true;
    }
    if (control_record_save(&record, control, err)) {
        return true;
    }
    for (node = wishes->prev; node != wishes; node = node->prev) {
        undo(control, list_entry(node, struct wish, link));
    }
    return false;
}

static void flush(struct control *control)
{
    struct list_node wishes;
    struct list_node *node = NULL;
    struct err err = {0};
    list_init(&wishes);
    while ((node = list_pop_front(&control->wishes)) != NULL) {
        list_push_back(&wishes, node);
    }
    bool ok = apply_all(control, &wishes, &err);
    list_for_each (node, &wishes) {
        struct wish *wish = list_entry(node, struct wish, link);
        if (ok && wish->wished.is_changed) {
            take_effect(control, wish);
        }
    }
    if (ok) {
        control_republish_now(control);
    }
    list_for_each (node, &wishes) {
        struct wish *wish = list_entry(node, struct wish, link);
        if (!ok) {
            wish->wished.err = err;
        } else if (wish->wished.is_changed) {
            tell(control, wish);
            drain_or_not(control, wish);
        }
    }
    control_heed_expiry(control);
    while ((node = list_pop_front(&wishes)) != NULL) {
        struct wish *wish = list_entry(node, struct wish, link);
        if (ok) {
            control_when_adopted(control, on_adopted, wish);
        } else {
            finish(wish);
        }
    }
}

static void on_wishes(struct loop_ready *ready)
{
    flush(container_of(ready, struct control, wishes_ready));
}

static struct wish *new_wish(struct control *control, enum override_kind kind, struct slice key)
{
    struct wish *wish = mem_zero(1, sizeof(*wish));
    wish->control = control;
    wish->kind = kind;
    memcpy(wish->key, key.ptr, key.len);
    list_push_back(&control->wishes, &wish->link);
    loop_ready_put(control->options.loop, &control->wishes_ready, on_wishes);
    return wish;
}

void control_override_set(struct control *control, const struct control_wish *asked,
                          void (*done)(const struct control_wished *wished, void *arg), void *arg)
{
    char key[OVERRIDES_KEY_MAX];
    struct control_wished refused = {0};
    const struct conf_pool *pool = NULL;
    if (!control_override_check(control, asked, &refused.err)) {
        done(&refused, arg);
        return;
    }
    struct wish *wish = new_wish(control, asked->kind, control_wish_key(asked, key));
    bool is_server = asked->kind == OVERRIDE_ADMIN || asked->kind == OVERRIDE_WEIGHT;
    const struct conf_server *server =
        is_server ? control_server_of(control, slice_from(wish->key), &pool) : NULL;
    set_value(control, wish, asked, pool, server);
    wish->done = done;
    wish->arg = arg;
}

void control_refuse_wishes(struct control *control)
{
    struct list_node *node = NULL;
    loop_ready_remove(&control->wishes_ready);
    loop_timer_stop(&control->expiry_timer);
    while ((node = list_pop_front(&control->wishes)) != NULL) {
        struct wish *wish = list_entry(node, struct wish, link);
        (void)err_set(&wish->wished.err, ERR_UNAVAILABLE, "lbd is stopping");
        finish(wish);
    }
}

/* -- ends -- */

static void on_expiry(struct loop_timer *timer)
{
    struct control *control = container_of(timer, struct control, expiry_timer);
    uint64_t now = now_wall_us();
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &control->overrides.kinds[i]) {
            const struct override *override = entry->value;
            if (override->expires_wall_us != 0 && override->expires_wall_us <= now) {
                struct wish *wish = new_wish(control, (enum override_kind)i, entry->key);
                wish->is_clear = true;
                wish->is_expiry = true;
                wish->value.reason = mem_strdup("the override expired");
                wish->value.who = mem_strdup("expiry");
            }
        }
    }
    if (list_is_empty(&control->wishes)) {
        control_heed_expiry(control); /* not yet: the wait was long, or the clock was set */
    }
}

void control_heed_expiry(struct control *control)
{
    uint64_t now = now_wall_us();
    uint64_t next = overrides_next_expiry(&control->overrides);
    loop_timer_stop(&control->expiry_timer);
    if (next == 0 || control->facts.is_draining || control->is_ending) {
        return;
    }
    uint64_t wait_ms = next > now ? (next - now + 999) / 1000 : 1;
    loop_timer_set(control->options.loop, &control->expiry_timer,
                   wait_ms < EXPIRY_LOOK_MS ? wait_ms : EXPIRY_LOOK_MS, on_expiry);
}
