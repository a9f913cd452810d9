/*
 * mail_cache_index - all logins that the cache knows, over all workers; see mail_cache_inside.h.
 *
 * Threads: any; nothing waits or calls out under a lock.
 */
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/mail_cache_inside.h"

#define FORGET_AT_ONCE 64U

void mail_cache_index_init(struct mail_cache *cache)
{
    (void)pthread_mutex_init(&cache->lock, NULL);
    list_init(&cache->claims);
    for (uint32_t i = 0; i < MAIL_CACHE_STRIPES; i++) {
        (void)pthread_mutex_init(&cache->stripes[i].lock, NULL);
        for (uint32_t k = 0; k < MAIL_CACHE_BUCKETS; k++) {
            list_init(&cache->stripes[i].buckets[k]);
        }
    }
}

void mail_cache_index_fini(struct mail_cache *cache)
{
    for (uint32_t i = 0; i < MAIL_CACHE_STRIPES; i++) {
        (void)pthread_mutex_destroy(&cache->stripes[i].lock);
    }
    while (cache->pools != NULL) {
        struct mail_cache_pool *pool = cache->pools;
        cache->pools = pool->next;
        free(pool);
    }
    (void)pthread_mutex_destroy(&cache->lock);
}

static struct mail_cache_stripe *stripe_of(struct mail_cache *cache, const uint8_t *user)
{
    return &cache->stripes[user[0] % MAIL_CACHE_STRIPES];
}

/* Its bucket; the stripe is locked until unlock. */
static struct list_node *lock_bucket(struct mail_cache *cache, const uint8_t *user)
{
    struct mail_cache_stripe *stripe = stripe_of(cache, user);
    (void)pthread_mutex_lock(&stripe->lock);
    return &stripe->buckets[user[1] % MAIL_CACHE_BUCKETS];
}

static void unlock_bucket(struct mail_cache *cache, const uint8_t *user)
{
    (void)pthread_mutex_unlock(&stripe_of(cache, user)->lock);
}

static struct mail_cache_entry *entry_of(struct list_node *node)
{
    return list_entry(node, struct mail_cache_entry, of_user);
}

static bool is_user(const struct mail_cache_entry *entry, const uint8_t *user)
{
    return memcmp(entry->key.user, user, MAIL_CACHE_NAME_BYTES) == 0;
}

/* -- under the lock -- */

static void set_available(struct mail_cache_entry *entry)
{
    entry->is_available = true;
    atomic_fetch_add_explicit(&entry->pool->parked, 1, memory_order_relaxed);
}

/* False: somebody else has it, or a session. */
static bool claim(struct mail_cache_entry *entry)
{
    if (!entry->is_available) {
        return false;
    }
    entry->is_available = false;
    atomic_fetch_sub_explicit(&entry->pool->parked, 1, memory_order_relaxed);
    return true;
}

/* -- */

void mail_cache_index_add(struct mail_cache_entry *entry)
{
    list_push_front(lock_bucket(entry->cache, entry->key.user), &entry->of_user);
    unlock_bucket(entry->cache, entry->key.user);
}

void mail_cache_index_remove(struct mail_cache_entry *entry)
{
    (void)lock_bucket(entry->cache, entry->key.user);
    (void)claim(entry);
    list_remove(&entry->of_user);
    unlock_bucket(entry->cache, entry->key.user);
}

void mail_cache_index_own(struct mail_cache_entry *entry, struct mail_cache_worker *worker,
                          struct server *server)
{
    (void)lock_bucket(entry->cache, entry->key.user);
    entry->worker = worker;
    entry->server = server;
    unlock_bucket(entry->cache, entry->key.user);
}

struct mail_cache_pool *mail_cache_index_pool(struct mail_cache *cache, uint32_t id)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct mail_cache_pool *pool = cache->pools;
    while (pool != NULL && pool->id != id) {
        pool = pool->next;
    }
    if (pool == NULL) {
        pool = mem_zero(1, sizeof(*pool));
        pool->id = id;
        pool->next = cache->pools;
        cache->pools = pool;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return pool;
}

void mail_cache_index_limit(struct mail_cache_entry *entry, uint32_t idle_ttl_ms,
                            uint32_t max_age_ms)
{
    (void)lock_bucket(entry->cache, entry->key.user);
    entry->idle_ttl_ms = idle_ttl_ms;
    entry->max_age_ms = max_age_ms;
    unlock_bucket(entry->cache, entry->key.user);
}

