#include "lbd/control/control_keys.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000)

START_TEST(failures_make_it_sooner_and_then_less_often)
{
    static const struct {
        uint32_t failures;
        uint64_t want_s;
    } cases[] = {{0, 300}, {1, 1},    {2, 2},    {3, 4},
                 {9, 256}, {10, 300}, {19, 300}, {UINT32_MAX, 300}};
    struct random random;
    random_seed(&random);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int n = 0; n < 1000; n++) {
            uint64_t want = cases[i].want_s * SECOND;
            uint64_t got = control_keys_pause_us(&random, cases[i].failures, 300 * SECOND);
            unit_expect(got >= want - want / 10 && got <= want + want / 10, "%u failures: %lu us",
                        cases[i].failures, (unsigned long)got);
        }
    }
    ck_assert_uint_le(control_keys_pause_us(&random, 0, 86400 * SECOND), 95040 * SECOND);
    ck_assert_uint_ge(control_keys_pause_us(&random, 5, SECOND), SECOND - SECOND / 10);
    ck_assert_uint_le(control_keys_pause_us(&random, 5, SECOND), SECOND + SECOND / 10);
}
END_TEST

UNIT_TESTS("control_keys", failures_make_it_sooner_and_then_less_often)
