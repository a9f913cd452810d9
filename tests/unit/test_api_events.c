#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api_events.h"
#include "lbd/control/events.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static struct events *events(void)
{
    return control_events(live_api.live.control);
}

static unsigned get(const char *fmt, ...) LB_PRINTF(1, 2);

static unsigned get(const char *fmt, ...)
{
    char target[128];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(target, sizeof(target), fmt, args);
    va_end(args);
    return live_api_call("GET", target, "", "");
}

START_TEST(a_list_goes_on_where_the_last_one_ended)
{
    char next[64];
    live_api_begin();
    uint64_t first = events_next(events());
    events_post(events(), "drain.done", SLICE("web/a"), NULL, "nothing is left");
    events_post(events(), "server.health", SLICE("web/b"), "{\"from\":\"up\"}", "up -> down");

    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(first)), 200);
    ck_assert(live_api_has("nothing is left") && live_api_has("up -> down"));
    (void)snprintf(next, sizeof(next), "\"next\": %llu", (unsigned long long)first + 2);
    ck_assert(live_api_has(next));
    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(first + 1)), 200);
    ck_assert(!live_api_has("nothing is left") && live_api_has("up -> down"));
    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(first + 2)), 200);
    ck_assert(!live_api_has("message"));
    ck_assert_uint_eq(get("/v1/events?since=%llu&limit=1", (unsigned long long)(first)), 200);
    ck_assert(live_api_has("nothing is left") && !live_api_has("up -> down"));
    ck_assert_uint_eq(get("/v1/events?types=drain.*&since=%llu", (unsigned long long)(first)), 200);
    ck_assert(live_api_has("nothing is left") && !live_api_has("up -> down"));
    ck_assert_uint_eq(get("/v1/events?name=web/b&since=%llu", (unsigned long long)(first)), 200);
    ck_assert(!live_api_has("nothing is left") && live_api_has("up -> down"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/events?since=0", "", ""), 200);
    ck_assert(live_api_has("nothing is left") && live_api_has("up -> down"));
    live_api_end();
}
END_TEST

START_TEST(what_is_not_held_is_gone)
{
    live_api_begin();
    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(1)), 410);
    ck_assert(live_api_has("/v1/problems/events-gone"));
    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(events_next(events()) + 1)),
                      410);
    ck_assert_uint_eq(get("/v1/watch?since=%llu", (unsigned long long)(1)), 410);
    ck_assert_uint_eq(live_api_call("GET", "/v1/watch", "Last-Event-ID: 7\r\n", ""), 410);
    for (unsigned i = 0; i < EVENTS_HELD_MAX + 1; i++) {
        events_post(events(), "drain.done", SLICE("web/a"), NULL, "number %u", i);
    }
    ck_assert_uint_eq(get("/v1/events?since=%llu", (unsigned long long)(events_oldest(events()))),
                      200);
    ck_assert_uint_eq(
        get("/v1/events?since=%llu", (unsigned long long)(events_oldest(events()) - 1)), 410);
    live_api_end();
}
END_TEST

static const char *const refused[] = {
    "/v1/events?since=x",     "/v1/events?since=-1",
    "/v1/events?limit=0",     "/v1/events?limit=4097",
    "/v1/events?wait=61s",    "/v1/events?wait=1",
    "/v1/events?types=drain", "/v1/events?types=no.such,drain.done",
    "/v1/watch?wait=1s",      "/v1/watch?types=x",
    "/v1/watch?limit=1",      "/v1/events?since=18446744073709551616",
};

START_TEST(parameters_that_mean_nothing_are_refused)
{
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        ck_assert_msg(live_api_call("GET", refused[i], "", "") == 400, "%s: %u", refused[i],
                      live_api.status);
    }
    ck_assert_uint_eq(live_api_call("GET", "/v1/watch", "Last-Event-ID: x\r\n", ""), 400);
    ck_assert_uint_eq(
        live_api_call("GET", "/v1/watch", "Last-Event-ID: 18446744073709551615\r\n", ""), 400);
    live_api_end();
}
END_TEST

static void on_post_due(struct loop_timer *timer)
{
    (void)timer;
    events_post(events(), "drain.done", SLICE("web/a"), NULL, "while it waits");
}

START_TEST(who_waits_is_answered_by_the_event_or_at_the_end)
{
    struct loop_timer timer = {0};
    live_api_begin();
    uint64_t next = events_next(events());
    loop_timer_set(live_api.live.loop, &timer, 20, on_post_due);
    ck_assert_uint_eq(
        get("/v1/events?wait=60s&types=drain.done&since=%llu", (unsigned long long)(next)), 200);
    ck_assert(live_api_has("while it waits"));
    ck_assert_uint_eq(
        get("/v1/events?wait=10ms&types=api.denied&since=%llu", (unsigned long long)(next)), 200);
    ck_assert(!live_api_has("message") && live_api_has("\"next\""));
    ck_assert_uint_eq(api_events_watchers(), 0);
    live_api_end();
}
END_TEST

START_TEST(lists_say_from_where_to_follow_them)
{
    char header[64];
    static const char *const paths[] = {"/v1/config", "/v1/pools/p", "/v1/status",
                                        "/v1/pools/p/status", "/v1/overrides"};
    live_api_begin();
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)snprintf(header, sizeof(header), "Lbd-Event-Sequence: %llu\r\n",
                       (unsigned long long)events_next(events()));
        ck_assert_uint_eq(live_api_call("GET", paths[i], "", ""), 200);
        ck_assert_msg(live_api_has(header), "%s", paths[i]);
    }
    ck_assert_uint_eq(live_api_call("GET", "/v1/version", "", ""), 200);
    ck_assert(!live_api_has("Lbd-Event-Sequence"));
    live_api_end();
}
END_TEST

UNIT_TESTS("api_events", a_list_goes_on_where_the_last_one_ended, what_is_not_held_is_gone,
           parameters_that_mean_nothing_are_refused,
           who_waits_is_answered_by_the_event_or_at_the_end, lists_say_from_where_to_follow_them)
