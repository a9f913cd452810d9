#include "lbd/control/drains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/buf.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"

enum {
    LOOK_SOON_MS = 20, /* in the first second of a drain */
    LOOK_LATER_MS = 200,
    TELL_US = 1000000,
};

struct drains {
    struct drains_options options;
    struct list_node running;
    struct map by_key[OVERRIDE_KINDS]; /* of those that run */
    struct list_node ended;
    uint32_t ended_count;
    struct loop_timer timer;
    uint64_t numbers;
    uint64_t totals[DRAIN_PHASES];
};

const char *drain_phase_word(enum drain_phase phase)
{
    switch (phase) {
    case DRAIN_WAITING:
        return "waiting";
    case DRAIN_DONE:
        return "done";
    case DRAIN_CLOSED:
        return "closed";
    case DRAIN_KEPT:
        return "kept";
    case DRAIN_CANCELLED:
        return "cancelled";
    case DRAIN_PHASES:
        break;
    }
    return "";
}

/* -- events -- */

static void post(struct drains *drains, struct drain *drain, const char *type, const char *message)
{
    struct buf data;
    struct json_write w;
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "phase", drain_phase_word(drain->phase));
    json_write_member_u64(&w, "initial", drain->initial);
    json_write_member_u64(&w, "remaining", drain->remaining);
    if (drain->deadline_wall_us != 0) {
        char date[NOW_LOG_DATE_LEN + 1];
        now_log_date(date, drain->deadline_wall_us);
        json_write_member_text(&w, "deadline", date);
        json_write_member_text(&w, "on_deadline", override_end_word(drain->on_deadline));
    }
    json_write_member_text(&w, "reason", drain->reason);
    json_write_member_text(&w, "who", drain->who);
    json_write_object_end(&w);
    events_post(drains->options.events, type, slice_from(drain->target), data.data, "%s", message);
    buf_fini(&data);
    drain->told_us = now_us();
    drain->told_remaining = drain->remaining;
}

static void post_count(struct drains *drains, struct drain *drain, const char *type)
{
    char message[64];
    (void)snprintf(message, sizeof(message), "%u of %u left", drain->remaining, drain->initial);
    post(drains, drain, type, message);
}

/* -- life of one -- */

static void free_drain(struct drain *drain)
{
    list_remove(&drain->link);
    free(drain->key);
    free(drain->target);
    free(drain->reason);
    free(drain->who);
    free(drain);
}

static void finish(struct drains *drains, struct drain *drain, enum drain_phase phase,
                   const char *message)
{
    drain->phase = phase;
    drain->is_closing = false;
    drain->ended_wall_us = now_wall_us();
    drains->totals[phase]++;
    post(drains, drain, "drain.done", message);
    list_remove(&drain->link);
    (void)map_remove(&drains->by_key[drain->kind], slice_from(drain->key));
    list_push_front(&drains->ended, &drain->link);
    if (drains->ended_count == DRAINS_ENDED_MAX) {
        free_drain(list_entry(drains->ended.prev, struct drain, link));
    } else {
        drains->ended_count++;
    }
}

/* -- looking -- */

static void at_deadline(struct drains *drains, struct drain *drain)
{
    if (drain->on_deadline == OVERRIDE_KEEP) {
        char message[64];
        (void)snprintf(message, sizeof(message), "the deadline passed: %u go on", drain->remaining);
        finish(drains, drain, DRAIN_KEPT, message);
        return;
    }
    drain->is_closing = drains->options.close(drain, drains->options.arg);
}

static void look_at(struct drains *drains, struct drain *drain)
{
    uint32_t open = 0;
    bool is_settled = false;
    if (!drains->options.count(drain, &open, &is_settled, drains->options.arg)) {
        finish(drains, drain, DRAIN_CANCELLED, "it is gone");
        return;
    }
    drain->remaining = open;
    if (open > drain->initial) {
        drain->initial = open; /* some were on their way in when it began */
    }
    if (drain->is_closing) {
        return; /* drains_closed ends it */
    }
    if (open == 0 && is_settled) {
        finish(drains, drain, DRAIN_DONE, "nothing is left");
    } else if (drain->deadline_wall_us != 0 && now_wall_us() >= drain->deadline_wall_us) {
        at_deadline(drains, drain);
    } else if (open != drain->told_remaining && now_us() - drain->told_us >= TELL_US) {
        post_count(drains, drain, "drain.progress");
    }
}

static void on_timer(struct loop_timer *timer);

