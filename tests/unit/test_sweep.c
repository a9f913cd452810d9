#include <unistd.h>

#include "lbd/proxy/sweep.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

enum { MANY = 3 * SWEEP_SLICE };

static struct proxy_stand stand;
static int clients[MANY];

/* What a walk does. */
struct walk {
    struct sweep sweep;
    uint32_t visited;
    uint32_t stop_after; /* 0: never */
    bool ends;           /* every one it visits */
    uint32_t cost;       /* of a visit; 0: nothing is said */
    uint32_t done;
};

static bool on_visit(struct sweep *sweep, struct session *session)
{
    struct walk *walk = container_of(sweep, struct walk, sweep);
    walk->visited++;
    if (walk->cost != 0) {
        sweep->cost = walk->cost;
    }
    if (walk->ends) {
        session_abort(session, CLOSE_KILLED, true);
    }
    return walk->visited != walk->stop_after;
}

static void on_done(struct sweep *sweep)
{
    container_of(sweep, struct walk, sweep)->done++;
}

static void start(struct walk *walk)
{
    walk->sweep.visit = on_visit;
    walk->sweep.done = on_done;
    sweep_start(&walk->sweep, &stand.proxy);
}

static void begin(uint32_t count)
{
    const struct proxy_stand_options options = {.max_connections = 1000};
    proxy_stand_open(&stand, &options);
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = proxy_stand_client(&stand);
        tell(&stand, clients[i], GET("/fixed"));
        (void)hear_until(&stand, clients[i], "fixed answer");
    }
    ck_assert_uint_eq(proxy_stand_open_count(&stand), count);
}

static void end(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)close(clients[i]);
    }
    proxy_stand_settle(&stand);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    proxy_stand_close(&stand);
}

START_TEST(every_client_is_visited_a_slice_at_a_time)
{
    struct walk walk = {0};
    begin(MANY);
    start(&walk);
    ck_assert_uint_eq(walk.visited, 0);
    loop_stand_turn(&stand.up.base);
    ck_assert_uint_eq(walk.visited, SWEEP_SLICE);
    proxy_stand_until(&stand, walk.done == 1);
    ck_assert_uint_eq(walk.visited, MANY);
    end(MANY);
}
END_TEST

START_TEST(dear_visits_make_small_slices)
{
    struct walk walk = {.cost = 8};
    begin(MANY);
    start(&walk);
    loop_stand_turn(&stand.up.base);
    ck_assert_uint_eq(walk.visited, SWEEP_SLICE / 8);
    proxy_stand_until(&stand, walk.done == 1);
    ck_assert_uint_eq(walk.visited, MANY);
    end(MANY);
}
END_TEST

START_TEST(it_stops_when_it_has_found_what_it_looks_for)
{
    struct walk walk = {.stop_after = 5};
    begin(10);
    start(&walk);
    proxy_stand_until(&stand, walk.done == 1);
    ck_assert_uint_eq(walk.visited, 5);
    end(10);
}
END_TEST

START_TEST(visits_may_end_their_client)
{
    struct walk walk = {.ends = true};
    begin(MANY);
    start(&walk);
    proxy_stand_until(&stand, walk.done == 1);
    ck_assert_uint_eq(walk.visited, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        proxy_stand_until(&stand, peer_sees_end(clients[i]));
    }
    end(MANY);
}
END_TEST

START_TEST(clients_that_go_or_come_meanwhile_do_not_disturb_it)
{
    struct walk walk = {0};
    struct walk another = {0};
    begin(MANY);
    start(&walk);
    start(&another);
    loop_stand_turn(&stand.up.base);
    for (uint32_t i = 0; i < MANY; i++) { /* those it has seen, the next one, and all others */
        peer_reset(clients[i]);
    }
    loop_stand_turn(&stand.up.base);
    for (uint32_t i = 0; i < 3; i++) {
        clients[i] = proxy_stand_client(&stand);
        tell(&stand, clients[i], GET("/fixed"));
        (void)hear_until(&stand, clients[i], "fixed answer");
    }
    proxy_stand_until(&stand, walk.done == 1 && another.done == 1);
    ck_assert_uint_le(walk.visited, MANY);
    end(3);
}
END_TEST

START_TEST(new_clients_are_not_visited)
{
    struct walk walk = {0};
    begin(3);
    start(&walk);
    int late = proxy_stand_client(&stand);
    peer_say(late, GET("/fixed"));
    proxy_stand_until(&stand, walk.done == 1);
    (void)hear_until(&stand, late, "fixed answer");
    ck_assert_uint_eq(walk.visited, 3);
    (void)close(late);
    end(3);
}
END_TEST

START_TEST(it_can_be_stopped_and_nobody_is_nobody)
{
    struct walk walk = {0};
    begin(3);
    start(&walk);
    sweep_stop(&walk.sweep);
    ck_assert_uint_eq(walk.done, 1);
    proxy_stand_settle(&stand);
    ck_assert_uint_eq(walk.visited, 0);
    end(3);

    begin(0);
    walk = (struct walk){0};
    start(&walk);
    proxy_stand_until(&stand, walk.done == 1);
    end(0);
}
END_TEST

UNIT_TESTS("sweep", every_client_is_visited_a_slice_at_a_time, dear_visits_make_small_slices,
           it_stops_when_it_has_found_what_it_looks_for, visits_may_end_their_client,
           clients_that_go_or_come_meanwhile_do_not_disturb_it, new_clients_are_not_visited,
           it_can_be_stopped_and_nobody_is_nobody)
