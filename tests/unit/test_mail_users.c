#include <pthread.h>

#include "lbd/base/now.h"
#include "tests/unit/mail_field.h"

static struct mail_users *users;
static struct pool *pool;
static uint64_t now;

static void at(uint64_t ms)
{
    now = ms;
    now_set_for_test(ms * 1000, ms * 1000);
}

static void begin(uint32_t servers)
{
    at(1000000);
    users = mail_users_new();
    pool = mail_field_pool(SLICE("imap"), 1, servers);
}

static void end(void)
{
    mail_users_free(users);
    for (uint32_t i = 0; i < pool->count; i++) {
        ck_assert_uint_eq(place_users(pool->members[i].place), 0);
    }
    pool_unref(pool);
    now_set_for_test(0, 0);
}

static enum mail_users_answer ask(const struct pool *in, const char *name, uint32_t wanted,
                                  enum mail_protocol protocol, struct mail_seat *seat,
                                  uint32_t *member, uint32_t *wait_ms)
{
    const struct mail_users_wish wish = {.name = slice_from(name),
                                         .pool = in,
                                         .wanted = wanted,
                                         .protocol = protocol,
                                         .now_ms = now};
    return mail_users_enter(users, &wish, seat, member, wait_ms);
}

/* In, and proved. */
static uint32_t come(const struct pool *in, const char *name, enum mail_protocol protocol,
                     struct mail_seat *seat)
{
    uint32_t member;
    uint32_t wait_ms;
    ck_assert_int_eq(ask(in, name, BALANCER_NONE, protocol, seat, &member, &wait_ms),
                     MAIL_USERS_IN);
    ck_assert(mail_users_prove(users, seat, 0));
    return member;
}

static void go(struct mail_seat *seat)
{
    mail_users_leave(users, seat, now);
    ck_assert_ptr_null(seat->user);
}

static enum mail_users_answer try_it(const char *name, uint32_t wanted, uint32_t *member)
{
    struct mail_seat seat;
    uint32_t wait_ms;
    enum mail_users_answer answer = ask(pool, name, wanted, MAIL_IMAP, &seat, member, &wait_ms);
    mail_users_leave(users, &seat, now);
    return answer;
}

static void set(uint32_t member, enum server_health health, enum server_admin admin)
{
    (void)server_set_health(pool->members[member].server, health, 1);
    (void)server_set_admin(pool->members[member].server, admin, 1);
}

/* Some name whose first server this is. */
static const char *user_of(uint32_t member)
{
    static char name[32];
    for (uint32_t i = 0;; i++) {
        (void)snprintf(name, sizeof(name), "user%u", i);
        if (mail_users_hashed(pool, slice_from(name)) == member) {
            return name;
        }
    }
}

START_TEST(a_user_with_sessions_is_at_one_place_whatever_the_protocol)
{
    begin(3);
    struct pool *pop3 = mail_field_pool(SLICE("pop3"), 2, 3);
    mail_field_share(pop3, pool);
    for (uint32_t i = 0; i < 500; i++) {
        char name[32];
        struct mail_seat imap;
        struct mail_seat other;
        (void)snprintf(name, sizeof(name), "user%u@example.com", i);
        uint32_t member = come(pool, name, MAIL_IMAP, &imap);
        ck_assert_uint_eq(come(pop3, name, MAIL_POP3, &other), member);
        go(&imap);
        ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &imap), member);
        go(&other);
        go(&imap);
    }
    ck_assert_uint_eq(mail_users_count(users), 500);
    end();
    pool_unref(pop3);
}
END_TEST

START_TEST(a_name_that_never_got_in_leaves_nothing)
{
    begin(3);
    for (uint32_t i = 0; i < 1000; i++) {
        char name[32];
        uint32_t member;
        (void)snprintf(name, sizeof(name), "guess%u", i);
        ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    }
    ck_assert_uint_eq(mail_users_count(users), 0);
    end();
}
END_TEST

