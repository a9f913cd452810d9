#include <string.h>

#include "ctl/listing.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define SERVERS(servers)                                                                           \
    {                                                                                              \
        "GET /v1/pools?defaults=true", FAKE_JSON("{\"web\":{\"servers\":{" servers "}}}")          \
    }
#define STATUS(servers)                                                                            \
    {                                                                                              \
        "GET /v1/status", FAKE_JSON("{\"pools\":{\"web\":{\"servers\":{" servers "}}}}")           \
    }
#define NOW                                                                                        \
    {                                                                                              \
        "GET /v1/events?types=daemon.drain&limit=4096", FAKE_JSON("{\"events\":[],\"next\":7}")    \
    }
#define EVENTS(from, to, events)                                                                   \
    {                                                                                              \
        "GET /v1/events?since=" from "&wait=30s",                                                  \
            FAKE_JSON("{\"events\":[" events "],\"next\":" to "}")                                 \
    }
#define A "\"a\":{\"address\":\"x:1\",\"weight\":100}"
#define B "\"b\":{\"address\":\"x:2\",\"weight\":100}"
#define IS(health, connections)                                                                    \
    "\"a\":{\"health\":\"" health "\",\"admin\":\"ready\",\"connections\":" connections "}"
#define DENIED FAKE_PROBLEM("403 Forbidden", "{\"title\":\"No more\"}")

START_TEST(only_what_has_changed_is_shown_again)
{
    static const struct fake_turn turns[] = {
        SERVERS(A),
        STATUS(IS("up", "1")),
        NOW,
        SERVERS(A),
        STATUS(IS("up", "2")), /* nothing but a count */
        EVENTS("7", "9", "{},{}"),
        SERVERS(A "," B),
        STATUS(IS("down", "3")),
        EVENTS("9", "9", ""), /* nothing happened */
        EVENTS("9", "10", "{}"),
        SERVERS(B),
        STATUS("\"b\":{}"),
        {"GET /v1/events?since=10&wait=30s", DENIED},
        {"GET /v1/events?types=daemon.drain&limit=4096", DENIED},
        {"GET /v1/events?limit=1", DENIED}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "get", "servers", "--watch", NULL);
    ck_assert_str_eq(run.out, "NAME   ADDRESS  HEALTH  ADMIN  WEIGHT  IN-USE\n"
                              "web/a  x:1      up      ready     100       1\n"
                              "web/a  x:1      down    ready     100       3\n"
                              "web/b  x:2      -       -         100       -\n"
                              "web/a  removed\n");
    ck_assert_str_eq(run.err, "lbctl: No more\n");
    ck_assert_int_eq(run.code, CTL_DENIED);
    fake_run_fini(&run);
}
END_TEST

START_TEST(events_that_are_gone_are_made_up_for)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/routes", FAKE_JSON("{\"r\":{\"priority\":1}}")},
        NOW,
        {"GET /v1/routes", FAKE_JSON("{\"r\":{\"priority\":1}}")},
        {"GET /v1/events?since=7&wait=30s", FAKE_PROBLEM("410 Gone", "{\"title\":\"gone\"}")},
        NOW,
        {"GET /v1/routes", FAKE_JSON("{\"r\":{\"priority\":2}}")},
        {"GET /v1/events?since=7&wait=30s", DENIED},
        {"GET /v1/events?types=daemon.drain&limit=4096", DENIED},
        {"GET /v1/events?limit=1", DENIED}};
    struct fake_run run =
        fake_lbctl(turns, ARRAY_LEN(turns), "get", "routes", "-w", "-ojson", NULL);
    ck_assert_str_eq(run.out, "{\"name\":\"r\",\"priority\":1}\n{\"name\":\"r\",\"priority\":2}\n");
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("listing", only_what_has_changed_is_shown_again, events_that_are_gone_are_made_up_for)
