#include "lbd/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lbd/base/hash.h"

void random_bytes(void *out, size_t len)
{
    unsigned char *at = out;
    while (len != 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            (void)fprintf(stderr, "lbd: getrandom: %s\n", strerror(errno));
            abort();
        }
        at += got;
        len -= (size_t)got;
    }
}

void random_seed(struct random *random)
{
    do {
        random_bytes(random->state, sizeof(random->state));
        /* all zero is the one state the generator never leaves */
    } while ((random->state[0] | random->state[1] | random->state[2] | random->state[3]) == 0);
}

void random_seed_with(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        random->state[i] = hash_mix(seed);
    }
}

static inline uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64U - by);
}

/* xoshiro256** (Blackman, Vigna: "Scrambled linear pseudorandom number generators") */
uint64_t random_u64(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17U;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    /* Lemire: the product's high half is the answer, its low half says whether it is unbiased */
    uint64_t product = (random_u64(random) >> 32U) * bound;
    if ((uint32_t)product < bound) {
        uint32_t unfair = -bound % bound;
        while ((uint32_t)product < unfair) {
            product = (random_u64(random) >> 32U) * bound;
        }
    }
    return (uint32_t)(product >> 32U);
}
