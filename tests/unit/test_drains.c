#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/drains.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define START_US UINT64_C(1770000000000000)

/* What the owner would count. */
struct world {
    struct loop_stand stand;
    struct events *events;
    struct drains *drains;
    uint32_t open;
    bool is_settled;
    bool is_gone;
    bool is_busy;     /* with ending others */
    uint64_t closing; /* number of the drain that was asked to end what is left */
    uint64_t elapsed_us;
};

static struct world world;

static bool count(const struct drain *drain, uint32_t *open, bool *is_settled, void *arg)
{
    (void)drain;
    (void)arg;
    *open = world.open;
    *is_settled = world.is_settled;
    return !world.is_gone;
}

static bool close_rest(const struct drain *drain, void *arg)
{
    (void)arg;
    ck_assert_uint_eq(world.closing, 0);
    if (world.is_busy) {
        return false;
    }
    world.closing = drain->number;
    return true;
}

static void pass(uint64_t us)
{
    world.elapsed_us += us;
    now_set_for_test(1000000 + world.elapsed_us, START_US + world.elapsed_us);
    drains_look(world.drains);
}

static void begin(uint32_t open)
{
    memset(&world, 0, sizeof(world));
    now_set_for_test(1000000, START_US);
    loop_stand_open(&world.stand);
    world.events = events_new(1);
    world.open = open;
    world.is_settled = true;
    const struct drains_options options = {
        .loop = world.stand.loop, .events = world.events, .count = count, .close = close_rest};
    world.drains = drains_new(&options);
}

static void end(void)
{
    drains_free(world.drains);
    events_free(world.events);
    loop_stand_close(&world.stand);
    now_set_for_test(0, 0);
}

static void start(uint64_t deadline_us, enum override_end on_deadline)
{
    const struct drains_wish wish = {
        .kind = OVERRIDE_ADMIN,
        .key = SLICE("web/a"),
        .on_deadline = on_deadline,
        .deadline_wall_us = deadline_us != 0 ? START_US + deadline_us : 0,
        .reason = SLICE("kernel"),
        .who = SLICE("me"),
    };
    drains_start(world.drains, &wish);
}

static const struct drain *it(void)
{
    return drains_find(world.drains, OVERRIDE_ADMIN, SLICE("web/a"));
}

/* The types of all events so far, as one text. */
static const char *told(void)
{
    static char text[1024];
    text[0] = '\0';
    for (uint64_t i = events_oldest(world.events); i < events_next(world.events); i++) {
        const struct events_item *item = events_at(world.events, i);
        ck_assert_str_eq(item->name, "web/a");
        (void)strcat(strcat(text, strchr(item->type, '.') + 1), " ");
    }
    return text;
}

START_TEST(it_is_done_when_nothing_is_left)
{
    begin(2);
    start(0, OVERRIDE_CLOSE);
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    ck_assert_uint_eq(it()->initial, 2);
    world.open = 1;
    pass(100);
    ck_assert_uint_eq(it()->remaining, 1);
    world.open = 0;
    world.is_settled = false; /* somebody may still be on the way in */
    pass(100);
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    world.is_settled = true;
    pass(100);
    ck_assert_int_eq(it()->phase, DRAIN_DONE);
    ck_assert_uint_eq(it()->ended_wall_us, START_US + 300);
    ck_assert_str_eq(told(), "started done ");
    ck_assert_uint_eq(drains_total(world.drains, DRAIN_DONE), 1);
    end();
}
END_TEST

START_TEST(progress_is_told_once_a_second_and_only_when_there_is_some)
{
    begin(5);
    start(0, OVERRIDE_CLOSE);
    for (int i = 0; i < 10; i++) {
        world.open = i < 5 ? 4 : 3;
        pass(400000);
    }
    ck_assert_str_eq(told(), "started progress progress ");
    world.open = 9; /* some were on their way in */
    pass(2000000);
    ck_assert_uint_eq(it()->initial, 9);
    end();
}
END_TEST

START_TEST(whose_turn_to_end_has_not_come_asks_again)
{
    begin(3);
    world.is_busy = true;
    start(5000000, OVERRIDE_CLOSE);
    pass(5000000);
    ck_assert_uint_eq(world.closing, 0);
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    world.is_busy = false;
    pass(1);
    ck_assert_uint_eq(world.closing, it()->number);
    drains_closed(world.drains, world.closing);
    ck_assert_int_eq(it()->phase, DRAIN_CLOSED);
    end();

    begin(1);
    world.is_busy = true;
    start(5000000, OVERRIDE_CLOSE);
    pass(5000000);
    world.open = 0; /* they ended by themselves */
    pass(1);
    ck_assert_int_eq(it()->phase, DRAIN_DONE);
    end();
}
END_TEST

