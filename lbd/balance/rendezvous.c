#include "lbd/balance/rendezvous.h"

#include <math.h>

#include "lbd/base/hash.h"

uint64_t rendezvous_key(struct slice name)
{
    /* for ever: another key sends every user elsewhere */
    static const uint64_t key[2] = {UINT64_C(0x6c62642072656e64), UINT64_C(0x657a766f75733031)};
    return hash_sip(name, key);
}

double rendezvous_score(uint64_t key, uint64_t seed, uint32_t weight)
{
    uint64_t mixed = hash_mix(hash_mix(key) ^ seed);
    /* 53 bits, in (0, 1) */
    double u = ((double)(mixed >> 11) + 0.5) * 0x1.0p-53;
    return -(double)weight / log(u);
}