/* Its worker may not have heard of settings that the login has already. */
static bool is_too_old(const struct mail_cache_entry *entry, const struct mail_cache_entry *login,
                       uint64_t now_us)
{
    return now_us >= mail_cache_old_at(entry) || now_us >= mail_cache_idle_at(entry) ||
           now_us >= entry->logged_in_us + login->max_age_ms * UINT64_C(1000) ||
           now_us >= entry->parked_us + login->idle_ttl_ms * UINT64_C(1000);
}

/* Why not this one; COUNT: it would do. */
static enum mail_cache_miss judge(const struct mail_cache_entry *entry,
                                  const struct mail_cache_entry *login, const struct server *server,
                                  uint64_t now_us)
{
    if (!mail_cache_key_same_secret(&entry->key, &login->key)) {
        return MAIL_CACHE_MISS_SECRET;
    }
    if (entry->server != server) {
        return MAIL_CACHE_MISS_SERVER;
    }
    return is_too_old(entry, login, now_us) ? MAIL_CACHE_MISS_AGE : MAIL_CACHE_MISS_COUNT;
}

/* The newest, and rather one that need not move. */
static bool is_better(const struct mail_cache_entry *entry, const struct mail_cache_entry *than,
                      const struct mail_cache_worker *worker)
{
    if (than == NULL || (entry->worker == worker) != (than->worker == worker)) {
        return than == NULL || entry->worker == worker;
    }
    return entry->parked_us > than->parked_us;
}

/* Is it with another server of the pool, where this user must not be any more? */
static bool is_elsewhere(const struct mail_cache_entry *entry, const struct mail_cache_entry *login,
                         const struct server *server)
{
    return is_user(entry, login->key.user) && entry->pool == login->pool && entry->server != server;
}

struct mail_cache_entry *mail_cache_index_claim(struct mail_cache_worker *worker,
                                                const struct mail_cache_entry *login,
                                                const struct server *server,
                                                enum mail_cache_miss *miss)
{
    struct mail_cache *cache = worker->cache;
    struct mail_cache_entry *best = NULL;
    struct mail_cache_entry *elsewhere[FORGET_AT_ONCE];
    uint32_t elsewhere_count = 0;
    uint64_t now_us = mail_cache_now(worker);
    struct list_node *bucket = lock_bucket(cache, login->key.user);
    struct list_node *node;
    *miss = MAIL_CACHE_MISS_NONE;
    list_for_each (node, bucket) {
        struct mail_cache_entry *entry = entry_of(node);
        if (!entry->is_available) {
            continue;
        }
        if (is_elsewhere(entry, login, server) && elsewhere_count < FORGET_AT_ONCE) {
            (void)claim(entry);
            elsewhere[elsewhere_count++] = entry;
            *miss = MAIL_CACHE_MISS_SERVER;
            continue;
        }
        if (!mail_cache_key_same_name(&entry->key, &login->key)) {
            continue;
        }
        enum mail_cache_miss why = judge(entry, login, server, now_us);
        if (why != MAIL_CACHE_MISS_COUNT) {
            *miss = why;
        } else if (is_better(entry, best, worker)) {
            best = entry;
        }
    }
    if (best != NULL) {
        (void)claim(best);
    }
    unlock_bucket(cache, login->key.user);
    for (uint32_t i = 0; i < elsewhere_count; i++) {
        mail_cache_park_send_away(elsewhere[i], MAIL_CACHE_END_SERVER);
    }
    return best;
}

bool mail_cache_index_claim_this(struct mail_cache_entry *entry)
{
    (void)lock_bucket(entry->cache, entry->key.user);
    bool ok = claim(entry);
    unlock_bucket(entry->cache, entry->key.user);
    return ok;
}

bool mail_cache_index_is_forgotten(struct mail_cache_entry *entry)
{
    (void)lock_bucket(entry->cache, entry->key.user);
    bool is_forgotten = entry->is_forgotten;
    unlock_bucket(entry->cache, entry->key.user);
    return is_forgotten;
}

/* The one of this user that was parked first, where there are as many as may be. */
static struct mail_cache_entry *find_surplus(const struct mail_cache_entry *entry,
                                             struct list_node *bucket)
{
    struct mail_cache_entry *oldest = NULL;
    struct list_node *node;
    uint32_t count = 0;
    list_for_each (node, bucket) {
        struct mail_cache_entry *other = entry_of(node);
        if (other->is_available && is_user(other, entry->key.user)) {
            count++;
            oldest = oldest == NULL || other->parked_us < oldest->parked_us ? other : oldest;
        }
    }
    return count >= entry->per_user ? oldest : NULL;
}

