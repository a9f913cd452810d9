#include "lbd/base/hash.h"

#include <pthread.h>

#include "lbd/base/random.h"

static inline uint64_t load_u64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value; /* Linux on little-endian machines; a big-endian one hashes differently, no harm
                   */
}

/* The last 0-7 bytes as the low bytes of a number. */
static uint64_t load_tail(const char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return value;
}

static inline uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64U - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v); /* SipHash-1-3: one round per word, three at the end */
    v[0] ^= word;
}

uint64_t hash_sip(struct slice s, const uint64_t key[2])
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        sip_word(v, load_u64(s.ptr + at));
    }
    sip_word(v, load_tail(s.len != at ? s.ptr + at : "", s.len - at) | (uint64_t)s.len << 56U);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t process_key[2];

static void make_process_key(void)
{
    random_bytes(process_key, sizeof(process_key));
}

const uint64_t *hash_process_key(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_process_key);
    return process_key;
}

uint64_t hash_mix(uint64_t value)
{
    /* the finaliser of splitmix64 (Steele, Lea, Flood) */
    value ^= value >> 30U;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27U;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31U;
}

/* Both halves of the 128-bit product: every bit of the result depends on every bit of both. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64U);
}

uint64_t hash_fast(struct slice s, uint64_t seed)
{
    const uint64_t k0 = UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t k1 = UINT64_C(0xd1b54a32d192ed03);
    uint64_t state = seed ^ k0;
    size_t at = 0;
    for (; s.len - at >= 16; at += 16) {
        state = fold(load_u64(s.ptr + at) ^ k1, load_u64(s.ptr + at + 8) ^ state);
    }
    if (s.len - at >= 8) {
        state = fold(load_u64(s.ptr + at) ^ k1, state ^ k0);
        at += 8;
    }
    uint64_t tail = load_tail(s.len != at ? s.ptr + at : "", s.len - at);
    return hash_mix(fold(tail ^ k1, state ^ (uint64_t)s.len));
}
