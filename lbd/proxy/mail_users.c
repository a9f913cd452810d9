/* mail_users - see mail_users.h and mail_users_inside.h. */
#include "lbd/proxy/mail_users.h"

#include "lbd/balance/rendezvous.h"
#include "lbd/proxy/mail_users_inside.h"

enum {
    SWEEP_IN_PASSING = 2, /* buckets that each login looks at */
    ASK_AGAIN_MS = 100,   /* kicked sessions have not all gone yet */
};

/* -- servers -- */

/* How a member stands, for users. */
enum standing {
    STANDS,  /* takes everybody */
    DRAINS,  /* who is there already */
    IS_DOWN, /* nobody: but it may be back soon */
    IS_GONE, /* nobody: down for down_for, or an operator said so */
};

static enum standing standing_of(const struct pool *pool, uint32_t member, uint64_t now_ms)
{
    const struct server *server = pool->members[member].server;
    enum server_admin admin = server_admin_now(server);
    uint64_t since = server_not_up_since_ms(server);
    if (admin == SERVER_MAINT) {
        return IS_GONE;
    }
    if (since != 0 || pool->members[member].address.len == 0) {
        bool is_long = since != 0 && now_ms >= since + pool->affinity.down_for_ms;
        return is_long || admin == SERVER_DRAIN ? IS_GONE : IS_DOWN;
    }
    return admin == SERVER_DRAIN ? DRAINS : STANDS;
}

uint32_t mail_users_member(const struct pool *pool, struct slice place)
{
    uint32_t low = 0;
    uint32_t high = pool->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(mail_users_place(pool, middle)->name, place);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return BALANCER_NONE;
}

/* BALANCER_NONE too: the server of that name is another machine, of another group. */
static uint32_t member_at(const struct pool *pool, const struct place *place)
{
    uint32_t member = mail_users_member(pool, place->name);
    return member != BALANCER_NONE && mail_users_place(pool, member) == place ? member
                                                                              : BALANCER_NONE;
}

bool mail_users_share_machines(const struct pool *a, const struct pool *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (member_at(b, mail_users_place(a, i)) != BALANCER_NONE) {
            return true;
        }
    }
    return false;
}

static double score(const struct pool *pool, uint64_t key, uint32_t member)
{
    return rendezvous_score(key, mail_users_place(pool, member)->seed,
                            pool->members[member].user_weight);
}

/* Of the members that `fits` takes (NULL: all) the first in the name's order. */
static uint32_t first_of(const struct pool *pool, struct slice name,
                         bool (*fits)(const struct pool *pool, uint32_t member, const void *arg),
                         const void *arg)
{
    uint64_t key = rendezvous_key(name);
    uint32_t best = BALANCER_NONE;
    double most = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        double here = fits == NULL || fits(pool, i, arg) ? score(pool, key, i) : 0;
        if (here > most) {
            most = here;
            best = i;
        }
    }
    return best;
}

uint32_t mail_users_hashed(const struct pool *pool, struct slice name)
{
    return first_of(pool, name, NULL, NULL);
}

static bool is_other(const struct pool *pool, uint32_t member, const void *arg)
{
    const struct place *place = mail_users_place(pool, member);
    return place != NULL && server_is_usable(pool->members[member].server) &&
           !slice_eq(place->name, *(const struct slice *)arg);
}

uint32_t mail_users_elsewhere(const struct pool *pool, struct slice name, struct slice place)
{
    return first_of(pool, name, is_other, &place);
}

/* Of those that take new users the first in the order that has room; none has, when all are at the
 * limit by rounding: then the first. */
