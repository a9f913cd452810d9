#include "lbd/upstream/health.h"
#include "tests/unit/unit.h"

static const struct {
    const char *probes; /* '.' passes, 'x' fails */
    uint32_t rise;
    uint32_t fall;
    enum server_health want;
    uint32_t changes;
} cases[] = {
    {"", 2, 3, SERVER_STARTING, 0},    {".", 2, 3, SERVER_UP, 1}, /* the first result decides */
    {"x", 2, 3, SERVER_DOWN, 1},                                  /* either way */
    {".xx.xx", 2, 3, SERVER_UP, 1},    /* a success forgets the failures before it */
    {".xxx", 2, 3, SERVER_DOWN, 2},    /* three in a row take it out */
    {".xxx.x.", 2, 3, SERVER_DOWN, 2}, /* two must pass in a row to return */
    {".xxx..", 2, 3, SERVER_UP, 3},    {".x", 1, 1, SERVER_DOWN, 2},
    {".x.", 1, 1, SERVER_UP, 3},       {".x.", 0, 0, SERVER_UP, 3}, /* 0 counts as 1 */
    {"x....xx.", 4, 3, SERVER_UP, 2},
};

START_TEST(results_become_a_verdict)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct health health;
        health_init(&health, cases[i].rise, cases[i].fall);
        uint32_t changes = 0;
        for (const char *probe = cases[i].probes; *probe != '\0'; probe++) {
            enum server_health before = health.state;
            bool changed = health_note(&health, *probe == '.');
            ck_assert_int_eq(changed, before != health.state);
            changes += changed;
        }
        ck_assert_msg(health.state == cases[i].want && changes == cases[i].changes,
                      "%s: %s after %u changes", cases[i].probes, server_health_word(health.state),
                      changes);
    }
}
END_TEST

UNIT_TESTS("health", results_become_a_verdict)
