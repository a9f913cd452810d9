/*
 * mail_users_by_hand - what operators ask of the users' table and do to it; see mail_users.h.
 *
 * Threads: any, usually control.
 */
#include "lbd/proxy/mail_users_inside.h"

static void show(const struct mail_user *user,
                 void (*fn)(const struct mail_users_row *row, void *arg), void *arg)
{
    struct mail_users_row row = {
        .name = mail_user_name(user),
        .group = user->place->group,
        .place = user->place->name,
        .trying = user->trying,
        .kicked = user->kicked,
        .parked = user->parked,
        .leaving = user->leaving,
        .is_pinned = (user->flags & MAIL_USER_PINNED) != 0,
        .is_failed_over = user->home != NULL,
        .home = user->home != NULL ? user->home->name : SLICE_NONE,
        .last_ms = user->last_ms,
        .expires_ms = mail_user_is_there(user) ? 0 : user->last_ms + user->linger_ms,
        .hold_ms = mail_user_hold_until(user),
        .pools = user->pools,
    };
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        row.sessions[i] = user->sessions[i];
    }
    fn(&row, arg);
}

bool mail_users_row_came_by(const struct mail_users_row *row, uint32_t pool_id)
{
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        if (row->pools[i] == pool_id + 1) {
            return true;
        }
    }
    return false;
}

struct showing {
    void (*fn)(const struct mail_users_row *row, void *arg);
    void *arg;
};

static void show_visited(struct mail_user *user, void *arg)
{
    const struct showing *showing = arg;
    show(user, showing->fn, showing->arg);
}

void mail_users_walk(struct mail_users *users, uint64_t *cursor, size_t max,
                     void (*fn)(const struct mail_users_row *row, void *arg), void *arg)
{
    struct showing showing = {.fn = fn, .arg = arg};
    size_t seen = 0;
    do {
        seen += mail_users_visit(users, cursor, show_visited, &showing);
    } while (*cursor != 0 && seen < max);
}

size_t mail_users_look(struct mail_users *users, struct slice name,
                       void (*fn)(const struct mail_users_row *row, void *arg), void *arg)
{
    struct mail_users_spot spot;
    size_t count = 0;
    mail_users_spot_lock(&spot, users, name);
    for (struct mail_user *user = mail_users_next(&spot, NULL); user != NULL;
         user = mail_users_next(&spot, user)) {
        if (fn != NULL) {
            show(user, fn, arg);
        }
        count++;
    }
    mail_users_spot_unlock(&spot);
    return count;
}

/* Is it logged in or logging in, but not at the place? */
static bool is_active_elsewhere(const struct mail_users_spot *spot,
                                const struct mail_users_wish *wish, const struct place *place)
{
    struct mail_user *user = mail_users_next(spot, NULL);
    while (user != NULL &&
           (user->place == place || !mail_users_is_of(user, wish) || mail_user_active(user) == 0)) {
        user = mail_users_next(spot, user);
    }
    return user != NULL;
}

/* Of the entries at other places one moves, and brings its history along; who is at the rest of
 * them is kicked. */
static uint32_t move_all(struct mail_users *users, const struct mail_users_spot *spot,
                         const struct mail_users_wish *wish, uint32_t kick_delay_ms)
{
    struct place *place = mail_users_place(wish->pool, wish->wanted);
    uint32_t now_at;
    uint32_t kicked = 0;
    bool is_left = false;
    struct mail_user *target = mail_users_find(spot, wish->pool, &now_at);
    if (target == NULL) {
        target = mail_users_add(users, spot, place);
        target->last_ms = wish->now_ms;
    }
    for (struct mail_user *user = mail_users_next(spot, NULL); user != NULL;
         user = mail_users_next(spot, user)) {
        if (user->place != place && mail_users_is_of(user, wish)) {
            kicked += mail_user_kick(user);
            is_left = is_left || user->kicked != 0;
        }
    }
    if (target->place != place) {
        mail_user_set_place(target, place);
        target->last_ms = wish->now_ms;
    }
    if (is_left) {
        target->hold_ms = kick_delay_ms;
        target->last_ms = wish->now_ms;
    }
    mail_user_set_home(target, NULL);
    target->flags |= MAIL_USER_PINNED;
    target->linger_ms = wish->pool->affinity.linger_ms > MAIL_USERS_MOVED_MS
                            ? wish->pool->affinity.linger_ms
                            : MAIL_USERS_MOVED_MS;
    return kicked;
}

bool mail_users_move(struct mail_users *users, const struct mail_users_wish *wish,
                     uint32_t kick_delay_ms, bool if_idle, uint32_t *kicked)
{
    struct mail_users_spot spot;
    uint32_t count = 0;
    mail_users_spot_lock(&spot, users, wish->name);
    bool may =
        !if_idle || !is_active_elsewhere(&spot, wish, mail_users_place(wish->pool, wish->wanted));
    if (may) {
        count = move_all(users, &spot, wish, kick_delay_ms);
    }
    mail_users_spot_unlock(&spot);
    if (kicked != NULL) {
        *kicked = count;
    }
    return may;
}

uint32_t mail_users_kick(struct mail_users *users, struct slice name)
{
    struct mail_users_spot spot;
    uint32_t count = 0;
    mail_users_spot_lock(&spot, users, name);
    for (struct mail_user *user = mail_users_next(&spot, NULL); user != NULL;
         user = mail_users_next(&spot, user)) {
        count += mail_user_kick(user);
    }
    mail_users_spot_unlock(&spot);
    return count;
}

bool mail_users_unpin(struct mail_users *users, struct slice name)
{
    struct mail_users_spot spot;
    bool was_pinned = false;
    mail_users_spot_lock(&spot, users, name);
    for (struct mail_user *user = mail_users_next(&spot, NULL); user != NULL;
         user = mail_users_next(&spot, user)) {
        was_pinned = was_pinned || (user->flags & MAIL_USER_PINNED) != 0;
        user->flags &= (uint8_t)~MAIL_USER_PINNED;
    }
    mail_users_spot_unlock(&spot);
    return was_pinned;
}

bool mail_users_put(struct mail_users *users, const struct pool *pool, struct slice name,
                    uint32_t member, uint64_t now_ms)
{
    struct mail_users_spot spot;
    uint32_t now_at;
    mail_users_spot_lock(&spot, users, name);
    bool is_new = mail_users_find(&spot, pool, &now_at) == NULL;
    if (is_new) {
        struct mail_user *user = mail_users_add(users, &spot, mail_users_place(pool, member));
        user->flags = MAIL_USER_PROVED;
        user->last_ms = now_ms;
        user->linger_ms = pool->affinity.linger_ms;
    }
    mail_users_spot_unlock(&spot);
    return is_new;
}

struct failback {
    struct place *home;
    uint64_t now_ms;
    uint32_t count;
};

static void fail_back(struct mail_user *user, void *arg)
{
    struct failback *failback = arg;
    if (user->home != failback->home) {
        return;
    }
    mail_user_set_home(user, NULL);
    mail_user_move(user, failback->home, MAIL_USERS_KICK_DELAY_MS, failback->now_ms);
    failback->count++;
}

uint32_t mail_users_failback(struct mail_users *users, const struct pool *pool, uint32_t member,
                             uint64_t *cursor, uint32_t max, uint64_t now_ms)
{
    struct failback failback = {.home = mail_users_place(pool, member), .now_ms = now_ms};
    do {
        (void)mail_users_visit(users, cursor, fail_back, &failback);
    } while (*cursor != 0 && failback.count < max);
    return failback.count;
}