static uint32_t choose(const struct pool *pool, struct slice name, uint64_t now_ms)
{
    uint64_t key = rendezvous_key(name);
    uint64_t users = 1; /* the new one */
    uint64_t weights = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        enum standing standing = standing_of(pool, i, now_ms);
        if (standing == STANDS || standing == IS_DOWN) {
            users += place_users(mail_users_place(pool, i));
            weights += pool->members[i].user_weight;
        }
    }
    uint32_t best = BALANCER_NONE;
    uint32_t best_of_all = BALANCER_NONE;
    double most = 0;
    double most_of_all = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        enum standing standing = standing_of(pool, i, now_ms);
        if (standing != STANDS && standing != IS_DOWN) {
            continue;
        }
        double here = score(pool, key, i);
        /* ceil(spread/100 * users * weight / weights) */
        uint64_t limit = UINT64_MAX;
        if (pool->affinity.spread != 0) {
            limit =
                (pool->affinity.spread * users * pool->members[i].user_weight + 100 * weights - 1) /
                (100 * weights);
        }
        if (here > most_of_all) {
            most_of_all = here;
            best_of_all = i;
        }
        if (here > most && place_users(mail_users_place(pool, i)) < limit) {
            most = here;
            best = i;
        }
    }
    if (best == BALANCER_NONE) {
        return best_of_all;
    }
    if (best != best_of_all) {
        (void)atomic_fetch_add_explicit(&mail_users_place(pool, best_of_all)->spills, 1,
                                        memory_order_relaxed);
    }
    return best;
}

/* Where somebody goes who is nowhere. *home: where it would be if that were not gone. */
static uint32_t choose_new(const struct mail_users_wish *wish, struct place **home)
{
    const struct pool *pool = wish->pool;
    uint32_t first =
        wish->wanted != BALANCER_NONE ? wish->wanted : mail_users_hashed(pool, wish->name);
    *home = NULL;
    if (first == BALANCER_NONE) {
        return BALANCER_NONE;
    }
    enum standing standing = standing_of(pool, first, wish->now_ms);
    if (!pool->affinity.fails_over) {
        return standing == STANDS ? first : BALANCER_NONE;
    }
    uint32_t member = first;
    if (standing == DRAINS || standing == IS_GONE) {
        member = choose(pool, wish->name, wish->now_ms);
        *home = standing == IS_GONE ? mail_users_place(pool, first) : NULL;
    } else if (wish->wanted == BALANCER_NONE) {
        member = choose(pool, wish->name, wish->now_ms);
    }
    if (member == BALANCER_NONE || standing_of(pool, member, wish->now_ms) != STANDS) {
        return BALANCER_NONE;
    }
    return member;
}

/* -- coming -- */

struct mail_user *mail_users_find(const struct mail_users_spot *spot, const struct pool *pool,
                                  uint32_t *member)
{
    struct mail_user *found = NULL;
    for (struct mail_user *user = mail_users_next(spot, NULL); user != NULL;
         user = mail_users_next(spot, user)) {
        uint32_t at = member_at(pool, user->place);
        if (at != BALANCER_NONE && (found == NULL || !mail_user_is_there(found))) {
            *member = at;
            found = user;
        }
    }
    return found;
}

/* Did the user come by this pool? */
static bool came_by(const struct mail_user *user, const struct pool *pool)
{
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        if (user->pools[i] == pool->id + 1) {
            return true;
        }
    }
    return false;
}

bool mail_users_is_of(const struct mail_user *user, const struct mail_users_wish *wish)
{
    if (came_by(user, wish->pool) || member_at(wish->pool, user->place) != BALANCER_NONE) {
        return true;
    }
    for (uint32_t i = 0; i < wish->pool_count; i++) {
        if (came_by(user, wish->pools[i]) &&
            mail_users_share_machines(wish->pools[i], wish->pool)) {
            return true;
        }
    }
    return false;
}

/* Has any pool a server there? */
static bool is_in_use(const struct mail_users_wish *wish, const struct place *place)
{
    for (uint32_t i = 0; i < wish->pool_count; i++) {
        const struct pool *pool = wish->pools[i];
        for (uint32_t m = 0; pool != NULL && m < pool->count; m++) {
            if (pool->members[m].place == place) {
                return true;
            }
        }
    }
    return false;
}