bool mail_cache_index_park(struct mail_cache_entry *entry, uint64_t now_us,
                           struct mail_cache_entry **evicted, enum mail_cache_end *end)
{
    struct list_node *bucket = lock_bucket(entry->cache, entry->key.user);
    bool ok = !entry->is_forgotten;
    *end = MAIL_CACHE_END_FORGOTTEN;
    *evicted = NULL;
    if (ok) {
        *evicted = find_surplus(entry, bucket);
        if (*evicted != NULL) {
            (void)claim(*evicted);
        } else if (atomic_load_explicit(&entry->pool->parked, memory_order_relaxed) >=
                   entry->per_pool) {
            *end = MAIL_CACHE_END_LIMIT;
            ok = false;
        }
    }
    if (ok) {
        entry->parked_us = now_us;
        set_available(entry);
    }
    unlock_bucket(entry->cache, entry->key.user);
    return ok;
}

/* -- forgetting -- */

/* Who is meant. */
struct forgetting {
    const uint8_t *user;                  /* NULL: anybody */
    const struct server *server;          /* NULL: any */
    const struct mail_cache_entry *newer; /* those of its key and another secret; NULL: any */
};

static bool is_meant(const struct forgetting *what, const struct mail_cache_entry *entry)
{
    if (what->newer != NULL) {
        return entry != what->newer && mail_cache_key_same_name(&entry->key, &what->newer->key) &&
               !mail_cache_key_same_secret(&entry->key, &what->newer->key);
    }
    return (what->user == NULL || is_user(entry, what->user)) &&
           (what->server == NULL || entry->server == what->server);
}

/* Some of the bucket; true: there may be more. */
static bool forget_some(struct list_node *bucket, const struct forgetting *what,
                        struct mail_cache_entry *claimed[FORGET_AT_ONCE], uint32_t *count)
{
    struct list_node *node;
    list_for_each (node, bucket) {
        struct mail_cache_entry *entry = entry_of(node);
        if (!is_meant(what, entry) || (entry->is_forgotten && !entry->is_available)) {
            continue;
        }
        if (*count == FORGET_AT_ONCE) {
            return true;
        }
        entry->is_forgotten = true;
        if (claim(entry)) {
            claimed[(*count)++] = entry;
        }
    }
    return false;
}

static uint32_t forget_bucket(struct mail_cache_stripe *stripe, struct list_node *bucket,
                              const struct forgetting *what)
{
    struct mail_cache_entry *claimed[FORGET_AT_ONCE];
    uint32_t total = 0;
    bool more = true;
    while (more) {
        uint32_t count = 0;
        (void)pthread_mutex_lock(&stripe->lock);
        more = forget_some(bucket, what, claimed, &count);
        (void)pthread_mutex_unlock(&stripe->lock);
        for (uint32_t i = 0; i < count; i++) {
            mail_cache_park_send_away(claimed[i], MAIL_CACHE_END_FORGOTTEN);
        }
        total += count;
    }
    return total;
}

static uint32_t forget_of_user(struct mail_cache *cache, const uint8_t *user,
                               const struct forgetting *what)
{
    struct mail_cache_stripe *stripe = stripe_of(cache, user);
    return forget_bucket(stripe, &stripe->buckets[user[1] % MAIL_CACHE_BUCKETS], what);
}

static uint32_t forget_everywhere(struct mail_cache *cache, const struct forgetting *what)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < MAIL_CACHE_STRIPES; i++) {
        for (uint32_t k = 0; k < MAIL_CACHE_BUCKETS; k++) {
            total += forget_bucket(&cache->stripes[i], &cache->stripes[i].buckets[k], what);
        }
    }
    return total;
}

uint32_t mail_cache_index_forget_others(struct mail_cache_entry *entry)
{
    const struct forgetting what = {.newer = entry};
    return forget_of_user(entry->cache, entry->key.user, &what);
}

uint32_t mail_cache_forget_user(struct mail_cache *cache, struct slice user)
{
    uint8_t key[MAIL_CACHE_NAME_BYTES];
    mail_cache_key_user(cache->secret, user, key);
    const struct forgetting what = {.user = key};
    return forget_of_user(cache, key, &what);
}

uint32_t mail_cache_forget_server(struct mail_cache *cache, const struct server *server)
{
    const struct forgetting what = {.server = server};
    return forget_everywhere(cache, &what);
}

uint32_t mail_cache_forget_all(struct mail_cache *cache)
{
    static const struct forgetting what;
    return forget_everywhere(cache, &what);
}