static void set_timer(struct drains *drains)
{
    uint64_t wait_ms = LOOK_LATER_MS;
    uint64_t now = now_wall_us();
    struct list_node *node = NULL;
    if (list_is_empty(&drains->running)) {
        loop_timer_stop(&drains->timer);
        return;
    }
    list_for_each (node, &drains->running) {
        const struct drain *drain = list_entry(node, struct drain, link);
        if (now < drain->started_wall_us + TELL_US) {
            wait_ms = LOOK_SOON_MS;
        } else if (drain->deadline_wall_us != 0 && !drain->is_closing) {
            uint64_t left_ms = drain->deadline_wall_us > now
                                   ? (drain->deadline_wall_us - now) / 1000 + 1
                                   : LOOK_SOON_MS; /* its turn to close has not come */
            wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
        }
    }
    loop_timer_stop(&drains->timer);
    loop_timer_set(drains->options.loop, &drains->timer, wait_ms, on_timer);
}

static void look_soon(struct drains *drains)
{
    loop_timer_stop(&drains->timer);
    loop_timer_set(drains->options.loop, &drains->timer, LOOK_SOON_MS, on_timer);
}

void drains_look(struct drains *drains)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &drains->running) {
        look_at(drains, list_entry(node, struct drain, link));
    }
    set_timer(drains);
}

static void on_timer(struct loop_timer *timer)
{
    drains_look(container_of(timer, struct drains, timer));
}

/* -- what is asked for -- */

static char *target_of(enum override_kind kind, struct slice key)
{
    char text[EVENTS_NAME_MAX + 64];
    (void)snprintf(text, sizeof(text), "%s%.*s", kind == OVERRIDE_LISTENER ? "listener/" : "",
                   SLICE_ARG(key));
    return mem_strdup(text);
}

void drains_start(struct drains *drains, const struct drains_wish *wish)
{
    struct drain *drain = map_get(&drains->by_key[wish->kind], wish->key);
    bool is_new = drain == NULL;
    if (is_new) {
        bool is_settled = false;
        drain = mem_zero(1, sizeof(*drain));
        drain->number = ++drains->numbers;
        drain->kind = wish->kind;
        drain->key = mem_slicedup(wish->key);
        drain->target = target_of(wish->kind, wish->key);
        drain->started_wall_us = now_wall_us();
        (void)drains->options.count(drain, &drain->initial, &is_settled, drains->options.arg);
        drain->remaining = drain->initial;
        list_push_back(&drains->running, &drain->link);
        (void)map_put(&drains->by_key[wish->kind], wish->key, drain);
    }
    free(drain->reason);
    free(drain->who);
    drain->reason = mem_slicedup(wish->reason);
    drain->who = mem_slicedup(wish->who);
    drain->on_deadline = wish->on_deadline;
    drain->deadline_wall_us = wish->deadline_wall_us;
    drain->generation = wish->generation;
    if (is_new) {
        post_count(drains, drain, "drain.started");
    }
    look_soon(drains);
}

void drains_cancel(struct drains *drains, enum override_kind kind, struct slice key,
                   const char *why)
{
    struct drain *drain = map_get(&drains->by_key[kind], key);
    if (drain != NULL) {
        finish(drains, drain, DRAIN_CANCELLED, why);
    }
}

void drains_closed(struct drains *drains, uint64_t number)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &drains->running) {
        struct drain *drain = list_entry(node, struct drain, link);
        if (drain->number == number) {
            char message[64];
            (void)snprintf(message, sizeof(message), "the deadline passed: %u were ended",
                           drain->remaining);
            finish(drains, drain, DRAIN_CLOSED, message);
        }
    }
}

/* -- asking -- */

const struct drain *drains_find(const struct drains *drains, enum override_kind kind,
                                struct slice key)
{
    const struct drain *running = map_get(&drains->by_key[kind], key);
    struct list_node *node = NULL;
    if (running != NULL) {
        return running;
    }
    list_for_each (node, &drains->ended) {
        const struct drain *drain = list_entry(node, struct drain, link);
        if (drain->kind == kind && slice_eq(slice_from(drain->key), key)) {
            return drain;
        }
    }
    return NULL;
}

const struct list_node *drains_running(const struct drains *drains)
{
    return &drains->running;
}

const struct list_node *drains_ended(const struct drains *drains)
{
    return &drains->ended;
}

uint64_t drains_total(const struct drains *drains, enum drain_phase phase)
{
    return drains->totals[phase];
}

/* -- all of them -- */

struct drains *drains_new(const struct drains_options *options)
{
    struct drains *drains = mem_zero(1, sizeof(*drains));
    drains->options = *options;
    list_init(&drains->running);
    list_init(&drains->ended);
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        map_init(&drains->by_key[i]);
    }
    return drains;
}

void drains_free(struct drains *drains)
{
    struct list_node *node = NULL;
    if (drains == NULL) {
        return;
    }
    loop_timer_stop(&drains->timer);
    while ((node = list_first(&drains->running)) != NULL ||
           (node = list_first(&drains->ended)) != NULL) {
        free_drain(list_entry(node, struct drain, link));
    }
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        map_fini(&drains->by_key[i]);
    }
    free(drains);
}