/* Is it nowhere but at `at` (NULL: nowhere)? What is known of it elsewhere is forgotten, unless it
 * has something there or was moved there, to a server that still is one. */
static bool is_nowhere_else(struct mail_users *users, const struct mail_users_spot *spot,
                            const struct mail_users_wish *wish, const struct mail_user *at)
{
    bool is_nowhere = true;
    struct mail_user *following = NULL;
    for (struct mail_user *user = mail_users_next(spot, NULL); user != NULL; user = following) {
        following = mail_users_next(spot, user);
        if (user == at || !mail_users_is_of(user, wish)) {
            continue;
        }
        bool holds = (user->flags & MAIL_USER_PINNED) != 0 && at == NULL &&
                     !mail_user_is_expired(user, wish->now_ms) && is_in_use(wish, user->place);
        if (mail_user_is_there(user) || holds) {
            is_nowhere = false;
        } else {
            mail_users_take_out(users, spot->stripe, user);
        }
    }
    return is_nowhere;
}

/* Without sessions it goes where it is wanted, or back from where it failed over to. */
static bool may_go_to(const struct mail_user *user, const struct mail_users_wish *wish,
                      uint32_t *member)
{
    if (mail_user_active(user) != 0) {
        return false;
    }
    *member = wish->wanted;
    if (*member == BALANCER_NONE && user->home != NULL) {
        *member = member_at(wish->pool, user->home);
    }
    return *member != BALANCER_NONE && standing_of(wish->pool, *member, wish->now_ms) == STANDS;
}

static enum mail_users_answer sit(struct mail_user *user, const struct mail_users_wish *wish,
                                  struct mail_seat *seat, uint32_t *wait_ms)
{
    if (user->leaving != 0) { /* it has gone elsewhere just now, and what it left is still open */
        *wait_ms = ASK_AGAIN_MS;
        return MAIL_USERS_WAIT;
    }
    user->trying++;
    user->hold_ms = 0;
    user->last_ms = wish->now_ms;
    user->linger_ms = wish->pool->affinity.linger_ms;
    user->pools[wish->protocol] = wish->pool->id + 1;
    *seat = (struct mail_seat){.user = user,
                               .generation =
                                   atomic_load_explicit(&user->generation, memory_order_relaxed),
                               .protocol = (uint8_t)wish->protocol};
    return MAIL_USERS_IN;
}

/* Its server cannot be used. While it has sessions there it stays, whatever that means. */
static enum mail_users_answer go_elsewhere(struct mail_user *user,
                                           const struct mail_users_wish *wish,
                                           struct mail_seat *seat, uint32_t *member,
                                           uint32_t *wait_ms)
{
    struct place *home = NULL;
    uint32_t target = mail_user_active(user) == 0 ? choose_new(wish, &home) : BALANCER_NONE;
    if (target == BALANCER_NONE || mail_users_place(wish->pool, target) == user->place) {
        return MAIL_USERS_UNAVAILABLE;
    }
    if (user->home == NULL) {
        mail_user_set_home(user, home);
    }
    if (user->home == mail_users_place(wish->pool, target)) {
        mail_user_set_home(user, NULL);
    }
    user->flags &= (uint8_t)~MAIL_USER_PINNED;
    mail_user_set_place(user, mail_users_place(wish->pool, target));
    *member = target;
    return sit(user, wish, seat, wait_ms);
}

/* Did all its sessions come by this pool? */
static bool is_all_of(const struct mail_user *user, const struct pool *pool)
{
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        if (user->sessions[i] != 0 && user->pools[i] != pool->id + 1) {
            return false;
        }
    }
    return true;
}

/* Its server is gone, but sessions hang on it. They are kicked, and the user moves when they are
 * over; not while one is of another pool, by which the same machine may still serve it. */
