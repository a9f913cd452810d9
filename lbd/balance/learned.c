#include "lbd/balance/learned.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lbd/base/compiler.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

enum { STRIPES_MAX = 64, NONE = 0 /* entries are counted from 1 */ };

struct entry {
    uint64_t key;
    uint64_t id;
    uint32_t used_s;
    uint32_t next; /* of the bucket; of free ones */
    uint32_t newer;
    uint32_t older;
};

struct stripe {
    pthread_mutex_t lock;
    struct entry *entries; /* [0] is nobody */
    uint32_t *buckets;
    uint32_t size; /* entries */
    uint32_t mask; /* of buckets */
    uint32_t made; /* entries that were ever used */
    uint32_t free;
    uint32_t newest;
    uint32_t oldest;
    _Atomic uint32_t count;
    _Atomic uint64_t evicted;
} LB_ALIGNED;

struct learned {
    _Atomic uint32_t refs;
    uint32_t entries;
    uint32_t ttl_s;
    uint32_t stripe_count; /* a power of two */
    struct stripe stripes[STRIPES_MAX];
};

struct learned *learned_new(uint32_t entries, uint32_t ttl_s)
{
    struct learned *learned = mem_zero_aligned(sizeof(*learned));
    atomic_init(&learned->refs, 1);
    learned->entries = entries;
    learned->ttl_s = ttl_s;
    learned->stripe_count = 1;
    while (learned->stripe_count < STRIPES_MAX && learned->stripe_count * LEARNED_MIN < entries) {
        learned->stripe_count *= 2;
    }
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        struct stripe *stripe = &learned->stripes[i];
        (void)pthread_mutex_init(&stripe->lock, NULL);
        stripe->size = (entries + learned->stripe_count - 1) / learned->stripe_count;
        uint32_t buckets = 16;
        while (buckets < stripe->size) {
            buckets *= 2;
        }
        stripe->mask = buckets - 1;
        stripe->entries = mem_zero((size_t)stripe->size + 1, sizeof(*stripe->entries));
        stripe->buckets = mem_zero(buckets, sizeof(*stripe->buckets));
    }
    return learned;
}

struct learned *learned_ref(struct learned *learned)
{
    (void)atomic_fetch_add_explicit(&learned->refs, 1, memory_order_relaxed);
    return learned;
}

