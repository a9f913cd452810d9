#include <string.h>

#include "lbd/upstream/login_gate.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

static struct upstream_stand stand;

static struct one {
    struct login_gate_waiter waiter;
    unsigned called;
    unsigned turn; /* when it was let in */
} ones[4];
static unsigned turns;

static void on_in(struct login_gate_waiter *waiter)
{
    struct one *one = container_of(waiter, struct one, waiter);
    one->called++;
    one->turn = ++turns;
}

static bool enter(unsigned i, unsigned server, uint32_t limit)
{
    ones[i].waiter.fn = on_in;
    return login_gate_enter(&stand.upstream, stand.servers[server], limit, &ones[i].waiter);
}

static void open_stand(void)
{
    const struct upstream_stand_options options = {.servers = 2};
    upstream_stand_open(&stand, &options);
    memset(ones, 0, sizeof(ones));
    turns = 0;
}

static void leave(unsigned server)
{
    login_gate_leave(&stand.upstream, stand.servers[server]);
}

START_TEST(first_come_first_served)
{
    open_stand();
    ck_assert(enter(0, 0, 1));
    ck_assert(!enter(1, 0, 1));
    ck_assert(!enter(2, 0, 1));
    ck_assert(enter(3, 1, 1)); /* another server */
    leave(0);
    upstream_stand_tick(&stand, 1);
    ck_assert_uint_eq(ones[1].called, 1);
    ck_assert_uint_eq(ones[2].called, 0);
    leave(0);
    upstream_stand_tick(&stand, 1);
    ck_assert_uint_eq(ones[2].called, 1);
    leave(0);
    leave(1);
    upstream_stand_tick(&stand, 100);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(who_does_not_wait_any_more_takes_no_place)
{
    open_stand();
    ck_assert(enter(0, 0, 1));
    ck_assert(!enter(1, 0, 1));
    ck_assert(!enter(2, 0, 1));
    login_gate_cancel(&ones[1].waiter);
    login_gate_cancel(&ones[1].waiter);
    leave(0);
    upstream_stand_tick(&stand, 1);
    ck_assert_uint_eq(ones[1].called, 0);
    ck_assert_uint_eq(ones[2].called, 1);
    leave(0);
    upstream_stand_tick(&stand, 100);
    upstream_stand_close(&stand);
}
END_TEST

/* As another worker does: only the count tells. */
START_TEST(places_that_others_give_back_are_found)
{
    open_stand();
    atomic_store(&stand.servers[0]->logins, 1);
    ck_assert(!enter(0, 0, 1));
    upstream_stand_tick(&stand, 30);
    ck_assert_uint_eq(ones[0].called, 0);
    atomic_store(&stand.servers[0]->logins, 0);
    upstream_stand_tick(&stand, 30);
    ck_assert_uint_eq(ones[0].called, 1);
    leave(0);
    upstream_stand_tick(&stand, 100);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(without_a_limit_all_come_in)
{
    open_stand();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(enter(i, 0, 0));
    }
    for (unsigned i = 0; i < 4; i++) {
        leave(0);
    }
    ck_assert_uint_eq(atomic_load(&stand.servers[0]->logins), 0);
    upstream_stand_close(&stand);
}
END_TEST

UNIT_TESTS("login_gate", first_come_first_served, who_does_not_wait_any_more_takes_no_place,
           places_that_others_give_back_are_found, without_a_limit_all_come_in)
