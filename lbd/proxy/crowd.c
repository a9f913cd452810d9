/* crowd - see crowd.h. */
#include "lbd/proxy/crowd.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

#define PARTS     16U
#define FIRST_LEN 64U /* places of a part, doubled as it fills */

/* Of IPv6 the network; of IPv4 the address, behind a mark that no network has. */
struct key {
    uint64_t bits;
    bool is_v4;
};

struct place {
    struct key key;
    uint32_t count; /* 0: free */
};

struct part {
    LB_ALIGNED pthread_mutex_t lock;
    struct place *places; /* open addressing, one after the other */
    uint32_t len;         /* a power of two; 0: none yet */
    uint32_t used;
};

struct crowd {
    struct part parts[PARTS];
};

/* False: nobody's. */
static bool key_of(const struct addr_small *address, struct key *key)
{
    *key = (struct key){0};
    if (address->family == AF_INET) {
        key->is_v4 = true;
        memcpy(&key->bits, address->ip + 12, 4); /* behind ::ffff: */
    } else if (address->family == AF_INET6) {
        memcpy(&key->bits, address->ip, 8);
    } else {
        return false;
    }
    return true;
}

static uint64_t hash_of(const struct key *key)
{
    char bytes[sizeof(key->bits) + 1];
    memcpy(bytes, &key->bits, sizeof(key->bits));
    bytes[sizeof(key->bits)] = key->is_v4 ? 4 : 6;
    return hash_sip(slice_of(bytes, sizeof(bytes)), hash_process_key());
}

static bool is_same(const struct key *a, const struct key *b)
{
    return a->bits == b->bits && a->is_v4 == b->is_v4;
}

/* Where it is, or would be. */
static struct place *find(const struct part *part, const struct key *key, uint64_t hash)
{
    uint32_t at = (uint32_t)(hash >> 8U) & (part->len - 1);
    while (part->places[at].count != 0 && !is_same(&part->places[at].key, key)) {
        at = (at + 1) & (part->len - 1);
    }
    return &part->places[at];
}

static void grow(struct part *part)
{
    struct part larger = *part;
    larger.len = part->len != 0 ? part->len * 2 : FIRST_LEN;
    larger.places = mem_zero(larger.len, sizeof(*larger.places));
    for (uint32_t i = 0; i < part->len; i++) {
        if (part->places[i].count != 0) {
            *find(&larger, &part->places[i].key, hash_of(&part->places[i].key)) = part->places[i];
        }
    }
    free(part->places);
    part->places = larger.places;
    part->len = larger.len;
}

/* Those behind it may have been pushed there by it: each is put in anew. */
static void vacate(struct part *part, struct place *place)
{
    uint32_t at = (uint32_t)(place - part->places);
    place->count = 0;
    part->used--;
    for (;;) {
        at = (at + 1) & (part->len - 1);
        struct place moved = part->places[at];
        if (moved.count == 0) {
            return;
        }
        part->places[at].count = 0;
        *find(part, &moved.key, hash_of(&moved.key)) = moved;
    }
}

struct crowd *crowd_new(void)
{
    struct crowd *crowd = mem_zero_aligned(sizeof(*crowd));
    for (size_t i = 0; i < PARTS; i++) {
        (void)pthread_mutex_init(&crowd->parts[i].lock, NULL);
    }
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    if (crowd == NULL) {
        return;
    }
    for (size_t i = 0; i < PARTS; i++) {
        free(crowd->parts[i].places);
        (void)pthread_mutex_destroy(&crowd->parts[i].lock);
    }
    free(crowd);
}

bool crowd_join(struct crowd *crowd, const struct addr_small *address, uint32_t max)
{
    struct key key;
    if (!key_of(address, &key)) {
        return true;
    }
    uint64_t hash = hash_of(&key);
    struct part *part = &crowd->parts[hash % PARTS];
    bool joined = true;
    (void)pthread_mutex_lock(&part->lock);
    if (part->used * 2 >= part->len) {
        grow(part);
    }
    struct place *place = find(part, &key, hash);
    if (place->count == 0) {
        *place = (struct place){.key = key, .count = 1};
        part->used++;
    } else if (max == 0 || place->count < max) {
        place->count++;
    } else {
        joined = false;
    }
    (void)pthread_mutex_unlock(&part->lock);
    return joined;
}

void crowd_leave(struct crowd *crowd, const struct addr_small *address)
{
    struct key key;
    if (!key_of(address, &key)) {
        return;
    }
    uint64_t hash = hash_of(&key);
    struct part *part = &crowd->parts[hash % PARTS];
    (void)pthread_mutex_lock(&part->lock);
    struct place *place = part->len != 0 ? find(part, &key, hash) : NULL;
    assert(place != NULL && place->count > 0);
    if (place->count == 1) {
        vacate(part, place);
    } else {
        place->count--;
    }
    (void)pthread_mutex_unlock(&part->lock);
}

uint32_t crowd_count(struct crowd *crowd, const struct addr_small *address)
{
    struct key key;
    if (!key_of(address, &key)) {
        return 0;
    }
    uint64_t hash = hash_of(&key);
    struct part *part = &crowd->parts[hash % PARTS];
    (void)pthread_mutex_lock(&part->lock);
    uint32_t count = part->len != 0 ? find(part, &key, hash)->count : 0;
    (void)pthread_mutex_unlock(&part->lock);
    return count;
}
