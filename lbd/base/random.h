/*
 * random - numbers nobody can guess, and numbers that are quick.
 *
 * Threads: random_bytes any; a struct random belongs to one thread.
 */
#ifndef LBD_BASE_RANDOM_H
#define LBD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256**-like state; seed it once per thread. */
struct random {
    uint64_t state[4];
};

/* From getrandom(2); ends the process when the kernel refuses. */
void random_bytes(void *out, size_t len);
void random_seed(struct random *random);                     /* from random_bytes */
void random_seed_with(struct random *random, uint64_t seed); /* for tests */
uint64_t random_u64(struct random *random);
/* Uniform in [0, bound), bound > 0. */
uint32_t random_below(struct random *random, uint32_t bound);

#endif