START_TEST(a_name_may_be_long_or_short)
{
    static char name[301];
    static struct mail_seat seats[300];
    begin(3);
    memset(name, 'a', sizeof(name) - 1);
    for (size_t i = 0; i < ARRAY_LEN(seats); i++) {
        (void)come(pool, name + i, MAIL_IMAP, &seats[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(seats); i++) {
        ck_assert(slice_eq(mail_users_name(&seats[i]), slice_from(name + i)));
        go(&seats[i]);
    }
    ck_assert_uint_eq(mail_users_count(users), ARRAY_LEN(seats));
    end();
}
END_TEST

START_TEST(a_user_lingers_and_is_forgotten)
{
    begin(3);
    struct mail_seat seat;
    uint32_t member;
    const char *name = user_of(1);
    /* another one is wanted at first */
    uint32_t wait_ms;
    ck_assert_int_eq(ask(pool, name, 2, MAIL_IMAP, &seat, &member, &wait_ms), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 2);
    ck_assert(mail_users_prove(users, &seat, 0));
    go(&seat);
    at(now + 899999);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 2);
    at(now + 900000);
    for (int i = 0; i < 64; i++) {
        mail_users_sweep(users, 1000, now);
    }
    ck_assert_uint_eq(mail_users_count(users), 0);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 1);
    end();
}
END_TEST

START_TEST(what_is_wanted_waits_for_the_last_session)
{
    begin(3);
    struct mail_seat seat;
    uint32_t member;
    const char *name = user_of(0);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 0);
    ck_assert_int_eq(try_it(name, 1, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    go(&seat);
    ck_assert_int_eq(try_it(name, 1, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 1);
    end();
}
END_TEST

START_TEST(strict_waits_for_its_server)
{
    begin(3);
    uint32_t member;
    const char *name = user_of(0);
    pool->affinity.fails_over = false;
    set(0, SERVER_DOWN, SERVER_READY);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_UNAVAILABLE);
    at(now + 3600000);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_UNAVAILABLE);
    ck_assert_int_eq(try_it(name, 1, &member), MAIL_USERS_IN); /* wanted elsewhere */
    set(0, SERVER_UP, SERVER_READY);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    end();
}
END_TEST

START_TEST(failover_waits_for_down_for_and_goes_back)
{
    begin(3);
    uint32_t member;
    struct mail_seat seat;
    const char *name = user_of(0);
    go((come(pool, name, MAIL_IMAP, &seat), &seat));
    set(0, SERVER_DOWN, SERVER_READY);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_UNAVAILABLE);
    at(now + 30001);
    uint32_t other = come(pool, name, MAIL_IMAP, &seat);
    ck_assert_uint_ne(other, 0);
    set(0, SERVER_UP, SERVER_READY);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, other); /* lazy: it has a session */
    go(&seat);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    end();
}
END_TEST

START_TEST(sessions_that_hang_are_kicked_by_the_next_login_of_their_pool)
{
    begin(3);
    struct pool *pop3 = mail_field_pool(SLICE("pop3"), 2, 3);
    mail_field_share(pop3, pool);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat hung;
    struct mail_seat seat;
    const char *name = user_of(0);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &hung), 0);
    set(0, SERVER_DOWN, SERVER_READY);
    (void)server_set_health(pop3->members[0].server, SERVER_DOWN, 1);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_UNAVAILABLE);
    at(now + 30001);
    /* by IMAP the machine may still serve it */
    ck_assert_int_eq(ask(pop3, name, BALANCER_NONE, MAIL_POP3, &seat, &member, &wait_ms),
                     MAIL_USERS_UNAVAILABLE);
    ck_assert(!mail_users_is_kicked(&hung));
    ck_assert(!mail_users_take_kicked(users));
    ck_assert_int_eq(ask(pool, name, BALANCER_NONE, MAIL_IMAP, &seat, &member, &wait_ms),
                     MAIL_USERS_WAIT);
    ck_assert_uint_eq(wait_ms, MAIL_USERS_KICK_DELAY_MS);
    ck_assert(mail_users_is_kicked(&hung));
    ck_assert(mail_users_take_kicked(users));
    ck_assert(!mail_users_take_kicked(users));
    at(now + MAIL_USERS_KICK_DELAY_MS); /* it is still there */
    ck_assert_int_eq(ask(pop3, name, BALANCER_NONE, MAIL_POP3, &seat, &member, &wait_ms),
                     MAIL_USERS_WAIT);
    go(&hung);
    uint32_t other = come(pop3, name, MAIL_POP3, &seat);
    ck_assert_uint_ne(other, 0);
    go(&seat);
    set(0, SERVER_UP, SERVER_READY); /* and back */
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    end();
    pool_unref(pop3);
}
END_TEST