START_TEST(at_the_deadline_what_is_left_is_ended_or_goes_on)
{
    begin(3);
    start(5000000, OVERRIDE_CLOSE);
    pass(4999999);
    ck_assert_uint_eq(world.closing, 0);
    pass(1);
    ck_assert_uint_eq(world.closing, it()->number);
    pass(1); /* asked once */
    world.open = 0;
    pass(1); /* who ends it says so */
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    drains_closed(world.drains, world.closing);
    ck_assert_int_eq(it()->phase, DRAIN_CLOSED);
    drains_closed(world.drains, world.closing); /* nothing */
    ck_assert_uint_eq(drains_total(world.drains, DRAIN_CLOSED), 1);
    end();

    begin(3);
    start(5000000, OVERRIDE_KEEP);
    pass(5000000);
    ck_assert_int_eq(it()->phase, DRAIN_KEPT);
    ck_assert_uint_eq(it()->remaining, 3);
    ck_assert_uint_eq(world.closing, 0);
    end();
}
END_TEST

START_TEST(the_same_again_extends_it)
{
    begin(1);
    start(1000000, OVERRIDE_CLOSE);
    uint64_t number = it()->number;
    pass(500000);
    start(9000000, OVERRIDE_KEEP);
    ck_assert_uint_eq(it()->number, number);
    ck_assert_uint_eq(it()->started_wall_us, START_US);
    pass(1000000);
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    pass(7500000);
    ck_assert_int_eq(it()->phase, DRAIN_KEPT);
    ck_assert_str_eq(told(), "started done ");
    end();
}
END_TEST

START_TEST(in_use_again_or_gone_cancels_it)
{
    begin(1);
    drains_cancel(world.drains, OVERRIDE_ADMIN, SLICE("web/a"), "nothing runs");
    start(0, OVERRIDE_CLOSE);
    drains_cancel(world.drains, OVERRIDE_LISTENER, SLICE("web/a"), "another kind");
    ck_assert_int_eq(it()->phase, DRAIN_WAITING);
    drains_cancel(world.drains, OVERRIDE_ADMIN, SLICE("web/a"), "in use again");
    ck_assert_int_eq(it()->phase, DRAIN_CANCELLED);
    start(0, OVERRIDE_CLOSE);
    ck_assert_int_eq(it()->phase, DRAIN_WAITING); /* the one that runs is shown */
    world.is_gone = true;
    pass(1);
    ck_assert_int_eq(it()->phase, DRAIN_CANCELLED);
    ck_assert_uint_eq(drains_total(world.drains, DRAIN_CANCELLED), 2);
    end();
}
END_TEST

START_TEST(the_last_that_ended_are_remembered)
{
    begin(0);
    for (int i = 0; i < DRAINS_ENDED_MAX + 10; i++) {
        start(0, OVERRIDE_CLOSE);
        pass(1);
    }
    uint32_t ended = 0;
    struct list_node *node = NULL;
    list_for_each (node, drains_ended(world.drains)) {
        ended++;
    }
    ck_assert_uint_eq(ended, DRAINS_ENDED_MAX);
    const struct drain *newest = list_entry(drains_ended(world.drains)->next, struct drain, link);
    ck_assert_uint_eq(newest->number, DRAINS_ENDED_MAX + 10);
    ck_assert(list_is_empty(drains_running(world.drains)));
    end();
}
END_TEST

START_TEST(it_looks_by_itself)
{
    begin(1);
    now_set_for_test(0, 0);
    const struct drains_wish wish = {
        .kind = OVERRIDE_LISTENER, .key = SLICE("web"), .who = SLICE("me")};
    drains_start(world.drains, &wish);
    const struct drain *drain = drains_find(world.drains, OVERRIDE_LISTENER, SLICE("web"));
    ck_assert_str_eq(drain->target, "listener/web");
    world.open = 0;
    loop_stand_until(&world.stand, drain->phase == DRAIN_DONE);
    end();
}
END_TEST

UNIT_TESTS("drains", it_is_done_when_nothing_is_left,
           progress_is_told_once_a_second_and_only_when_there_is_some,
           whose_turn_to_end_has_not_come_asks_again,
           at_the_deadline_what_is_left_is_ended_or_goes_on, the_same_again_extends_it,
           in_use_again_or_gone_cancels_it, the_last_that_ended_are_remembered, it_looks_by_itself)
