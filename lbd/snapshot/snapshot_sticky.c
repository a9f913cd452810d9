#include "lbd/snapshot/snapshot_sticky.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/snapshot/snapshot_cookie.h"

bool snapshot_sticky_key(struct registry_tls *tls, const struct conf_pool *conf, uint64_t key[2],
                         struct err *err)
{
    if (conf->has_sticky == 0) {
        memset(key, 0, 2 * sizeof(*key));
        return true;
    }
    if (!snapshot_cookie_key(tls, &conf->sticky.set, key, err)) {
        (void)snprintf(err->place, sizeof(err->place), "/pools/%.*s/sticky/key_file",
                       SLICE_ARG(conf->name));
        return false;
    }
    return true;
}

static enum pool_sticky_mode mode_of(enum conf_sticky_mode word)
{
    switch (word) {
    case CONF_STICKY_INSERT:
        break;
    case CONF_STICKY_PASSIVE:
        return POOL_STICKY_PASSIVE;
    case CONF_STICKY_LEARN:
        return POOL_STICKY_LEARN;
    }
    return POOL_STICKY_INSERT;
}

/* The table that runs, or one of the new size with what it knows. */
static struct learned *table_of(const struct conf_sticky_learn *conf, const struct pool *old)
{
    struct learned *known = old != NULL && old->sticky != NULL ? old->sticky->learned : NULL;
    uint32_t ttl_s = (conf->ttl_ms + 999) / 1000;
    if (known != NULL && learned_is_like(known, conf->entries, ttl_s)) {
        return learned_ref(known);
    }
    struct learned *learned = learned_new(conf->entries, ttl_s);
    if (known != NULL) {
        learned_copy(learned, known, (uint32_t)(now_ms() / 1000));
    }
    return learned;
}

void snapshot_sticky(struct pool *pool, const struct conf_pool *conf, const struct pool *old,
                     const uint64_t key[2])
{
    if (conf->has_sticky == 0) {
        return;
    }
    struct pool_sticky *sticky = arena_zero(&pool->arena, sizeof(*sticky));
    sticky->mode = mode_of(conf->sticky.mode);
    sticky->is_header = conf->sticky.header.len != 0;
    sticky->name =
        arena_copy(&pool->arena, sticky->is_header ? conf->sticky.header : conf->sticky.cookie);
    sticky->attributes = snapshot_cookie_attributes(&pool->arena, &conf->sticky.set, false);
    sticky->attributes_secure = snapshot_cookie_attributes(&pool->arena, &conf->sticky.set, true);
    sticky->fails = conf->sticky.on_unavailable == CONF_STICKY_FAIL;
    sticky->moves_on_drain = conf->sticky.on_drain == CONF_STICKY_MOVE;
    sticky->forwards = sticky->mode != POOL_STICKY_INSERT || conf->sticky.set.forward != 0;

    uint64_t *ids = arena_zero(&pool->arena, ((size_t)pool->count + 1) * sizeof(*ids));
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct conf_server *server = &conf->servers[i];
        struct slice name = server->sticky_id.len != 0 ? server->sticky_id : server->name;
        ids[i] = sticky->mode == POOL_STICKY_PASSIVE ? pool_sticky_id_of_text(name)
                                                     : sticky_id(conf->name, server->name, key);
    }
    sticky_build(&sticky->servers, ids, pool->count, &pool->arena);
    if (sticky->mode == POOL_STICKY_LEARN) {
        sticky->learned = table_of(&conf->sticky.learn, old);
    }
    pool->sticky = sticky;
}