START_TEST(a_server_in_drain_keeps_who_is_there)
{
    begin(3);
    uint32_t member;
    struct mail_seat seat;
    const char *name = user_of(0);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 0);
    set(0, SERVER_UP, SERVER_DRAIN);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    go(&seat);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    ck_assert_uint_ne(member, 0);
    for (uint32_t i = 0; i < 100; i++) {
        char other[16];
        (void)snprintf(other, sizeof(other), "new%u", i);
        ck_assert_int_eq(try_it(other, BALANCER_NONE, &member), MAIL_USERS_IN);
        ck_assert_uint_ne(member, 0);
    }
    end();
}
END_TEST

START_TEST(no_server_has_more_than_its_spread)
{
    begin(5);
    static struct mail_seat seats[2000];
    pool->members[0].user_weight = 300; /* of 700 */
    for (uint32_t i = 0; i < ARRAY_LEN(seats); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "user%u", i);
        (void)come(pool, name, MAIL_IMAP, &seats[i]);
        for (uint32_t m = 0; m < 5 && i > 100; m++) {
            double share = pool->members[m].user_weight / 700.0 * (i + 1);
            unit_expect(place_users(pool->members[m].place) <= share * 1.25 + 1,
                        "server %u has %u of %u", m, place_users(pool->members[m].place), i + 1);
        }
    }
    /* and without a change nobody is anywhere else than the hash says, but for those */
    uint32_t elsewhere = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(seats); i++) {
        char name[32];
        struct mail_seat seat;
        (void)snprintf(name, sizeof(name), "user%u", i);
        elsewhere +=
            come(pool, name, MAIL_POP3, &seat) != mail_users_hashed(pool, slice_from(name));
        go(&seat);
        go(&seats[i]);
    }
    ck_assert_uint_lt(elsewhere, 200);
    uint64_t spills = 0;
    for (uint32_t m = 0; m < 5; m++) {
        spills += place_spills(pool->members[m].place);
    }
    ck_assert_uint_eq(spills, elsewhere);
    end();
}
END_TEST

START_TEST(a_move_pins_kicks_and_waits)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat seat;
    struct mail_seat other;
    const char *name = user_of(0);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 0);
    ck_assert(!mail_field_move(users, pool, slice_from(name), 1, 2000, true, now)); /* if idle */
    ck_assert(!mail_users_is_kicked(&seat));
    ck_assert(mail_field_move(users, pool, slice_from(name), 1, 2000, false, now));
    ck_assert(mail_users_is_kicked(&seat));
    at(now + 500);
    go(&seat);
    ck_assert_int_eq(ask(pool, name, BALANCER_NONE, MAIL_IMAP, &other, &member, &wait_ms),
                     MAIL_USERS_WAIT);
    ck_assert_uint_eq(wait_ms, 1500);
    at(now + 1500);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &other), 1);
    go(&other);
    ck_assert_int_eq(try_it(name, 2, &member), MAIL_USERS_IN); /* a pin stands above a map */
    ck_assert_uint_eq(member, 1);
    ck_assert(mail_users_unpin(users, slice_from(name)));
    ck_assert(!mail_users_unpin(users, slice_from(name)));
    ck_assert_int_eq(try_it(name, 2, &member), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 2);
    end();
}
END_TEST

START_TEST(a_kick_ends_sessions_and_logins_and_lets_them_come_again)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat seat;
    struct mail_seat trying;
    const char *name = user_of(0);
    (void)come(pool, name, MAIL_IMAP, &seat);
    ck_assert_int_eq(ask(pool, name, BALANCER_NONE, MAIL_POP3, &trying, &member, &wait_ms),
                     MAIL_USERS_IN);
    ck_assert_uint_eq(mail_users_kick(users, slice_from(name)), 2);
    ck_assert_uint_eq(mail_users_kick(users, slice_from(name)), 0); /* they know already */
    ck_assert(!mail_users_prove(users, &trying, 0));
    go(&trying);
    ck_assert_int_eq(ask(pool, name, BALANCER_NONE, MAIL_POP3, &trying, &member, &wait_ms),
                     MAIL_USERS_WAIT);
    go(&seat);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 0);
    go(&seat);
    end();
}
END_TEST