static enum mail_users_answer give_up(struct mail_users *users, struct mail_user *user,
                                      const struct mail_users_wish *wish, uint32_t *wait_ms)
{
    struct place *home = NULL;
    uint32_t target = is_all_of(user, wish->pool) ? choose_new(wish, &home) : BALANCER_NONE;
    if (target == BALANCER_NONE || mail_users_place(wish->pool, target) == user->place) {
        return MAIL_USERS_UNAVAILABLE;
    }
    if (user->home == NULL) {
        mail_user_set_home(user, home);
    }
    user->flags &= (uint8_t)~MAIL_USER_PINNED;
    mail_user_move(user, mail_users_place(wish->pool, target), MAIL_USERS_KICK_DELAY_MS,
                   wish->now_ms);
    atomic_store_explicit(&users->has_kicked, true, memory_order_release);
    *wait_ms = MAIL_USERS_KICK_DELAY_MS;
    return MAIL_USERS_WAIT;
}

static enum mail_users_answer enter_known(struct mail_users *users, struct mail_user *user,
                                          const struct mail_users_wish *wish,
                                          struct mail_seat *seat, uint32_t *member,
                                          uint32_t *wait_ms)
{
    uint64_t hold = mail_user_hold_until(user);
    if (wish->now_ms < hold) {
        *wait_ms = (uint32_t)(hold - wish->now_ms);
        return MAIL_USERS_WAIT;
    }
    if (user->kicked != 0 || user->leaving != 0) {
        *wait_ms = ASK_AGAIN_MS;
        return MAIL_USERS_WAIT;
    }
    bool is_pinned = (user->flags & MAIL_USER_PINNED) != 0;
    uint32_t other = BALANCER_NONE;
    if (!is_pinned && may_go_to(user, wish, &other)) {
        mail_user_set_home(user, NULL);
        mail_user_set_place(user, mail_users_place(wish->pool, other));
        *member = other;
    }
    switch (standing_of(wish->pool, *member, wish->now_ms)) {
    case STANDS:
        return sit(user, wish, seat, wait_ms);
    case DRAINS:
        if (mail_user_active(user) != 0 || is_pinned) {
            return sit(user, wish, seat, wait_ms);
        }
        return go_elsewhere(user, wish, seat, member, wait_ms);
    case IS_GONE:
        if (!wish->pool->affinity.fails_over) {
            return MAIL_USERS_UNAVAILABLE;
        }
        return mail_user_active(user) != 0 ? give_up(users, user, wish, wait_ms)
                                           : go_elsewhere(user, wish, seat, member, wait_ms);
    case IS_DOWN:
        break;
    }
    return MAIL_USERS_UNAVAILABLE;
}

/* Nothing is known of it. */
static enum mail_users_answer enter_new(struct mail_users *users,
                                        const struct mail_users_spot *spot,
                                        const struct mail_users_wish *wish, struct mail_seat *seat,
                                        uint32_t *member, uint32_t *wait_ms)
{
    struct place *home = NULL;
    *member = choose_new(wish, &home);
    if (*member == BALANCER_NONE) {
        return MAIL_USERS_UNAVAILABLE;
    }
    struct mail_user *user = mail_users_add(users, spot, mail_users_place(wish->pool, *member));
    mail_user_set_home(user, home);
    return sit(user, wish, seat, wait_ms);
}

