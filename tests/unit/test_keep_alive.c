#include <string.h>

#include "lbd/upstream/keep_alive.h"
#include "tests/unit/unit.h"

#define S UINT64_C(1000000)

START_TEST(two_closes_that_agree_are_believed)
{
    static const struct {
        const char *what;
        struct {
            uint32_t idle_ms;
            uint64_t at_ms;
        } closes[4];
        uint32_t want_ms;
    } cases[] = {
        {"none", {{0}}, 0},
        {"one", {{5000, 10000}}, 0},
        {"two", {{5000, 10000}, {5100, 20000}}, 5000},
        {"the other way round", {{5100, 10000}, {5000, 20000}}, 5000},
        {"many at one moment", {{5000, 10000}, {5000, 10001}, {5000, 10400}}, 0},
        {"a restart, then one of its own", {{900, 10000}, {5000, 20000}}, 0},
        {"and another", {{900, 10000}, {5000, 20000}, {5000, 30000}}, 5000},
        {"in its own time each", {{900, 10000}, {5000, 20000}, {30000, 60000}}, 0},
        {"too short to be meant", {{20, 10000}, {20, 20000}, {20, 30000}}, 0},
        {"it was given more time",
         {{5000, 10000}, {5000, 20000}, {9000, 40000}, {9000, 60000}},
         9000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct keep_alive self;
        uint64_t now_us = 0;
        memset(&self, 0, sizeof(self));
        for (size_t j = 0; j < ARRAY_LEN(cases[i].closes); j++) {
            if (cases[i].closes[j].at_ms != 0) {
                now_us = cases[i].closes[j].at_ms * 1000;
                keep_alive_note_closed(&self, cases[i].closes[j].idle_ms, now_us);
            }
        }
        uint32_t got_ms = keep_alive_closes_ms(&self, now_us);
        ck_assert_msg(got_ms == cases[i].want_ms, "%s: %u ms", cases[i].what, got_ms);
    }
}
END_TEST

START_TEST(idle_connections_stay_below)
{
    struct keep_alive self;
    memset(&self, 0, sizeof(self));
    ck_assert_uint_eq(keep_alive_idle_ms(&self, 60000, S), 60000);
    keep_alive_note_told(&self, 5, S);
    ck_assert_uint_eq(keep_alive_idle_ms(&self, 60000, S), 4000);
    ck_assert_uint_eq(keep_alive_idle_ms(&self, 1000, S), 1000);
    keep_alive_note_told(&self, 0, S); /* says nothing */
    ck_assert_uint_eq(keep_alive_closes_ms(&self, S), 5000);
    /* what nobody confirms is forgotten */
    ck_assert_uint_eq(keep_alive_idle_ms(&self, 60000, 600 * S), 4000);
    ck_assert_uint_eq(keep_alive_idle_ms(&self, 60000, 602 * S), 60000);
}
END_TEST

START_TEST(the_header_is_read)
{
    static const struct {
        const char *value;
        uint32_t want;
    } cases[] = {
        {"timeout=5, max=100", 5},
        {"max=100,timeout=15", 15},
        {"Timeout=7", 7},
        {"timeout=0", 0},
        {"timeout=", 0},
        {"timeout=-5", 0},
        {"timeout=5s", 0},
        {"", 0},
        {"timeout", 0},
        {"xtimeout=5", 0},
        {"timeout=99999999999999999999", 0},
        {"timeout=86401", 0},
        {"timeout=86400", 86400},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t got = keep_alive_parse(slice_from(cases[i].value));
        ck_assert_msg(got == cases[i].want, "\"%s\": %u", cases[i].value, got);
    }
}
END_TEST

UNIT_TESTS("keep_alive", two_closes_that_agree_are_believed, idle_connections_stay_below,
           the_header_is_read)