/* The user came, and left a connection in the cache. */
static void leave_one(const char *name, struct mail_seat *parked)
{
    struct mail_seat seat;
    (void)come(pool, name, MAIL_IMAP, &seat);
    ck_assert(mail_users_park(users, &seat, parked));
    go(&seat);
}

START_TEST(who_goes_elsewhere_waits_for_what_is_parked)
{
    static const char *const ways[] = {"moved", "wanted", "drained", "down", "home", "kicked"};
    begin(3);
    pool->affinity.linger_ms = 0;
    uint32_t member;
    struct mail_seat parked;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        const char *name = user_of(0);
        const char *way = ways[i];
        uint32_t wanted = BALANCER_NONE;
        uint32_t target = BALANCER_NONE;
        if (strcmp(way, "home") == 0) { /* it failed over, and its server is up again */
            set(0, SERVER_DOWN, SERVER_READY);
            at(now + 30001);
        }
        leave_one(name, &parked);
        if (strcmp(way, "moved") == 0) {
            ck_assert(mail_field_move(users, pool, slice_from(name), 1, 2000, true, now));
            target = 1;
        } else if (strcmp(way, "wanted") == 0) {
            wanted = target = 2;
        } else if (strcmp(way, "drained") == 0) {
            set(0, SERVER_UP, SERVER_DRAIN);
        } else if (strcmp(way, "down") == 0) {
            set(0, SERVER_DOWN, SERVER_READY);
            at(now + 30001);
        } else if (strcmp(way, "home") == 0) {
            set(0, SERVER_UP, SERVER_READY);
            target = 0;
        } else {
            ck_assert_uint_eq(mail_users_kick(users, slice_from(name)), 0); /* no session */
            target = 0;
        }
        for (int turn = 0; turn < 3; turn++, at(now + 1000)) {
            ck_assert_msg(try_it(name, wanted, &member) == MAIL_USERS_WAIT, "%s", way);
        }
        go(&parked);
        ck_assert_msg(try_it(name, wanted, &member) == MAIL_USERS_IN, "%s", way);
        ck_assert_msg(member == target || (target == BALANCER_NONE && member != 0), "%s: %u", way,
                      member);
        set(0, SERVER_UP, SERVER_READY);
        (void)mail_users_unpin(users, slice_from(name));
        at(now + 60000);
        mail_users_sweep(users, 1000, now);
    }
    end();
}
END_TEST

START_TEST(a_parked_connection_keeps_its_user_and_is_no_session)
{
    begin(3);
    pool->affinity.linger_ms = 0;
    struct mail_seat parked[2];
    struct mail_seat seat;
    const char *name = user_of(0);
    leave_one(name, &parked[0]);
    at(now + 3600000);
    for (int i = 0; i < 100; i++) { /* longer than it lingers, and nobody forgets it */
        mail_users_sweep(users, 1000, now);
    }
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 0);
    ck_assert(mail_users_park(users, &seat, &parked[1]));
    ck_assert_uint_eq(mail_users_kick(users, slice_from(name)), 1); /* session */
    struct mail_seat other;
    ck_assert(!mail_users_park(users, &seat, &other));
    ck_assert_ptr_null(other.user);
    go(&seat);
    uint32_t member;
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_WAIT);
    go(&parked[1]);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_WAIT);
    go(&parked[0]);
    ck_assert_int_eq(try_it(name, BALANCER_NONE, &member), MAIL_USERS_IN);
    end();
}
END_TEST

