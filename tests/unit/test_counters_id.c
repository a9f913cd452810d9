#include "lbd/stats/counters_id.h"
#include "tests/unit/unit.h"

START_TEST(the_last_one_gives_the_block_back)
{
    counters_init(1);
    struct counters_id *pool = counters_id_new(COUNTERS_POOL);
    ck_assert_uint_ne(pool->id, 0);
    ck_assert_ptr_eq(counters_id_ref(pool), pool);
    counters_id_unref(pool);
    ck_assert_uint_eq(counters_pending(), 0); /* somebody still counts */
    counters_id_unref(pool);
    ck_assert_uint_eq(counters_pending(), 1);
    counters_id_unref(NULL);
    counters_sweep(counters_worker(0));
    counters_fini();
}
END_TEST

UNIT_TESTS("counters_id", the_last_one_gives_the_block_back)
