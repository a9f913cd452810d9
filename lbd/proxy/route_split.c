#include "lbd/proxy/route_split.h"

#include <assert.h>
#include <sys/socket.h>

#include "lbd/balance/balancer.h"
#include "lbd/balance/rendezvous.h"
#include "lbd/base/num.h"
#include "lbd/http/request_value.h"

struct route_split *route_split_build(struct arena *arena, const struct conf_split *conf)
{
    struct route_split *split = arena_zero(arena, sizeof(*split));
    split->arms = arena_zero(arena, conf->pool_count * sizeof(*split->arms));
    split->count = conf->pool_count;
    split->key = conf->key;
    if (conf->key == CONF_SPLIT_KEY_AUTO) {
        split->key = conf->has_cookie != 0 ? CONF_SPLIT_KEY_RANDOM : CONF_SPLIT_KEY_SOURCE;
    }
    split->name = conf->name;
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        split->arms[i].seed = rendezvous_key(conf->pools[i].name);
        split->arms[i].weight = conf->pools[i].weight;
    }
    return split;
}

void route_split_build_cookie(struct route_split *split, struct arena *arena,
                              const struct conf_split *conf, const uint64_t key[2])
{
    uint64_t *ids = arena_zero(arena, split->count * sizeof(*ids));
    for (uint32_t i = 0; i < split->count; i++) {
        ids[i] = sticky_id(conf->pools[i].name, SLICE(""), key); /* that of no server */
    }
    split->cookie = arena_zero(arena, sizeof(*split->cookie));
    split->cookie->name = conf->cookie.name;
    split->cookie->forwards = conf->cookie.set.forward != 0;
    sticky_build(&split->cookie->arms, ids, split->count, arena);
}

static bool find_value(const struct route_split *split, const struct message *request,
                       struct slice *value)
{
    switch (split->key) {
    case CONF_SPLIT_KEY_HEADER:
        return request_value_header(request, split->name, value) && value->len != 0;
    case CONF_SPLIT_KEY_COOKIE:
        return request_value_cookie(request, split->name, value) && value->len != 0;
    case CONF_SPLIT_KEY_SOURCE:
    case CONF_SPLIT_KEY_RANDOM:
    case CONF_SPLIT_KEY_AUTO:
        return false;
    }
    return false;
}

static uint64_t key_of(const struct route_split *split, const struct message *request,
                       const struct addr_small *client, uint64_t chance, enum route_split_by *by)
{
    struct slice value = SLICE_NONE;
    if (split->key == CONF_SPLIT_KEY_RANDOM) {
        *by = ROUTE_SPLIT_BY_CHANCE;
        return chance;
    }
    *by = ROUTE_SPLIT_BY_KEY;
    if (!find_value(split, request, &value)) {
        *by = ROUTE_SPLIT_BY_ADDRESS;
        if (client != NULL && (client->family == AF_INET || client->family == AF_INET6)) {
            value = slice_of((const char *)client->ip, sizeof(client->ip));
        }
    }
    return rendezvous_key(value);
}

static uint32_t arm_of_key(const struct route_split *split, uint64_t key)
{
    uint32_t best = UINT32_MAX;
    double best_score = 0;
    for (uint32_t i = 0; i < split->count; i++) {
        const struct route_split_arm *arm = &split->arms[i];
        double score = arm->weight != 0 ? rendezvous_score(key, arm->seed, arm->weight) : 0;
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    assert(best != UINT32_MAX); /* conf_check: a weight is above 0 */
    return best;
}

static enum route_split_brought look_at_cookie(const struct route_split *split,
                                               const struct message *request, uint32_t *arm)
{
    struct slice value;
    uint64_t id = 0;
    if (split->cookie == NULL || !request_value_cookie(request, split->cookie->name, &value)) {
        return ROUTE_SPLIT_NOTHING;
    }
    uint32_t found = value.len == ROUTE_SPLIT_VALUE && num_parse_hex(value, &id)
                         ? sticky_find(&split->cookie->arms, id)
                         : BALANCER_NONE;
    if (found == BALANCER_NONE) {
        return ROUTE_SPLIT_UNKNOWN;
    }
    *arm = found;
    return split->arms[found].weight != 0 ? ROUTE_SPLIT_ITS_POOL : ROUTE_SPLIT_CLOSED;
}

struct route_split_choice route_split_pick(const struct route_split *split,
                                           const struct message *request,
                                           const struct addr_small *client, uint64_t chance)
{
    struct route_split_choice choice = {.by = ROUTE_SPLIT_BY_COOKIE};
    choice.brought = look_at_cookie(split, request, &choice.arm);
    if (choice.brought != ROUTE_SPLIT_ITS_POOL) {
        choice.arm = arm_of_key(split, key_of(split, request, client, chance, &choice.by));
    }
    return choice;
}

void route_split_write(const struct route_split *split, uint32_t arm, char out[ROUTE_SPLIT_VALUE])
{
    num_write_hex16(out, split->cookie->arms.ids[arm]);
}
