#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/cmd_events.h"
#include "lbd/base/now.h"
#include "lbd/control/events.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define FIRST                                                                                          \
    "{\"sequence\":1,\"time\":\"2026-11-26T11:00:00Z\",\"type\":\"server.health\",\"name\":\"web/a\"," \
    "\"message\":\"up -> down\",\"data\":{\"to\":\"down\"}}"
#define SECOND                                                                                     \
    "{\"sequence\":2,\"time\":\"2026-11-26T11:20:00Z\",\"type\":\"config.applied\",\"name\":\"\"," \
    "\"message\":\"evil \\u001b[2J\"}"
#define LIST   FAKE_JSON("{\"events\":[" FIRST "," SECOND "],\"next\":3,\"oldest\":1}")
#define LINE_1 "11:00:00  server.health        web/a                 up -> down\n"
#define LINE_2 "11:20:00  config.applied       -                     evil ?[2J\n"

static const struct {
    const char *line[4];
    struct fake_turn turns[1];
    const char *out;
} cases[] = {
    {{"events"}, {{"GET /v1/events?limit=4096", LIST}}, LINE_1 LINE_2},
    {{"events", "--since", "10m"}, {{"GET /v1/events?limit=4096", LIST}}, LINE_2},
    {{"events", "-n1"}, {{"GET /v1/events?limit=4096", LIST}}, LINE_2},
    {{"events", "--since=1h", "-n", "1"}, {{"GET /v1/events?limit=4096", LIST}}, LINE_2},
    {{"events", "-n1", "-ojsonl"}, {{"GET /v1/events?limit=4096", LIST}}, SECOND "\n"},
    {{"events", "drain.done", "api.denied", "--pool=web"},
     {{"GET /v1/events?limit=4096&types=drain.done%2Capi.denied&name=web", LIST}},
     LINE_1 LINE_2},
    {{"watch", "-n2"},
     {{"GET /v1/watch", FAKE_REPLY("200 OK", "Content-Type: text/event-stream\r\n",
                                   "id: 1\ndata: " FIRST "\n\nid: 2\ndata: " SECOND "\n\n")}},
     LINE_1 LINE_2},
    {{"watch", "server.health", "-n1", "-ojson"},
     {{"GET /v1/watch?types=server.health",
       FAKE_REPLY("200 OK", "Content-Type: text/event-stream\r\n", "data: " FIRST "\n\n")}},
     FIRST "\n"},
};

START_TEST(what_happened_and_what_happens)
{
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    tzset();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *line = cases[i].line;
        now_set_for_test(1, UINT64_C(1795692301) * 1000000); /* 11:25:01 of that day */
        struct fake_run run =
            fake_lbctl(cases[i].turns, 1, line[0], line[1], line[2], line[3], NULL);
        now_set_for_test(0, 0);
        ck_assert_msg(strcmp(run.out, cases[i].out) == 0, "case %zu:\n%s%s", i, run.out, run.err);
        ck_assert_str_eq(run.err, "");
        ck_assert_int_eq(run.code, CTL_OK);
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(types_are_those_of_lbd)
{
    size_t count = 0;
    while (cmd_events_types[count] != NULL) {
        count++;
    }
    ck_assert_uint_eq(count, events_type_count());
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(cmd_events_types[i], events_type_word(i));
    }
}
END_TEST

UNIT_TESTS("cmd_events", what_happened_and_what_happens, types_are_those_of_lbd)