START_TEST(who_must_go_elsewhere_goes_to_the_next_in_its_order)
{
    begin(4);
    for (int i = 0; i < 50; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "u%d", i);
        struct slice name = slice_from(text);
        uint32_t first = mail_users_hashed(pool, name);
        struct slice home = pool->members[first].place->name;
        uint32_t next = mail_users_elsewhere(pool, name, home);
        ck_assert_uint_ne(next, first);
        /* as if its own were not there, and the same by a pool without it */
        ck_assert_uint_eq(mail_users_elsewhere(pool, name, SLICE("none")), first);
        set(next, SERVER_DOWN, SERVER_READY);
        uint32_t third = mail_users_elsewhere(pool, name, home);
        ck_assert(third != first && third != next && third != BALANCER_NONE);
        set(next, SERVER_UP, SERVER_READY);
    }
    for (uint32_t i = 1; i < pool->count; i++) {
        set(i, SERVER_DOWN, SERVER_READY);
    }
    ck_assert_uint_eq(mail_users_elsewhere(pool, SLICE("joe"), pool->members[0].place->name),
                      BALANCER_NONE);
    end();
}
END_TEST

START_TEST(sessions_have_a_limit)
{
    begin(1);
    struct mail_seat seats[3];
    uint32_t member;
    uint32_t wait_ms;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(ask(pool, "joe", BALANCER_NONE, MAIL_IMAP, &seats[i], &member, &wait_ms),
                         MAIL_USERS_IN);
        ck_assert(mail_users_prove(users, &seats[i], 2) == (i < 2));
    }
    go(&seats[2]);
    ck_assert_int_eq(ask(pool, "joe", BALANCER_NONE, MAIL_POP3, &seats[2], &member, &wait_ms),
                     MAIL_USERS_IN);
    ck_assert(mail_users_prove(users, &seats[2], 2)); /* each protocol for itself */
    go(&seats[2]);
    go(&seats[1]);
    ck_assert_int_eq(ask(pool, "joe", BALANCER_NONE, MAIL_IMAP, &seats[1], &member, &wait_ms),
                     MAIL_USERS_IN);
    ck_assert(mail_users_prove(users, &seats[1], 2));
    go(&seats[1]);
    go(&seats[0]);
    end();
}
END_TEST

START_TEST(a_server_that_left_the_pool_gives_its_users_up)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat seat;
    struct mail_seat other;
    const char *name = user_of(2);
    (void)come(pool, name, MAIL_IMAP, &seat);
    struct pool *smaller = mail_field_pool(SLICE("imap"), 1, 2);
    mail_field_share(smaller, pool);
    ck_assert_int_eq(ask(smaller, name, BALANCER_NONE, MAIL_IMAP, &other, &member, &wait_ms),
                     MAIL_USERS_WAIT); /* never at two places */
    go(&seat);
    ck_assert_uint_lt(come(smaller, name, MAIL_IMAP, &other), 2);
    go(&other);
    end();
    pool_unref(smaller);
}
END_TEST

/* As long as any pool has the server the pin holds; then it ends with it. */
START_TEST(a_pin_ends_with_its_server)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat seat;
    const char *name = user_of(0);
    struct pool *smaller = mail_field_pool(SLICE("imap"), 1, 2);
    mail_field_share(smaller, pool);
    struct pool *pools[] = {NULL, smaller, pool};
    struct mail_users_wish wish = {.name = slice_from(name),
                                   .pool = smaller,
                                   .wanted = BALANCER_NONE,
                                   .protocol = MAIL_IMAP,
                                   .now_ms = now,
                                   .pools = pools,
                                   .pool_count = 3};
    ck_assert_uint_eq(come(smaller, name, MAIL_IMAP, &seat), 0);
    go(&seat);
    ck_assert(mail_field_move(users, pool, slice_from(name), 2, 0, false, now));
    ck_assert_int_eq(mail_users_enter(users, &wish, &seat, &member, &wait_ms), MAIL_USERS_WAIT);
    wish.pool_count = 2;
    ck_assert_int_eq(mail_users_enter(users, &wish, &seat, &member, &wait_ms), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 0);
    go(&seat);
    end();
    pool_unref(smaller);
}
END_TEST

START_TEST(pools_with_some_machines_in_common_never_split_a_user)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    struct mail_seat seat;
    struct mail_seat other;
    const char *name = user_of(2);
    struct pool *smaller = mail_field_pool(SLICE("pop3"), 2, 2);
    struct pool *pools[] = {pool, smaller};
    mail_field_share(smaller, pool);
    const struct mail_users_wish wish = {.name = slice_from(name),
                                         .pool = smaller,
                                         .wanted = BALANCER_NONE,
                                         .protocol = MAIL_POP3,
                                         .now_ms = now,
                                         .pools = pools,
                                         .pool_count = 2};
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 2);
    ck_assert_int_eq(mail_users_enter(users, &wish, &other, &member, &wait_ms), MAIL_USERS_WAIT);
    go(&seat);
    ck_assert_int_eq(mail_users_enter(users, &wish, &other, &member, &wait_ms), MAIL_USERS_IN);
    ck_assert(mail_users_prove(users, &other, 0));
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), member); /* and together again */
    go(&seat);
    go(&other);
    end();
    pool_unref(smaller);
}
END_TEST

