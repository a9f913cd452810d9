#include <assert.h>

#include "lbd/base/lease.h"
#include "tests/unit/unit.h"

struct shared {
    struct lease lease;
    unsigned released;
};

static void on_released(struct lease *lease)
{
    struct shared *shared = lease->arg;
    shared->released++;
}

START_TEST(is_released_by_the_last_one_out)
{
    static const struct {
        const char *steps;    /* h: hold, d: drop, r: retire */
        unsigned released[9]; /* after each step */
    } cases[] = {
        {"r", {1}},
        {"hdr", {0, 0, 1}},
        {"hrd", {0, 0, 1}},
        {"hhdrd", {0, 0, 0, 0, 1}},
        {"hdhdhrd", {0, 0, 0, 0, 0, 0, 1}}, /* falling to 0 before it is retired means nothing */
        {"hrhdd", {0, 0, 0, 0, 1}},         /* who holds may hold once more */
        {"hhhrddd", {0, 0, 0, 0, 0, 0, 1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct shared shared = {0};
        lease_init(&shared.lease, on_released, &shared);
        for (size_t s = 0; cases[i].steps[s] != '\0'; s++) {
            if (cases[i].steps[s] == 'h') {
                lease_hold(&shared.lease);
            } else if (cases[i].steps[s] == 'd') {
                lease_drop(&shared.lease);
            } else {
                lease_retire(&shared.lease);
            }
            ck_assert_msg(shared.released == cases[i].released[s], "%s: step %zu", cases[i].steps,
                          s);
        }
    }
}
END_TEST

START_TEST(leases_of_two_workers_share_no_cache_line)
{
    struct shared shared[2];
    ck_assert_uint_eq(sizeof(struct lease) % LB_CACHE_LINE, 0);
    ck_assert_uint_eq((uintptr_t)&shared[1].lease % LB_CACHE_LINE, 0);
}
END_TEST

UNIT_TESTS("lease", is_released_by_the_last_one_out, leases_of_two_workers_share_no_cache_line)
