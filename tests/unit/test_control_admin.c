#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/events.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{"
    "\"a\":{\"address\":\"127.0.0.1:1\",\"weight\":60},\"b\":{\"address\":\"127.0.0.1:2\"}}}}";

static struct live_control live;

static struct live_answer weigh(uint32_t weight, uint32_t percent, uint64_t expires_ms)
{
    const struct control_wish wish = {.kind = OVERRIDE_WEIGHT,
                                      .pool = SLICE("p"),
                                      .name = SLICE("a"),
                                      .weight = weight,
                                      .percent = percent,
                                      .expires_ms = expires_ms,
                                      .who = SLICE("me")};
    return live_control_wish(&live, &wish);
}

/* What workers see. */
static uint32_t weight_of_a(void)
{
    const struct registry_server *server =
        registry_find_server(control_registry(live.control), SLICE("p"), SLICE("a"));
    return server->weight;
}

static const struct {
    uint32_t weight;
    uint32_t percent;
    uint32_t want; /* 0: refused */
} weights[] = {
    {1, 0, 1},      {1000, 0, 1000}, {0, 50, 30},     {0, 1, 1}, /* never nothing */
    {0, 2, 1},      {0, 1666, 1000}, {0, 1667, 1000}, {0, 1668, 0},
    {0, 100000, 0}, {1001, 0, 0},    {0, 0, 0},
};

START_TEST(a_weight_is_a_number_or_a_share_within_limits)
{
    live_control_start(&live, web, "");
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        uint32_t before = weight_of_a();
        struct live_answer answer = weigh(weights[i].weight, weights[i].percent, 0);
        if (weights[i].want == 0) {
            ck_assert_msg(answer.err.kind == ERR_INVALID, "case %zu", i);
            ck_assert_str_eq(answer.err.place, "/weight");
            ck_assert_uint_eq(weight_of_a(), before);
        } else {
            ck_assert_msg(weight_of_a() == weights[i].want, "case %zu: %u", i, weight_of_a());
        }
    }
    live_control_stop(&live);
}
END_TEST

