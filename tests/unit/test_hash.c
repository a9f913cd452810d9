#include "lbd/base/compiler.h"
#include "lbd/base/hash.h"
#include "tests/unit/unit.h"

/* Bits that differ, summed over changes of one bit: near 32 when a hash spreads well. */
static double spread(uint64_t (*hash)(struct slice s))
{
    char text[40];
    unsigned long flips = 0;
    unsigned long count = 0;
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)(i * 31 + len);
        }
        uint64_t before = hash(slice_of(text, len));
        for (size_t bit = 0; bit < len * 8; bit++) {
            text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
            uint64_t after = hash(slice_of(text, len));
            ck_assert_msg(before != after, "bit %zu of %zu bytes does not count", bit, len);
            flips += (unsigned long)__builtin_popcountll(before ^ after);
            count++;
            text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        }
    }
    return (double)flips / (double)count;
}

static uint64_t fast(struct slice s)
{
    return hash_fast(s, 1);
}

static uint64_t sip(struct slice s)
{
    return hash_sip(s, (const uint64_t[2]){1, 2});
}

START_TEST(one_bit_changes_half_of_the_hash)
{
    ck_assert_double_gt(spread(fast), 31.5);
    ck_assert_double_lt(spread(fast), 32.5);
    ck_assert_double_gt(spread(sip), 31.5);
    ck_assert_double_lt(spread(sip), 32.5);
}
END_TEST

START_TEST(lengths_keys_and_seeds_count)
{
    static const char zeros[64];
    uint64_t seen[130];
    size_t count = 0;
    for (size_t len = 0; len <= sizeof(zeros); len++) {
        seen[count++] = hash_fast(slice_of(zeros, len), 0);
        seen[count++] = hash_sip(slice_of(zeros, len), (const uint64_t[2]){0, 0});
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t other = 0; other < i; other++) {
            ck_assert_msg(seen[i] != seen[other], "hashes %zu and %zu are equal", i, other);
        }
    }
    ck_assert(hash_fast(SLICE("a"), 1) != hash_fast(SLICE("a"), 2));
    ck_assert(hash_sip(SLICE("a"), (const uint64_t[2]){0, 1}) !=
              hash_sip(SLICE("a"), (const uint64_t[2]){1, 0}));
    ck_assert(hash_fast(SLICE_NONE, 1) == hash_fast(SLICE(""), 1));
    ck_assert(hash_sip(SLICE_NONE, seen) == hash_sip(SLICE(""), seen));
}
END_TEST

/* Written from the paper, bytewise and without shortcuts: the reference for hash_sip. */
static uint64_t rotl(uint64_t x, unsigned b)
{
    return (x << b) | (x >> (64U - b));
}

static uint64_t reference(const unsigned char *in, size_t len, uint64_t k0, uint64_t k1)
{
    static const char constant[] = "somepseudorandomlygeneratedbytes";
    uint64_t v[4];
    for (size_t i = 0; i < 4; i++) {
        v[i] = 0;
        for (size_t b = 0; b < 8; b++) {
            v[i] = v[i] << 8U | (unsigned char)constant[8 * i + b];
        }
        v[i] ^= i % 2 == 0 ? k0 : k1;
    }
    size_t words = len / 8 + 1;
    for (size_t w = 0; w < words + 3; w++) {
        uint64_t m = 0;
        if (w < words) {
            for (size_t b = 0; b < 8; b++) {
                size_t at = 8 * w + b;
                unsigned char byte = at < len ? in[at] : 0;
                if (w == words - 1 && b == 7) {
                    byte = (unsigned char)len;
                }
                m |= (uint64_t)byte << 8 * b;
            }
        } else if (w == words) {
            v[2] ^= 0xff;
        }
        v[3] ^= m;
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotl(v[1], 13);
        v[3] = rotl(v[3], 16);
        v[1] ^= v[0];
        v[3] ^= v[2];
        v[0] = rotl(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotl(v[1], 17);
        v[3] = rotl(v[3], 21);
        v[1] ^= v[2];
        v[3] ^= v[0];
        v[2] = rotl(v[2], 32);
        v[0] ^= m;
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

START_TEST(sip_is_siphash_1_3)
{
    unsigned char text[80];
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char)(i * 7);
    }
    for (size_t len = 0; len <= sizeof(text); len++) {
        ck_assert_msg(hash_sip(slice_of((const char *)text, len), key) ==
                          reference(text, len, key[0], key[1]),
                      "length %zu", len);
    }
}
END_TEST

START_TEST(the_process_key_is_made_once)
{
    const uint64_t *key = hash_process_key();
    uint64_t copy[2] = {key[0], key[1]};
    ck_assert(copy[0] != 0 || copy[1] != 0);
    ck_assert_uint_eq(hash_process_key()[0], copy[0]);
    ck_assert_uint_eq(hash_process_key()[1], copy[1]);
}
END_TEST

START_TEST(mix_spreads_small_numbers)
{
    unsigned buckets[64] = {0};
    for (uint64_t i = 0; i < 64000; i++) {
        buckets[hash_mix(i) % 64]++;
    }
    for (size_t i = 0; i < 64; i++) {
        ck_assert_msg(buckets[i] > 800 && buckets[i] < 1200, "bucket %zu holds %u", i, buckets[i]);
    }
}
END_TEST

UNIT_TESTS("hash", one_bit_changes_half_of_the_hash, lengths_keys_and_seeds_count,
           sip_is_siphash_1_3, the_process_key_is_made_once, mix_spreads_small_numbers)
