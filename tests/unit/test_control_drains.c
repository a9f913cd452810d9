#include <string.h>

#include "lbd/control/drains.h"
#include "lbd/control/events.h"
#include "lbd/worker/clients.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"},\"two\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"
    "\"b\":{\"address\":\"127.0.0.1:2\"}}}}";

static struct live_control live;

static void set(enum override_kind kind, const char *name, enum server_admin state)
{
    const struct control_wish wish = {.kind = kind,
                                      .pool = SLICE("p"),
                                      .name = slice_from(name),
                                      .state = state,
                                      .reason = SLICE("kernel"),
                                      .who = SLICE("me")};
    struct live_answer answer = live_control_wish(&live, &wish);
    ck_assert_msg(answer.err.kind == ERR_NONE, "%s", answer.err.text);
}

static const struct drain *drain_of(enum override_kind kind, const char *key)
{
    return drains_find(control_drains(live.control), kind, slice_from(key));
}

static bool is_drained(const char *listener)
{
    return control_listener_is_drained(
        live.control, registry_find_listener(control_registry(live.control), slice_from(listener)));
}

static void until_done(enum override_kind kind, const char *key)
{
    for (int i = 0; i < 2000 && drain_of(kind, key)->phase == DRAIN_WAITING; i++) {
        live_control_turn(&live);
    }
    ck_assert_int_eq(drain_of(kind, key)->phase, DRAIN_DONE);
}

START_TEST(each_kind_drains_and_comes_back)
{
    const char *why = NULL;
    live_control_start(&live, web, "");
    ck_assert_ptr_null(drain_of(OVERRIDE_ADMIN, "p/a"));

    set(OVERRIDE_ADMIN, "a", SERVER_DRAIN);
    ck_assert_str_eq(drain_of(OVERRIDE_ADMIN, "p/a")->target, "p/a");
    until_done(OVERRIDE_ADMIN, "p/a");

    set(OVERRIDE_LISTENER, "web", SERVER_DRAIN);
    ck_assert(is_drained("web") && !is_drained("two") && !control_is_drained(live.control));
    ck_assert_str_eq(drain_of(OVERRIDE_LISTENER, "web")->target, "listener/web");
    until_done(OVERRIDE_LISTENER, "web");

    set(OVERRIDE_PROCESS, "", SERVER_DRAIN);
    ck_assert(is_drained("web") && is_drained("two") && control_is_drained(live.control));
    ck_assert(!control_is_ready(live.control, &why));
    ck_assert_str_eq(why, "drained by hand: kernel (me)");
    until_done(OVERRIDE_PROCESS, "process");

    set(OVERRIDE_PROCESS, "", SERVER_READY);
    ck_assert(is_drained("web") && !is_drained("two"));
    ck_assert(control_is_ready(live.control, &why));
    set(OVERRIDE_LISTENER, "web", SERVER_READY);
    ck_assert(!is_drained("web"));
    live_control_stop(&live);
}
END_TEST

START_TEST(drained_listeners_are_drained_after_a_restart)
{
    live_control_start(&live, web, "");
    set(OVERRIDE_LISTENER, "web", SERVER_DRAIN);
    live_control_end(&live);
    ck_assert(live_control_restart(&live));
    ck_assert(is_drained("web") && !is_drained("two"));
    ck_assert_str_eq(drain_of(OVERRIDE_LISTENER, "web")->who, "me");
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/listeners/web", "");
    ck_assert_uint_eq(control_override_count(live.control), 0);
    live_control_stop(&live);
}
END_TEST

/* How many clients fit, so far UINT64_MAX. */
static uint64_t total = UINT64_MAX;
static bool is_told;

static void on_answer(const struct clients_answer *answer, void *arg)
{
    (void)arg;
    total = answer->total;
    is_told = true;
}

START_TEST(questions_are_answered_and_bounded)
{
    const struct clients_query query = {.limit = 5};
    live_control_start(&live, web, "");
    is_told = false;
    for (int i = 0; i < CONTROL_ASKING_MAX; i++) {
        ck_assert(control_ask_clients(live.control, &query, on_answer, NULL));
    }
    ck_assert(!control_ask_clients(live.control, &query, on_answer, NULL));
    live_control_until(&live, &is_told);
    ck_assert_uint_eq(total, 0);
    /* under way at the end: answered all the same */
    is_told = false;
    ck_assert(control_ask_clients(live.control, &query, on_answer, NULL));
    control_stop(live.control);
    ck_assert(is_told);
    ck_assert(!control_ask_clients(live.control, &query, on_answer, NULL));
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_drains", each_kind_drains_and_comes_back,
           drained_listeners_are_drained_after_a_restart, questions_are_answered_and_bounded)
