#include "lbd/tls/tls_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/hash.h"
#include "lbd/base/list.h"
#include "lbd/base/mem.h"

#define SHARD_ENTRIES (TLS_CACHE_ENTRIES / TLS_CACHE_SHARDS)
#define SHARD_BUCKETS 256U /* a power of two */
#define SECOND_US     UINT64_C(1000000)

struct entry {
    struct entry *next;    /* of its bucket */
    struct list_node link; /* of its shard, newest first */
    uint64_t hash;
    uint64_t made_us;
    uint16_t id_len;
    uint16_t len;
    uint8_t policy[32];
    uint8_t bytes[]; /* the id, then the session */
};

struct shard {
    pthread_mutex_t lock;
    struct list_node entries; /* next NULL: never used */
    uint32_t count;
    struct entry *buckets[SHARD_BUCKETS];
} LB_ALIGNED;

static struct shard shards[TLS_CACHE_SHARDS];
static pthread_once_t shards_once = PTHREAD_ONCE_INIT;

static void init_shards(void)
{
    for (size_t i = 0; i < TLS_CACHE_SHARDS; i++) {
        (void)pthread_mutex_init(&shards[i].lock, NULL);
        list_init(&shards[i].entries);
    }
}

static uint64_t hash_of(struct slice id, const uint8_t policy[32])
{
    uint64_t seed = 0;
    memcpy(&seed, policy, sizeof(seed));
    return hash_mix(hash_sip(id, hash_process_key()) ^ seed);
}

static struct shard *shard_of(uint64_t hash)
{
    (void)pthread_once(&shards_once, init_shards);
    return &shards[(hash >> 32) % TLS_CACHE_SHARDS];
}

static struct entry **place_of(struct shard *shard, uint64_t hash, struct slice id,
                               const uint8_t policy[32])
{
    struct entry **at = &shard->buckets[hash % SHARD_BUCKETS];
    while (*at != NULL && ((*at)->hash != hash ||
                           !slice_eq(slice_of((const char *)(*at)->bytes, (*at)->id_len), id) ||
                           memcmp((*at)->policy, policy, sizeof((*at)->policy)) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void drop(struct shard *shard, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    list_remove(&entry->link);
    shard->count--;
    mem_wipe(entry->bytes, (size_t)entry->id_len + entry->len); /* a key is in it */
    free(entry);
}

static void drop_oldest(struct shard *shard)
{
    struct entry *oldest = list_entry(shard->entries.prev, struct entry, link);
    struct entry **at = &shard->buckets[oldest->hash % SHARD_BUCKETS];
    while (*at != oldest) {
        at = &(*at)->next;
    }
    drop(shard, at);
}

void tls_cache_put(struct slice id, const uint8_t policy[32], struct slice session, uint64_t now_us)
{
    if (id.len == 0 || id.len > TLS_CACHE_ID_MAX || session.len == 0 ||
        session.len > TLS_CACHE_SESSION_MAX) {
        return;
    }
    uint64_t hash = hash_of(id, policy);
    struct shard *shard = shard_of(hash);
    struct entry *entry = mem_try(sizeof(*entry) + id.len + session.len);
    if (entry == NULL) {
        return;
    }
    memset(entry, 0, sizeof(*entry));
    entry->hash = hash;
    entry->made_us = now_us;
    entry->id_len = (uint16_t)id.len;
    entry->len = (uint16_t)session.len;
    memcpy(entry->policy, policy, sizeof(entry->policy));
    memcpy(entry->bytes, id.ptr, id.len);
    memcpy(entry->bytes + id.len, session.ptr, session.len);
    (void)pthread_mutex_lock(&shard->lock);
    struct entry **at = place_of(shard, hash, id, policy);
    if (*at != NULL) {
        drop(shard, at);
    } else if (shard->count == SHARD_ENTRIES) {
        drop_oldest(shard);
    }
    entry->next = shard->buckets[hash % SHARD_BUCKETS];
    shard->buckets[hash % SHARD_BUCKETS] = entry;
    list_push_front(&shard->entries, &entry->link);
    shard->count++;
    (void)pthread_mutex_unlock(&shard->lock);
}

size_t tls_cache_get(struct slice id, const uint8_t policy[32], uint64_t now_us,
                     uint8_t out[TLS_CACHE_SESSION_MAX])
{
    size_t len = 0;
    if (id.len == 0 || id.len > TLS_CACHE_ID_MAX) {
        return 0;
    }
    uint64_t hash = hash_of(id, policy);
    struct shard *shard = shard_of(hash);
    (void)pthread_mutex_lock(&shard->lock);
    struct entry **at = place_of(shard, hash, id, policy);
    if (*at != NULL && now_us - (*at)->made_us > TLS_CACHE_SECONDS * SECOND_US) {
        drop(shard, at);
    } else if (*at != NULL) {
        len = (*at)->len;
        memcpy(out, (*at)->bytes + (*at)->id_len, len);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return len;
}

void tls_cache_clear(void)
{
    (void)pthread_once(&shards_once, init_shards);
    for (size_t i = 0; i < TLS_CACHE_SHARDS; i++) {
        (void)pthread_mutex_lock(&shards[i].lock);
        while (shards[i].count > 0) {
            drop_oldest(&shards[i]);
        }
        (void)pthread_mutex_unlock(&shards[i].lock);
    }
}