START_TEST(a_move_by_a_pool_that_does_not_have_its_place)
{
    begin(3);
    uint32_t member;
    uint32_t wait_ms;
    uint32_t kicked;
    struct mail_seat seat;
    struct mail_seat other;
    const char *name = user_of(2);
    struct pool *smaller = mail_field_pool(SLICE("pop3"), 2, 2);
    struct pool *pools[] = {pool, smaller};
    mail_field_share(smaller, pool);
    const struct mail_users_wish wish = {.name = slice_from(name),
                                         .pool = smaller,
                                         .wanted = 1,
                                         .protocol = MAIL_POP3,
                                         .now_ms = now,
                                         .pools = pools,
                                         .pool_count = 2};
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 2);
    ck_assert(!mail_users_move(users, &wish, 0, true, &kicked));
    ck_assert(mail_users_move(users, &wish, 0, false, &kicked));
    ck_assert_uint_eq(kicked, 1);
    ck_assert(mail_users_is_kicked(&seat));
    ck_assert_int_eq(mail_users_enter(users, &wish, &other, &member, &wait_ms), MAIL_USERS_WAIT);
    go(&seat);
    ck_assert_int_eq(mail_users_enter(users, &wish, &other, &member, &wait_ms), MAIL_USERS_IN);
    ck_assert_uint_eq(member, 1);
    go(&other);
    ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), 1);
    go(&seat);
    end();
    pool_unref(smaller);
}
END_TEST

START_TEST(pools_of_other_machines_have_users_of_their_own)
{
    begin(1);
    struct mail_seat seat;
    struct mail_seat other;
    uint32_t member;
    uint32_t wait_ms;
    struct pool *theirs = mail_field_pool(SLICE("theirs"), 2, 1);
    struct pool *pools[] = {pool, theirs};
    const struct mail_users_wish wish = {.name = SLICE("joe"),
                                         .pool = theirs,
                                         .wanted = BALANCER_NONE,
                                         .protocol = MAIL_IMAP,
                                         .now_ms = now,
                                         .pools = pools,
                                         .pool_count = 2};
    (void)come(pool, "joe", MAIL_IMAP, &seat);
    ck_assert_int_eq(mail_users_enter(users, &wish, &other, &member, &wait_ms), MAIL_USERS_IN);
    go(&other);
    go(&seat);
    end();
    pool_unref(theirs);
}
END_TEST

static size_t rows;
static uint32_t rows_of[3];
static void note(const struct mail_users_row *row, void *arg)
{
    (void)arg;
    rows++;
    rows_of[row->place.ptr[1] - '0']++;
}

START_TEST(a_walk_sees_everybody_once)
{
    begin(3);
    for (uint32_t i = 0; i < 5000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "user%u", i);
        ck_assert(mail_users_put(users, pool, slice_from(name), i % 3, now));
        ck_assert(!mail_users_put(users, pool, slice_from(name), 0, now));
    }
    uint64_t cursor = 0;
    uint32_t steps = 0;
    rows = 0;
    memset(rows_of, 0, sizeof(rows_of));
    do {
        mail_users_walk(users, &cursor, 100, note, NULL);
        steps++;
    } while (cursor != 0);
    ck_assert_uint_eq(rows, 5000);
    ck_assert_uint_eq(rows_of[2], 1666);
    ck_assert_uint_gt(steps, 25);
    ck_assert_uint_eq(mail_users_look(users, SLICE("user7"), note, NULL), 1);
    ck_assert_uint_eq(mail_users_look(users, SLICE("nobody"), note, NULL), 0);
    end();
}
END_TEST