void learned_unref(struct learned *learned)
{
    if (learned == NULL ||
        atomic_fetch_sub_explicit(&learned->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        free(learned->stripes[i].entries);
        free(learned->stripes[i].buckets);
        (void)pthread_mutex_destroy(&learned->stripes[i].lock);
    }
    free(learned);
}

bool learned_is_like(const struct learned *learned, uint32_t entries, uint32_t ttl_s)
{
    return learned->entries == entries && learned->ttl_s == ttl_s;
}

uint64_t learned_key(struct slice session)
{
    return hash_sip(session, hash_process_key());
}

/* -- a stripe, locked -- */

static struct stripe *lock(struct learned *learned, uint64_t key)
{
    struct stripe *stripe = &learned->stripes[(key >> 32U) & (learned->stripe_count - 1)];
    (void)pthread_mutex_lock(&stripe->lock);
    return stripe;
}

static void unlock(struct stripe *stripe)
{
    (void)pthread_mutex_unlock(&stripe->lock);
}

static void count(struct stripe *stripe, int32_t by)
{
    uint32_t now = atomic_load_explicit(&stripe->count, memory_order_relaxed);
    atomic_store_explicit(&stripe->count, now + (uint32_t)by, memory_order_relaxed);
}

static void leave_order(struct stripe *stripe, uint32_t at)
{
    struct entry *entry = &stripe->entries[at];
    *(entry->newer != NONE ? &stripe->entries[entry->newer].older : &stripe->newest) = entry->older;
    *(entry->older != NONE ? &stripe->entries[entry->older].newer : &stripe->oldest) = entry->newer;
}

static void become_newest(struct stripe *stripe, uint32_t at)
{
    struct entry *entry = &stripe->entries[at];
    entry->newer = NONE;
    entry->older = stripe->newest;
    *(stripe->newest != NONE ? &stripe->entries[stripe->newest].newer : &stripe->oldest) = at;
    stripe->newest = at;
}

/* Where the number of the entry of this key stands, or would. */
static uint32_t *place_of(struct stripe *stripe, uint64_t key)
{
    uint32_t *place = &stripe->buckets[(uint32_t)key & stripe->mask];
    while (*place != NONE && stripe->entries[*place].key != key) {
        place = &stripe->entries[*place].next;
    }
    return place;
}

static void forget(struct stripe *stripe, uint32_t *place)
{
    uint32_t at = *place;
    struct entry *entry = &stripe->entries[at];
    *place = entry->next;
    leave_order(stripe, at);
    entry->next = stripe->free;
    stripe->free = at;
    count(stripe, -1);
}

static bool is_over(const struct learned *learned, const struct entry *entry, uint32_t now_s)
{
    return now_s >= entry->used_s && now_s - entry->used_s > learned->ttl_s;
}

static uint32_t take_free(struct learned *learned, struct stripe *stripe, uint32_t now_s)
{
    if (stripe->free == NONE && stripe->made < stripe->size) {
        return ++stripe->made;
    }
    if (stripe->free == NONE) {
        if (!is_over(learned, &stripe->entries[stripe->oldest], now_s)) {
            (void)atomic_fetch_add_explicit(&stripe->evicted, 1, memory_order_relaxed);
        }
        forget(stripe, place_of(stripe, stripe->entries[stripe->oldest].key));
    }
    uint32_t at = stripe->free;
    stripe->free = stripe->entries[at].next;
    return at;
}

/* -- workers -- */

bool learned_find(struct learned *learned, uint64_t key, uint32_t now_s, uint64_t *id)
{
    struct stripe *stripe = lock(learned, key);
    uint32_t *place = place_of(stripe, key);
    uint32_t at = *place;
    if (at != NONE && is_over(learned, &stripe->entries[at], now_s)) {
        forget(stripe, place);
        at = NONE;
    }
    if (at != NONE) {
        *id = stripe->entries[at].id;
        stripe->entries[at].used_s = now_s;
        leave_order(stripe, at);
        become_newest(stripe, at);
    }
    unlock(stripe);
    return at != NONE;
}

void learned_put(struct learned *learned, uint64_t key, uint64_t id, uint32_t now_s)
{
    struct stripe *stripe = lock(learned, key);
    uint32_t at = *place_of(stripe, key);
    if (at != NONE) {
        leave_order(stripe, at);
    } else {
        at = take_free(learned, stripe, now_s);
        uint32_t *bucket = &stripe->buckets[(uint32_t)key & stripe->mask];
        stripe->entries[at].key = key;
        stripe->entries[at].next = *bucket;
        *bucket = at;
        count(stripe, 1);
    }
    stripe->entries[at].id = id;
    stripe->entries[at].used_s = now_s;
    become_newest(stripe, at);
    unlock(stripe);
}

/* -- control -- */

void learned_copy(struct learned *to, struct learned *from, uint32_t now_s)
{
    for (uint32_t i = 0; i < from->stripe_count; i++) {
        struct stripe *stripe = &from->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        for (uint32_t at = stripe->oldest; at != NONE; at = stripe->entries[at].newer) {
            const struct entry *entry = &stripe->entries[at];
            if (!is_over(from, entry, now_s)) {
                learned_put(to, entry->key, entry->id, entry->used_s);
            }
        }
        unlock(stripe);
    }
}

uint32_t learned_count(const struct learned *learned)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        sum += atomic_load_explicit(&learned->stripes[i].count, memory_order_relaxed);
    }
    return sum;
}

uint64_t learned_evicted(const struct learned *learned)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        sum += atomic_load_explicit(&learned->stripes[i].evicted, memory_order_relaxed);
    }
    return sum;
}

uint32_t learned_list(struct learned *learned, const uint64_t *of, uint32_t now_s,
                      struct learned_row *rows, uint32_t max)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        struct stripe *stripe = &learned->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        for (uint32_t at = stripe->newest; at != NONE && found < max;
             at = stripe->entries[at].older) {
            const struct entry *entry = &stripe->entries[at];
            if ((of == NULL || entry->id == *of) && !is_over(learned, entry, now_s)) {
                rows[found++] = (struct learned_row){
                    .key = entry->key,
                    .id = entry->id,
                    .idle_s = now_s > entry->used_s ? now_s - entry->used_s : 0,
                };
            }
        }
        unlock(stripe);
    }
    return found;
}

uint32_t learned_forget(struct learned *learned, uint64_t key)
{
    struct stripe *stripe = lock(learned, key);
    uint32_t *place = place_of(stripe, key);
    bool is_there = *place != NONE;
    if (is_there) {
        forget(stripe, place);
    }
    unlock(stripe);
    return is_there ? 1 : 0;
}

uint32_t learned_forget_all(struct learned *learned, const uint64_t *of)
{
    uint32_t forgotten = 0;
    for (uint32_t i = 0; i < learned->stripe_count; i++) {
        struct stripe *stripe = &learned->stripes[i];
        (void)pthread_mutex_lock(&stripe->lock);
        uint32_t at = stripe->newest;
        while (at != NONE) {
            uint32_t older = stripe->entries[at].older;
            if (of == NULL || stripe->entries[at].id == *of) {
                forget(stripe, place_of(stripe, stripe->entries[at].key));
                forgotten++;
            }
            at = older;
        }
        unlock(stripe);
    }
    return forgotten;
}
