/*
 * mail_users_table - names to users, over all workers; see mail_users_inside.h.
 *
 * Threads: any; nothing waits or calls out under a lock, but what mail_users_visit is given.
 */
#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/proxy/mail_users_inside.h"

#define SLAB_BYTES ((size_t)64 * 1024)

enum { BUCKETS_MIN = 16, USER_SLAB_STEP = 8 };

/* -- memory -- */

static size_t bytes_of(size_t name_len)
{
    return offsetof(struct mail_user, name) + name_len;
}

/* NULL: the name is long. */
static struct slab *slab_of(struct mail_users *users, size_t name_len)
{
    size_t i =
        (bytes_of(name_len) + USER_SLAB_STEP - 1) / USER_SLAB_STEP - bytes_of(0) / USER_SLAB_STEP;
    return i < MAIL_USERS_SLABS ? &users->slabs[i] : NULL;
}

/* Zeroed. */
static struct mail_user *new_user(struct mail_users *users, struct slice name)
{
    struct slab *slab = slab_of(users, name.len);
    struct mail_user *user;
    if (slab == NULL) {
        user = mem_alloc(bytes_of(name.len));
    } else {
        (void)pthread_mutex_lock(&users->memory);
        user = slab_take(slab);
        (void)pthread_mutex_unlock(&users->memory);
        if (user == NULL) {
            mem_exhausted(bytes_of(name.len));
        }
    }
    memset(user, 0, bytes_of(0));
    user->name_len = (uint16_t)name.len;
    memcpy(user->name, name.ptr, name.len);
    return user;
}

static void free_user(struct mail_users *users, struct mail_user *user)
{
    struct slab *slab = slab_of(users, user->name_len);
    (void)atomic_fetch_sub_explicit(&user->place->users, 1, memory_order_relaxed);
    place_unref(user->place);
    place_unref(user->home);
    if (slab == NULL) {
        free(user);
        return;
    }
    (void)pthread_mutex_lock(&users->memory);
    slab_give(slab, user);
    (void)pthread_mutex_unlock(&users->memory);
}

struct mail_users *mail_users_new(void)
{
    struct mail_users *users = mem_zero_aligned(sizeof(*users));
    (void)pthread_mutex_init(&users->memory, NULL);
    for (size_t i = 0; i < MAIL_USERS_SLABS; i++) {
        slab_init(&users->slabs[i], (bytes_of(0) / USER_SLAB_STEP + i) * USER_SLAB_STEP,
                  SLAB_BYTES);
    }
    for (size_t i = 0; i < MAIL_USERS_STRIPES; i++) {
        struct mail_users_stripe *stripe = &users->stripes[i];
        (void)pthread_mutex_init(&stripe->lock, NULL);
        stripe->buckets = mem_zero(BUCKETS_MIN, sizeof(struct mail_user *));
        stripe->mask = BUCKETS_MIN - 1;
    }
    return users;
}

void mail_users_free(struct mail_users *users)
{
    if (users == NULL) {
        return;
    }
    for (size_t i = 0; i < MAIL_USERS_STRIPES; i++) {
        struct mail_users_stripe *stripe = &users->stripes[i];
        for (uint32_t b = 0; b <= stripe->mask; b++) {
            while (stripe->buckets[b] != NULL) {
                struct mail_user *user = stripe->buckets[b];
                stripe->buckets[b] = user->next;
                free_user(users, user);
            }
        }
        free(stripe->buckets);
        (void)pthread_mutex_destroy(&stripe->lock);
    }
    for (size_t i = 0; i < MAIL_USERS_SLABS; i++) {
        slab_fini(&users->slabs[i]);
    }
    (void)pthread_mutex_destroy(&users->memory);
    free(users);
}

/* -- the table -- */

static uint64_t hash_of(struct slice name)
{
    return hash_sip(name, hash_process_key());
}

