#include "lbd/proxy/balance_key.h"

#include <sys/socket.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/http/query.h"
#include "lbd/http/request_value.h"

/* Clients of a unix socket have none. */
static bool find_source(const struct addr_small *client, struct slice *value)
{
    *value = slice_of((const char *)client->ip, sizeof(client->ip)); /* IPv4 is its last 4 bytes */
    return client->family == AF_INET || client->family == AF_INET6;
}

static bool find(const struct pool *pool, const struct message *request,
                 const struct addr_small *client, struct slice *value)
{
    if (pool->key == POOL_KEY_SOURCE) {
        return find_source(client, value);
    }
    if (request == NULL) {
        return false;
    }
    switch (pool->key) {
    case POOL_KEY_SOURCE:
        break;
    case POOL_KEY_HEADER:
        return request_value_header(request, pool->key_name, value);
    case POOL_KEY_COOKIE:
        return request_value_cookie(request, pool->key_name, value);
    case POOL_KEY_PATH:
        *value = request->path;
        return true;
    case POOL_KEY_QUERY:
        return request_value_query(request, pool->key_name, value);
    }
    return false;
}

static bool is_encoded(struct slice value)
{
    return slice_find(value, '%') != SIZE_MAX || slice_find(value, '+') != SIZE_MAX;
}

/* As servers read it: who writes it another way belongs to the same one. */
static uint64_t key_of_parameter(struct slice value)
{
    char decoded[BALANCE_KEY_DECODED_MAX];
    size_t len = query_decode(value, decoded, sizeof(decoded));
    return rendezvous_key(len == SIZE_MAX ? value : slice_of(decoded, len));
}

void balance_key_find(const struct pool *pool, const struct message *request,
                      const struct addr_small *client, struct balancer_state *state)
{
    struct slice value = SLICE_NONE;
    state->has_key = find(pool, request, client, &value) && value.len != 0;
    if (LB_UNLIKELY(pool->key == POOL_KEY_QUERY && state->has_key && is_encoded(value))) {
        state->key = key_of_parameter(value);
        return;
    }
    state->key = state->has_key ? rendezvous_key(value) : 0;
}
