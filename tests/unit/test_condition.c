#include "lbd/snapshot/condition.h"
#include "tests/unit/unit.h"

START_TEST(time_moves_with_the_status_only)
{
    struct condition condition = {0};
    ck_assert(condition_note(&condition, false, 10)); /* the first is news, whatever it says */
    ck_assert_uint_eq(condition.since_wall_us, 10);
    ck_assert(!condition_note(&condition, false, 20));
    ck_assert_uint_eq(condition.since_wall_us, 10);
    ck_assert(condition_note(&condition, true, 30));
    ck_assert(!condition_note(&condition, true, 40));
    ck_assert_uint_eq(condition.since_wall_us, 30);
    ck_assert(condition.status);
}
END_TEST

UNIT_TESTS("condition", time_moves_with_the_status_only)