/* What the stripe does not know of a hash. */
static uint32_t bucket_hash(uint64_t hash)
{
    return (uint32_t)(hash >> 32U);
}

void mail_users_spot_lock(struct mail_users_spot *spot, struct mail_users *users, struct slice name)
{
    uint64_t hash = hash_of(name);
    *spot = (struct mail_users_spot){.stripe = &users->stripes[hash & (MAIL_USERS_STRIPES - 1)],
                                     .name = name,
                                     .hash = bucket_hash(hash)};
    (void)pthread_mutex_lock(&spot->stripe->lock);
}

void mail_users_spot_unlock(struct mail_users_spot *spot)
{
    (void)pthread_mutex_unlock(&spot->stripe->lock);
}

static struct mail_user **bucket_of(const struct mail_users_stripe *stripe, uint32_t hash)
{
    return &stripe->buckets[hash & stripe->mask];
}

static struct mail_user **home_bucket(const struct mail_users_stripe *stripe,
                                      const struct mail_user *user)
{
    return bucket_of(stripe, bucket_hash(hash_of(mail_user_name(user))));
}

static bool is_of(const struct mail_user *user, const struct mail_users_spot *spot)
{
    return slice_eq(mail_user_name(user), spot->name);
}

struct mail_user *mail_users_next(const struct mail_users_spot *spot, struct mail_user *user)
{
    struct mail_user *at = user != NULL ? user->next : *bucket_of(spot->stripe, spot->hash);
    while (at != NULL && !is_of(at, spot)) {
        at = at->next;
    }
    return at;
}

static void grow(struct mail_users_stripe *stripe)
{
    uint32_t old_mask = stripe->mask;
    struct mail_user **old = stripe->buckets;
    stripe->mask = old_mask * 2 + 1;
    stripe->buckets = mem_zero((size_t)stripe->mask + 1, sizeof(struct mail_user *));
    for (uint32_t b = 0; b <= old_mask; b++) {
        struct mail_user *following = NULL;
        for (struct mail_user *user = old[b]; user != NULL; user = following) {
            struct mail_user **bucket = home_bucket(stripe, user);
            following = user->next;
            user->next = *bucket;
            *bucket = user;
        }
    }
    free(old);
}

struct mail_user *mail_users_add(struct mail_users *users, const struct mail_users_spot *spot,
                                 struct place *place)
{
    struct mail_users_stripe *stripe = spot->stripe;
    struct mail_user *user = new_user(users, spot->name);
    uint32_t count = atomic_load_explicit(&stripe->count, memory_order_relaxed) + 1;
    atomic_store_explicit(&stripe->count, count, memory_order_relaxed);
    if (count > stripe->mask) {
        grow(stripe);
    }
    user->place = place_ref(place);
    (void)atomic_fetch_add_explicit(&place->users, 1, memory_order_relaxed);
    struct mail_user **bucket = bucket_of(stripe, spot->hash);
    user->next = *bucket;
    *bucket = user;
    return user;
}