START_TEST(who_failed_over_is_kicked_back)
{
    begin(2);
    static struct mail_seat seats[200];
    set(0, SERVER_DOWN, SERVER_READY);
    at(now + 30001);
    uint32_t theirs = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(seats); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "user%u", i);
        theirs += mail_users_hashed(pool, slice_from(name)) == 0;
        ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seats[i]), 1);
    }
    set(0, SERVER_UP, SERVER_READY);
    uint64_t cursor = 0;
    uint32_t kicked = 0;
    do {
        kicked += mail_users_failback(users, pool, 0, &cursor, 10, now);
    } while (cursor != 0);
    ck_assert_uint_eq(kicked, theirs);
    at(now + 2000);
    for (uint32_t i = 0; i < ARRAY_LEN(seats); i++) {
        char name[32];
        struct mail_seat seat;
        (void)snprintf(name, sizeof(name), "user%u", i);
        uint32_t first = mail_users_hashed(pool, slice_from(name));
        ck_assert(mail_users_is_kicked(&seats[i]) == (first == 0));
        go(&seats[i]);
        ck_assert_uint_eq(come(pool, name, MAIL_IMAP, &seat), first);
        go(&seat);
    }
    end();
}
END_TEST

/* -- threads -- */

enum { THREADS = 4, ROUNDS = 4000, NAMES = 50 };
static _Atomic uint32_t where[NAMES]; /* member + 1, while somebody is there */
static _Atomic uint32_t there[NAMES];

static void *storm(void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct mail_seat seat;
        uint32_t member;
        uint32_t wait_ms;
        char name[16];
        uint32_t who = (seed * 7919 + i * 31) % NAMES;
        (void)snprintf(name, sizeof(name), "u%u", who);
        if (i % 50 == 49) {
            (void)mail_field_move(users, pool, slice_from(name), i % 3, 0, false, now);
            continue;
        }
        if (ask(pool, name, BALANCER_NONE, MAIL_IMAP, &seat, &member, &wait_ms) != MAIL_USERS_IN) {
            continue;
        }
        (void)atomic_fetch_add(&there[who], 1);
        uint32_t before = atomic_exchange(&where[who], member + 1);
        if (before != 0 && before != member + 1 && atomic_load(&there[who]) > 1) {
            abort(); /* two places at once */
        }
        if (!mail_users_prove(users, &seat, 0) && !mail_users_is_kicked(&seat)) {
            abort(); /* there is no limit */
        }
        if (atomic_fetch_sub(&there[who], 1) == 1) {
            atomic_store(&where[who], 0);
        }
        mail_users_leave(users, &seat, now);
    }
    return NULL;
}

START_TEST(threads_agree_where_a_user_is)
{
    begin(3);
    pthread_t threads[THREADS];
    uint32_t seeds[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, &seeds[i]), 0);
    }
    for (uint32_t i = 0; i < 200; i++) {
        uint64_t cursor = 0;
        do {
            mail_users_walk(users, &cursor, 10, note, NULL);
        } while (cursor != 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    end();
}
END_TEST

UNIT_TESTS("mail_users", a_user_with_sessions_is_at_one_place_whatever_the_protocol,
           a_name_that_never_got_in_leaves_nothing, a_name_may_be_long_or_short,
           a_user_lingers_and_is_forgotten, what_is_wanted_waits_for_the_last_session,
           strict_waits_for_its_server, failover_waits_for_down_for_and_goes_back,
           sessions_that_hang_are_kicked_by_the_next_login_of_their_pool,
           a_server_in_drain_keeps_who_is_there, no_server_has_more_than_its_spread,
           a_move_pins_kicks_and_waits, a_kick_ends_sessions_and_logins_and_lets_them_come_again,
           who_goes_elsewhere_waits_for_what_is_parked,
           a_parked_connection_keeps_its_user_and_is_no_session,
           who_must_go_elsewhere_goes_to_the_next_in_its_order, sessions_have_a_limit,
           a_server_that_left_the_pool_gives_its_users_up, a_pin_ends_with_its_server,
           pools_with_some_machines_in_common_never_split_a_user,
           a_move_by_a_pool_that_does_not_have_its_place,
           pools_of_other_machines_have_users_of_their_own, a_walk_sees_everybody_once,
           who_failed_over_is_kicked_back, threads_agree_where_a_user_is)
