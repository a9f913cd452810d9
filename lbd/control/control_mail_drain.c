/*
 * control_mail_drain - users are moved off a server that takes no new ones; declared in
 * control_mail.h.
 *
 *     slow    so many each second that the last is moved after over_ms
 *     flush   as many as max_parallel allows
 *
 * Who has no session goes first, then who was quiet longest. A user's sessions are kicked; it is
 * "in flight" until they are gone. Where it goes is next in its own order among the usable servers
 * of the pool; when there is none it is stuck, and stays.
 */
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/control_mail_inside.h"

#define WALK_MAX 4096U

struct moving {
    char *name; /* owned; NULL: it is gone */
    uint64_t last_ms;
    bool is_there; /* with sessions, or connections in the cache */
};

struct mail_drain {
    struct list_node link;
    struct control_mail_drain facts;
    char *pool;
    char *group;
    char *server;
    uint32_t pool_id;
    uint64_t started_ms;
    struct moving *users; /* who was there when they were collected; the first `next` are done */
    uint32_t count;
    uint32_t capacity;
    uint32_t next;
    char **in_flight; /* names, max_parallel of them */
    uint32_t in_flight_count;
};

/* -- who is there -- */

/* Has it sessions there, or connections in the cache? */
static bool has_something(const struct mail_users_row *row)
{
    bool has = row->parked != 0;
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        has = has || row->sessions[i] != 0;
    }
    return has;
}

/* Of the pool's group; of the one that the pool had when the user came, as long as it has something
 * there: what is known of it beyond that, its next login forgets. */
static bool is_meant(const struct mail_drain *drain, const struct mail_users_row *row)
{
    return slice_eq(row->place, slice_from(drain->server)) && row->kicked == 0 &&
           (slice_eq(row->group, slice_from(drain->group)) ||
            ((has_something(row) || row->trying != 0) &&
             mail_users_row_came_by(row, drain->pool_id)));
}

static void collect_row(const struct mail_users_row *row, void *arg)
{
    struct mail_drain *drain = arg;
    if (!is_meant(drain, row)) {
        return;
    }
    if (drain->count == drain->capacity) {
        drain->capacity = drain->capacity != 0 ? 2 * drain->capacity : 64;
        drain->users = mem_resize(drain->users, drain->capacity * sizeof(*drain->users));
    }
    struct moving *user = &drain->users[drain->count++];
    *user = (struct moving){
        .name = mem_slicedup(row->name), .last_ms = row->last_ms, .is_there = has_something(row)};
}

static int compare(const void *a, const void *b)
{
    const struct moving *left = a;
    const struct moving *right = b;
    if (left->is_there != right->is_there) {
        return left->is_there ? 1 : -1;
    }
    return left->last_ms < right->last_ms ? -1 : left->last_ms > right->last_ms ? 1 : 0;
}

static void forget_users(struct mail_drain *drain)
{
    for (uint32_t i = 0; i < drain->count; i++) {
        free(drain->users[i].name);
    }
    drain->count = 0;
    drain->next = 0;
}

static void collect(struct mail_drain *drain, struct mail_users *users)
{
    uint64_t cursor = 0;
    forget_users(drain);
    do {
        mail_users_walk(users, &cursor, WALK_MAX, collect_row, drain);
    } while (cursor != 0);
    if (drain->count != 0) {
        qsort(drain->users, drain->count, sizeof(*drain->users), compare);
    }
}

/* -- turns -- */

static void note_presence(const struct mail_users_row *row, void *arg)
{
    bool *is_there = arg;
    *is_there = *is_there || row->kicked != 0 || row->leaving != 0;
}

/* Forgets those whose sessions are gone. */
static void settle(struct mail_drain *drain, struct mail_users *users)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < drain->in_flight_count; i++) {
        bool is_there = false;
        (void)mail_users_look(users, slice_from(drain->in_flight[i]), note_presence, &is_there);
        if (is_there) {
            drain->in_flight[kept++] = drain->in_flight[i];
        } else {
            free(drain->in_flight[i]);
        }
    }
    drain->in_flight_count = kept;
}

/* How many may have been moved by now. */
static uint32_t quota(const struct mail_drain *drain, uint64_t now)
{
    const struct control_mail_drain *facts = &drain->facts;
    if (facts->mode == CONTROL_MAIL_FLUSH || facts->over_ms == 0) {
        return UINT32_MAX;
    }
    uint64_t passed = now - drain->started_ms;
    return passed >= facts->over_ms
               ? UINT32_MAX
               : (uint32_t)((uint64_t)facts->users * (passed + 1000) / facts->over_ms) + 1;
}

/* True: sessions were kicked. */
static bool move_one(struct control *control, struct mail_drain *drain, const struct pool *pool,
                     struct moving *user)
{
    struct mail_users *users = control_mail_users(control);
    uint32_t member = mail_users_elsewhere(pool, slice_from(user->name), slice_from(drain->server));
    if (member == BALANCER_NONE) {
        drain->facts.stuck++;
        return false;
    }
    const struct mail_users_wish wish =
        control_mail_wish(control, pool, slice_from(user->name), member);
    (void)mail_users_move(users, &wish, MAIL_USERS_KICK_DELAY_MS, false, NULL);
    (void)mail_cache_forget_user(control_mail_cache(control), slice_from(user->name));
    drain->facts.moved++;
    if (user->is_there) {
        drain->in_flight[drain->in_flight_count++] = user->name;
        user->name = NULL;
        return true;
    }
    return false;
}

static void finish(struct mail_drain *drain)
{
    drain->facts.is_done = true;
    log_info("mail.drained", "pool=%s server=%s moved=%u stuck=%u", drain->pool, drain->server,
             drain->facts.moved, drain->facts.stuck);
}