void mail_users_take_out(struct mail_users *users, struct mail_users_stripe *stripe,
                         struct mail_user *user)
{
    struct mail_user **link = home_bucket(stripe, user);
    while (*link != user) {
        link = &(*link)->next;
    }
    *link = user->next;
    atomic_store_explicit(&stripe->count,
                          atomic_load_explicit(&stripe->count, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    free_user(users, user);
}

/* -- a user -- */

bool mail_user_is_expired(const struct mail_user *user, uint64_t now_ms)
{
    return !mail_user_is_there(user) && now_ms >= user->last_ms + user->linger_ms &&
           now_ms >= mail_user_hold_until(user);
}

uint32_t mail_user_kick(struct mail_user *user)
{
    uint32_t before = user->kicked;
    (void)atomic_fetch_add_explicit(&user->generation, 1, memory_order_relaxed);
    user->kicked = mail_user_active(user);
    user->leaving = user->parked;
    return user->kicked - before;
}

void mail_user_set_place(struct mail_user *user, struct place *place)
{
    if (user->place == place) {
        return;
    }
    (void)mail_user_kick(user);
    (void)atomic_fetch_sub_explicit(&user->place->users, 1, memory_order_relaxed);
    place_unref(user->place);
    user->place = place_ref(place);
    (void)atomic_fetch_add_explicit(&place->users, 1, memory_order_relaxed);
}

void mail_user_set_home(struct mail_user *user, struct place *home)
{
    struct place *old = user->home;
    user->home = home != NULL ? place_ref(home) : NULL;
    place_unref(old);
}

void mail_user_move(struct mail_user *user, struct place *place, uint32_t delay_ms, uint64_t now_ms)
{
    mail_user_set_place(user, place);
    if (user->kicked != 0) {
        user->hold_ms = delay_ms;
    }
    user->last_ms = now_ms;
}

/* -- all of them -- */

void mail_users_sweep_bucket(struct mail_users *users, struct mail_users_stripe *stripe,
                             uint64_t now_ms)
{
    uint32_t bucket = stripe->swept++ & stripe->mask;
    struct mail_user *following = NULL;
    for (struct mail_user *user = stripe->buckets[bucket]; user != NULL; user = following) {
        following = user->next;
        if (mail_user_is_expired(user, now_ms)) {
            mail_users_take_out(users, stripe, user);
        }
    }
}

void mail_users_sweep(struct mail_users *users, uint32_t max, uint64_t now_ms)
{
    uint32_t number = atomic_fetch_add_explicit(&users->swept, 1, memory_order_relaxed);
    struct mail_users_stripe *stripe = &users->stripes[number & (MAIL_USERS_STRIPES - 1)];
    (void)pthread_mutex_lock(&stripe->lock);
    for (uint32_t i = 0; i <= stripe->mask && i < max; i++) {
        mail_users_sweep_bucket(users, stripe, now_ms);
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    (void)pthread_mutex_lock(&users->memory);
    for (size_t i = 0; i < MAIL_USERS_SLABS; i++) {
        (void)slab_tidy(&users->slabs[i]);
    }
    (void)pthread_mutex_unlock(&users->memory);
}

/* One more, where the highest bit counts least: when a table doubles, what was seen stays seen
 * (Pieter Noordhuis' SCAN of Redis). */
static uint32_t next_bucket(uint32_t bucket, uint32_t mask)
{
    uint32_t bit = (mask >> 1U) + 1;
    bucket &= mask;
    while (bit != 0 && (bucket & bit) != 0) {
        bucket ^= bit;
        bit >>= 1U;
    }
    return bucket | bit;
}

size_t mail_users_visit(struct mail_users *users, uint64_t *cursor, mail_users_visit_fn *fn,
                        void *arg)
{
    uint32_t number = (uint32_t)(*cursor >> 32U);
    struct mail_users_stripe *stripe = &users->stripes[number];
    size_t seen = 1;
    (void)pthread_mutex_lock(&stripe->lock);
    uint32_t bucket = (uint32_t)*cursor & stripe->mask;
    struct mail_user *following = NULL;
    for (struct mail_user *user = stripe->buckets[bucket]; user != NULL; user = following) {
        following = user->next;
        fn(user, arg);
        seen++;
    }
    bucket = next_bucket(bucket, stripe->mask);
    (void)pthread_mutex_unlock(&stripe->lock);
    if (bucket == 0 && ++number == MAIL_USERS_STRIPES) {
        *cursor = 0;
    } else {
        *cursor = (uint64_t)number << 32U | bucket;
    }
    return seen;
}

size_t mail_users_count(const struct mail_users *users)
{
    size_t count = 0;
    for (size_t i = 0; i < MAIL_USERS_STRIPES; i++) {
        count += atomic_load_explicit(&users->stripes[i].count, memory_order_relaxed);
    }
    return count;
}
