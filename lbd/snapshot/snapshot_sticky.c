#include "lbd/snapshot/snapshot_sticky.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_secret.h"

enum { SECRET_MIN = 16 };

bool snapshot_sticky_key(struct registry_tls *tls, const struct conf_pool *conf, uint64_t key[2],
                         struct err *err)
{
    /* for ever: another one sends every client elsewhere */
    static const uint64_t known[2] = {UINT64_C(0x6c62642073746963), UINT64_C(0x6b79206b65793031)};
    struct slice file = conf->sticky.key_file;
    memset(key, 0, sizeof(known));
    if (conf->has_sticky == 0) {
        return true;
    }
    if (file.len == 0) {
        memcpy(key, known, sizeof(known));
        return true;
    }
    const struct tls_secret *secret = registry_secret_of(tls, file, SECRET_MIN, err);
    if (secret == NULL) {
        (void)snprintf(err->place, sizeof(err->place), "/pools/%.*s/sticky/key_file",
                       SLICE_ARG(conf->name));
        return false;
    }
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_sha256(tls_secret_text(secret), digest);
    memcpy(key, digest, sizeof(known));
    return true;
}

static const char *same_site_of(enum conf_same_site word)
{
    switch (word) {
    case CONF_SAME_SITE_LAX:
        return "; SameSite=Lax";
    case CONF_SAME_SITE_STRICT:
        return "; SameSite=Strict";
    case CONF_SAME_SITE_NONE:
        return "; SameSite=None";
    case CONF_SAME_SITE_UNSET:
        break;
    }
    return "";
}

/* RFC 6265 4.1 and its SameSite. */
static struct slice attributes_of(struct arena *arena, const struct conf_pool_sticky *conf,
                                  bool over_tls)
{
    bool is_secure = conf->secure == CONF_COOKIE_SECURE_ON ||
                     (conf->secure == CONF_COOKIE_SECURE_AUTO && over_tls);
    char age[32] = "";
    if (conf->max_age_ms != 0) {
        (void)snprintf(age, sizeof(age), "; Max-Age=%u", (conf->max_age_ms + 999) / 1000);
    }
    return arena_printf(arena, "; Path=%.*s%s%.*s%s%s%s%s", SLICE_ARG(conf->path),
                        conf->domain.len != 0 ? "; Domain=" : "", SLICE_ARG(conf->domain), age,
                        conf->http_only != 0 ? "; HttpOnly" : "", is_secure ? "; Secure" : "",
                        same_site_of(conf->same_site));
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
    sticky->attributes = attributes_of(&pool->arena, &conf->sticky, false);
    sticky->attributes_secure = attributes_of(&pool->arena, &conf->sticky, true);
    sticky->fails = conf->sticky.on_unavailable == CONF_STICKY_FAIL;
    sticky->moves_on_drain = conf->sticky.on_drain == CONF_STICKY_MOVE;
    sticky->forwards = sticky->mode != POOL_STICKY_INSERT || conf->sticky.forward != 0;

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