/* One that is being logged in while they are collected is found the next time. */
static void turn(struct control *control, struct mail_drain *drain, const struct pool *pool,
                 uint64_t now)
{
    struct mail_users *users = control_mail_users(control);
    bool has_kicked = false;
    if (drain->facts.is_done) {
        return;
    }
    settle(drain, users);
    if (drain->next == drain->count) {
        collect(drain, users);
        drain->facts.remaining = drain->count;
        drain->facts.stuck = 0;
        if (drain->count == 0 && drain->in_flight_count == 0) {
            finish(drain);
            return;
        }
    }
    uint32_t most = quota(drain, now);
    while (drain->next < drain->count && drain->facts.moved < most &&
           drain->in_flight_count < drain->facts.max_parallel) {
        has_kicked |= move_one(control, drain, pool, &drain->users[drain->next++]);
    }
    drain->facts.remaining = drain->count - drain->next + drain->in_flight_count;
    if (has_kicked) {
        control_mail_kicked(control);
    }
    if (drain->next == drain->count && drain->facts.stuck != 0 &&
        drain->facts.stuck == drain->count && drain->in_flight_count == 0) {
        finish(drain); /* nobody can take them */
    }
}

/* -- asked for -- */

static void free_drain(struct mail_drain *drain)
{
    list_remove(&drain->link);
    forget_users(drain);
    for (uint32_t i = 0; i < drain->in_flight_count; i++) {
        free(drain->in_flight[i]);
    }
    free(drain->in_flight);
    free(drain->users);
    free(drain->server);
    free(drain->group);
    free(drain->pool);
    free(drain);
}

/* Its pool. NULL: it is gone, or its server is, or takes new users again: then there is nothing to
 * be moved, or to be told of. */
static const struct pool *pool_of(const struct control *control, const struct mail_drain *drain)
{
    const struct pool *pool = control_mail_pool(control, slice_from(drain->pool));
    const struct registry_server *live = registry_find_server(
        &control->registry, slice_from(drain->pool), slice_from(drain->server));
    return live != NULL && live->server->admin != SERVER_READY ? pool : NULL;
}

void control_mail_drains_turn(struct control_mail *mail, uint64_t now)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    list_for_each_safe (node, following, &mail->drains) {
        struct mail_drain *drain = list_entry(node, struct mail_drain, link);
        const struct pool *pool = pool_of(mail->control, drain);
        if (pool == NULL) {
            free_drain(drain);
        } else {
            turn(mail->control, drain, pool, now);
        }
    }
}

void control_mail_drains_free(struct control_mail *mail)
{
    struct list_node *node = NULL;
    while ((node = list_first(&mail->drains)) != NULL) {
        free_drain(list_entry(node, struct mail_drain, link));
    }
}

static struct mail_drain *find(const struct control *control, struct slice pool,
                               struct slice server)
{
    struct list_node *node = NULL;
    list_for_each (node, &control->mail->drains) {
        struct mail_drain *drain = list_entry(node, struct mail_drain, link);
        if (slice_eq(slice_from(drain->pool), pool) &&
            slice_eq(slice_from(drain->server), server)) {
            return drain;
        }
    }
    return NULL;
}

bool control_mail_drain(struct control *control, const struct control_mail_drain_wish *wish,
                        struct err *err)
{
    const struct registry_server *live =
        registry_find_server(&control->registry, wish->pool, wish->server);
    if (live == NULL || control_mail_users(control) == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no server '%.*s/%.*s'", SLICE_ARG(wish->pool),
                       SLICE_ARG(wish->server));
    }
    if (live->server->admin == SERVER_READY) {
        return err_set(err, ERR_CONFLICT,
                       "'%.*s/%.*s' takes new users: its state must be drain or maint first",
                       SLICE_ARG(wish->pool), SLICE_ARG(wish->server));
    }
    const struct conf_pool *conf =
        conf_pool_find(conf_document_conf(control_running(control)), wish->pool);
    (void)control_mail_drain_cancel(control, wish->pool, wish->server);
    struct mail_drain *drain = mem_zero(1, sizeof(*drain));
    drain->pool = mem_slicedup(wish->pool);
    drain->group = mem_slicedup(conf != NULL ? conf->mail.group : SLICE_NONE);
    drain->server = mem_slicedup(wish->server);
    drain->pool_id = live->pool->id;
    drain->started_ms = now_ms();
    drain->in_flight = mem_zero(wish->max_parallel, sizeof(*drain->in_flight));
    drain->facts = (struct control_mail_drain){
        .pool = slice_from(drain->pool),
        .server = slice_from(drain->server),
        .mode = wish->mode,
        .started_wall_us = now_wall_us(),
        .over_ms = wish->over_ms,
        .max_parallel = wish->max_parallel,
    };
    list_push_back(&control->mail->drains, &drain->link);
    collect(drain, control_mail_users(control));
    drain->facts.users = drain->count;
    const struct pool *pool = pool_of(control, drain);
    if (pool != NULL) {
        turn(control, drain, pool, drain->started_ms);
    }
    return true;
}

bool control_mail_drain_cancel(struct control *control, struct slice pool, struct slice server)
{
    struct mail_drain *drain = find(control, pool, server);
    if (drain != NULL) {
        free_drain(drain);
    }
    return drain != NULL;
}

bool control_mail_drain_look(const struct control *control, struct slice pool, struct slice server,
                             struct control_mail_drain *out)
{
    const struct mail_drain *drain = find(control, pool, server);
    if (drain != NULL) {
        *out = drain->facts;
    }
    return drain != NULL;
}