enum mail_users_answer mail_users_enter(struct mail_users *users,
                                        const struct mail_users_wish *wish, struct mail_seat *seat,
                                        uint32_t *member, uint32_t *wait_ms)
{
    struct mail_users_spot spot;
    enum mail_users_answer answer = MAIL_USERS_UNAVAILABLE;
    *seat = (struct mail_seat){.user = NULL};
    *member = BALANCER_NONE;
    *wait_ms = 0;
    mail_users_spot_lock(&spot, users, wish->name);
    for (int i = 0; i < SWEEP_IN_PASSING; i++) {
        mail_users_sweep_bucket(users, spot.stripe, wish->now_ms);
    }
    struct mail_user *user = mail_users_find(&spot, wish->pool, member);
    if (user != NULL && mail_user_is_expired(user, wish->now_ms)) {
        mail_users_take_out(users, spot.stripe, user);
        user = NULL;
    }
    bool is_active = user != NULL && mail_user_active(user) != 0;
    if (is_active || is_nowhere_else(users, &spot, wish, user)) {
        answer = user != NULL ? enter_known(users, user, wish, seat, member, wait_ms)
                              : enter_new(users, &spot, wish, seat, member, wait_ms);
    } else {
        *wait_ms = ASK_AGAIN_MS; /* until all that it has elsewhere is over */
        answer = MAIL_USERS_WAIT;
    }
    mail_users_spot_unlock(&spot);
    return answer;
}

/* -- staying and going -- */

struct slice mail_users_name(const struct mail_seat *seat)
{
    return mail_user_name(seat->user);
}

bool mail_users_is_kicked(const struct mail_seat *seat)
{
    return seat->user != NULL &&
           atomic_load_explicit(&seat->user->generation, memory_order_relaxed) != seat->generation;
}

bool mail_users_take_kicked(struct mail_users *users)
{
    return atomic_exchange_explicit(&users->has_kicked, false, memory_order_acq_rel);
}

bool mail_users_prove(struct mail_users *users, struct mail_seat *seat, uint32_t max)
{
    struct mail_users_spot spot;
    struct mail_user *user = seat->user;
    mail_users_spot_lock(&spot, users, mail_users_name(seat));
    bool fits = !mail_users_is_kicked(seat) && user->sessions[seat->protocol] < UINT16_MAX &&
                (max == 0 || user->sessions[seat->protocol] < max);
    if (fits) {
        user->trying--;
        user->sessions[seat->protocol]++;
        user->flags |= MAIL_USER_PROVED;
        seat->is_proved = true;
    }
    mail_users_spot_unlock(&spot);
    return fits;
}

bool mail_users_park(struct mail_users *users, const struct mail_seat *seat,
                     struct mail_seat *parked)
{
    struct mail_users_spot spot;
    struct mail_user *user = seat->user;
    *parked = (struct mail_seat){.user = NULL};
    if (user == NULL) {
        return true;
    }
    mail_users_spot_lock(&spot, users, mail_users_name(seat));
    bool may = !mail_users_is_kicked(seat) && user->parked < UINT16_MAX;
    if (may) {
        user->parked++;
        *parked = *seat;
        parked->is_parked = true;
    }
    mail_users_spot_unlock(&spot);
    return may;
}

/* The seat counts no more. */
static void get_up(struct mail_user *user, const struct mail_seat *seat, uint64_t now_ms)
{
    bool is_kicked = mail_users_is_kicked(seat);
    if (seat->is_parked) {
        user->parked--;
        if (is_kicked) {
            user->leaving--;
        }
        return;
    }
    if (is_kicked) {
        user->kicked--;
    }
    if (seat->is_proved) {
        user->sessions[seat->protocol]--;
    } else {
        user->trying--;
    }
    if (now_ms > mail_user_hold_until(user)) { /* a kick delay is counted from the kick */
        user->last_ms = now_ms;
        user->hold_ms = 0;
    }
}

void mail_users_leave(struct mail_users *users, struct mail_seat *seat, uint64_t now_ms)
{
    struct mail_users_spot spot;
    struct mail_user *user = seat->user;
    if (user == NULL) {
        return;
    }
    mail_users_spot_lock(&spot, users, mail_users_name(seat));
    get_up(user, seat, now_ms);
    if (!mail_user_is_there(user) && (user->flags & (MAIL_USER_PROVED | MAIL_USER_PINNED)) == 0) {
        mail_users_take_out(users, spot.stripe, user);
    }
    mail_users_spot_unlock(&spot);
    seat->user = NULL;
}
