#include "lbd/proxy/route_split.h"

#include <assert.h>
#include <sys/socket.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/http/request_value.h"

struct route_split *route_split_build(struct arena *arena, const struct conf_split *conf)
{
    struct route_split *split = arena_zero(arena, sizeof(*split));
    split->arms = arena_zero(arena, conf->pool_count * sizeof(*split->arms));
    split->count = conf->pool_count;
    split->key = conf->key;
    split->name = conf->name;
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        split->arms[i].seed = rendezvous_key(conf->pools[i].name);
        split->arms[i].weight = conf->pools[i].weight;
    }
    return split;
}

static bool find_value(const struct route_split *split, const struct message *request,
                       struct slice *value)
{
    switch (split->key) {
    case CONF_HASH_KEY_HEADER:
        return request_value_header(request, split->name, value) && value->len != 0;
    case CONF_HASH_KEY_COOKIE:
        return request_value_cookie(request, split->name, value) && value->len != 0;
    case CONF_HASH_KEY_SOURCE:
    case CONF_HASH_KEY_PATH: /* not of a split */
    case CONF_HASH_KEY_QUERY:
        return false;
    }
    return false;
}

static uint64_t key_of(const struct route_split *split, const struct message *request,
                       const struct addr_small *client)
{
    struct slice value = SLICE_NONE;
    if (!find_value(split, request, &value) && client != NULL &&
        (client->family == AF_INET || client->family == AF_INET6)) {
        value = slice_of((const char *)client->ip, sizeof(client->ip));
    }
    return rendezvous_key(value);
}

struct pool *route_split_pick(const struct route_split *split, const struct message *request,
                              const struct addr_small *client)
{
    uint64_t key = key_of(split, request, client);
    struct pool *best = NULL;
    double best_score = 0;
    for (uint32_t i = 0; i < split->count; i++) {
        const struct route_split_arm *arm = &split->arms[i];
        double score = arm->weight != 0 ? rendezvous_score(key, arm->seed, arm->weight) : 0;
        if (score > best_score) {
            best = arm->pool;
            best_score = score;
        }
    }
    assert(best != NULL); /* conf_check: a weight is above 0 */
    return best;
}