static const char shared[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{"
    "\"a\":{\"address\":\"127.0.0.1:1\",\"weight\":\"20%\"},"
    "\"b\":{\"address\":\"127.0.0.1:2\",\"weight\":80}}}}";

START_TEST(of_a_share_a_percentage_stays_one)
{
    live_control_start(&live, shared, "");
    const struct conf_pool *pool =
        conf_pool_find(conf_document_conf(control_running(live.control)), SLICE("p"));
    const struct conf_server *a = conf_server_find(pool, SLICE("a"));
    const struct registry_server *server =
        registry_find_server(control_registry(live.control), SLICE("p"), SLICE("a"));
    struct conf_share_sums sums;
    conf_share_add_up(pool, &sums);
    ck_assert_uint_eq(registry_server_weight(server, pool, a), 20);
    ck_assert_uint_eq(registry_server_weight_scaled(server, &sums, a), 1600); /* b: 6400 */
    ck_assert_int_eq(weigh(0, 50, 0).err.kind, ERR_NONE);
    ck_assert_uint_eq(registry_server_weight(server, pool, a), 10);
    ck_assert_uint_eq(registry_server_weight_scaled(server, &sums, a), 800);
    ck_assert_int_eq(weigh(80, 0, 0).err.kind, ERR_NONE); /* a number stands beside b's */
    ck_assert_uint_eq(registry_server_weight_scaled(server, &sums, a), 6400);
    ck_assert_int_eq(weigh(0, 5100, 0).err.kind, ERR_INVALID);
    live_control_stop(&live);
}
END_TEST

static unsigned told;

static void on_done(const struct control_wished *wished, void *arg)
{
    (void)arg;
    ck_assert_int_eq(wished->err.kind, ERR_NONE);
    told++;
}

START_TEST(what_is_asked_in_one_pass_is_published_once)
{
    static const char *const names[] = {"a", "b"};
    bool all = false;
    live_control_start(&live, web, "");
    uint64_t generation = control_facts(live.control)->generation;
    told = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct control_wish wish = {.kind = OVERRIDE_ADMIN,
                                          .pool = SLICE("p"),
                                          .name = slice_from(names[i]),
                                          .state = SERVER_DRAIN};
        control_override_set(live.control, &wish, on_done, NULL);
    }
    ck_assert_uint_eq(told, 0);
    for (int i = 0; i < 2000 && !all; i++) {
        live_control_turn(&live);
        all = told == 2;
    }
    ck_assert(all);
    ck_assert_uint_eq(control_facts(live.control)->generation, generation + 1);
    live_control_stop(&live);
}
END_TEST

START_TEST(who_waits_when_it_ends_is_told)
{
    live_control_start(&live, web, "");
    const struct control_wish wish = {
        .kind = OVERRIDE_ADMIN, .pool = SLICE("p"), .name = SLICE("a"), .state = SERVER_DRAIN};
    live.answer = (struct live_answer){0};
    ck_assert_int_eq(live_control_wish(&live, &wish).err.kind, ERR_NONE);
    control_drain(live.control, 5000);
    struct err err = {0};
    ck_assert(!control_override_check(live.control, &wish, &err));
    ck_assert_int_eq(err.kind, ERR_UNAVAILABLE);
    ck_assert_int_eq(live_control_wish(&live, &wish).err.kind, ERR_UNAVAILABLE);
    live_control_stop(&live);
}
END_TEST

START_TEST(an_end_is_kept_and_the_same_again_is_no_change)
{
    live_control_start(&live, web, "");
    uint64_t since = events_next(control_events(live.control));
    ck_assert(weigh(5, 0, 0).is_changed);
    ck_assert(!weigh(5, 0, 0).is_changed);
    ck_assert(weigh(5, 0, 60000).is_changed); /* an end is told from now on */
    ck_assert(weigh(5, 0, 20).is_changed);
    for (int i = 0; i < 4000 && control_override_count(live.control) != 0; i++) {
        live_control_turn(&live);
    }
    ck_assert_uint_eq(control_override_count(live.control), 0);
    ck_assert_uint_eq(weight_of_a(), 0);
    const struct events *events = control_events(live.control);
    const struct events_item *last = events_at(events, events_next(events) - 1);
    ck_assert_str_eq(last->type, "override.expired");
    ck_assert_uint_eq(events_next(events) - since, 4);
    live_control_stop(&live);
}
END_TEST

static void set_anew(struct loop_timer *timer)
{
    const struct control_wish wish = {.kind = OVERRIDE_WEIGHT,
                                      .pool = SLICE("p"),
                                      .name = SLICE("a"),
                                      .weight = 7,
                                      .who = SLICE("me")};
    (void)timer;
    control_override_set(live.control, &wish, on_done, NULL);
}

START_TEST(what_is_set_anew_does_not_end_with_the_old)
{
    struct loop_timer timer = {0};
    live_control_start(&live, web, "");
    ck_assert(weigh(5, 0, 200).is_changed);
    told = 0;
    loop_timer_set(control_loop(live.control), &timer, 10, set_anew);
    uint64_t end = now_us() + 210000;
    while (now_us() < end) {
        /* nothing turns: the next wish and the end of the old one meet in one pass */
    }
    for (int i = 0; i < 4000 && told == 0; i++) {
        live_control_turn(&live);
    }
    ck_assert_uint_eq(told, 1);
    live_control_turn(&live);
    ck_assert_uint_eq(weight_of_a(), 7);
    ck_assert_uint_eq(control_override_count(live.control), 1);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_drain_that_is_configured_may_have_a_deadline)
{
    live_control_start(&live, web, "");
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a",
                              "{\"admin_state\":\"drain\"}");
    struct control_wish wish = {
        .kind = OVERRIDE_ADMIN, .pool = SLICE("p"), .name = SLICE("a"), .state = SERVER_DRAIN};
    ck_assert(!live_control_wish(&live, &wish).is_changed); /* it is what is configured */
    wish.deadline_ms = 60000;
    ck_assert(live_control_wish(&live, &wish).is_changed);
    ck_assert_uint_eq(control_override_count(live.control), 1);
    wish.state = SERVER_READY;
    wish.deadline_ms = 0;
    ck_assert(live_control_wish(&live, &wish).is_changed);
    ck_assert_int_eq(control_override(live.control, SLICE("p"), SLICE("a"))->state, SERVER_READY);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_admin", a_weight_is_a_number_or_a_share_within_limits,
           of_a_share_a_percentage_stays_one, what_is_asked_in_one_pass_is_published_once,
           who_waits_when_it_ends_is_told, an_end_is_kept_and_the_same_again_is_no_change,
           what_is_set_anew_does_not_end_with_the_old,
           a_drain_that_is_configured_may_have_a_deadline)
