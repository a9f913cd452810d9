#include "lbd/base/random.h"
#include "tests/unit/unit.h"

START_TEST(a_seed_gives_its_sequence)
{
    struct random a;
    struct random b;
    struct random c;
    random_seed_with(&a, 1);
    random_seed_with(&b, 1);
    random_seed_with(&c, 2);
    unsigned same = 0;
    for (size_t i = 0; i < 1000; i++) {
        uint64_t number = random_u64(&a);
        ck_assert_uint_eq(number, random_u64(&b));
        same += number == random_u64(&c);
    }
    ck_assert_uint_eq(same, 0);
}
END_TEST

START_TEST(below_is_even)
{
    static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64, 100};
    struct random random;
    random_seed_with(&random, 7);
    for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        unsigned seen[100] = {0};
        for (size_t i = 0; i < bounds[b] * 1000U; i++) {
            uint32_t number = random_below(&random, bounds[b]);
            ck_assert_uint_lt(number, bounds[b]);
            seen[number]++;
        }
        for (size_t i = 0; i < bounds[b]; i++) {
            ck_assert_msg(seen[i] > 800 && seen[i] < 1200, "%zu of %u came %u times", i,
                          (unsigned)bounds[b], seen[i]);
        }
    }
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_uint_lt(random_below(&random, UINT32_C(0xc0000000)), UINT32_C(0xc0000000));
    }
}
END_TEST

START_TEST(bytes_differ_each_time)
{
    unsigned char a[64] = {0};
    unsigned char b[64] = {0};
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    unsigned same = 0;
    for (size_t i = 0; i < sizeof(a); i++) {
        same += a[i] == b[i];
    }
    ck_assert_uint_lt(same, 16);
    struct random one;
    struct random two;
    random_seed(&one);
    random_seed(&two);
    ck_assert(random_u64(&one) != random_u64(&two));
}
END_TEST

UNIT_TESTS("random", a_seed_gives_its_sequence, below_is_even, bytes_differ_each_time)
