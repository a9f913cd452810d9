#include "lbd/control/control_ocsp.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000)
#define HOUR   (3600 * SECOND)

static struct {
    uint32_t failures;
    uint64_t wait_us;
    uint64_t want_us;
} cases[] = {
    {0, 84 * HOUR, 24 * HOUR},   /* a week's answer: what is revoked is learnt within a day */
    {0, 6 * HOUR, 6 * HOUR},     /* half of its time */
    {0, 0, 60 * SECOND},         /* a responder that gives no time is not asked all the time */
    {1, 84 * HOUR, 10 * SECOND}, /* failures come closer together than answers */
    {2, 0, 20 * SECOND},         {5, 0, 160 * SECOND}, {9, 0, 2560 * SECOND}, {10, 0, HOUR},
    {4000000000U, 0, HOUR},
};

START_TEST(asks_again_in_good_time)
{
    struct random random;
    random_seed_with(&random, 7);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        for (int n = 0; n < 1000; n++) {
            uint64_t pause = control_ocsp_pause_us(&random, cases[i].failures, cases[i].wait_us);
            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
        }
        unit_expect(least >= cases[i].want_us - cases[i].want_us / 10, "%zu: %llu", i,
                    (unsigned long long)least);
        unit_expect(most <= cases[i].want_us + cases[i].want_us / 10 + SECOND, "%zu: %llu", i,
                    (unsigned long long)most);
        unit_expect(most > least, "%zu: many certificates at the same moment", i);
    }
}
END_TEST

UNIT_TESTS("control_ocsp", asks_again_in_good_time)
