/*
 * exchange_split - a request to a route with a split: which pool its client belongs to, and what
 * the client is told of it.
 *
 * The client belongs to the pool that was chosen, also when another one (fallback_pool) answered:
 * that is for a while, the choice is not. Answers of lbd itself tell nothing.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/base/random.h"
#include "lbd/http/cookie_strip.h"
#include "lbd/proxy/exchange.h"

static enum counters_split counter_of(enum route_split_brought brought)
{
    switch (brought) {
    case ROUTE_SPLIT_NOTHING:
        return COUNTERS_SPLIT_NEW;
    case ROUTE_SPLIT_ITS_POOL:
        return COUNTERS_SPLIT_STAYED;
    case ROUTE_SPLIT_UNKNOWN:
        return COUNTERS_SPLIT_UNKNOWN;
    case ROUTE_SPLIT_CLOSED:
        return COUNTERS_SPLIT_MOVED;
    }
    return COUNTERS_SPLIT_NEW;
}

void exchange_split_find(struct exchange *x)
{
    const struct route_split *split = x->route->split;
    struct message *request = &x->head->request;
    struct route_split_choice choice = route_split_pick(split, request, exchange_client(x),
                                                        random_u64(&x->proxy->upstream->random));
    x->pool = split->arms[choice.arm].pool;
    if (split->cookie == NULL) {
        return;
    }
    counter_add(
        &counters_of_pool(x->proxy->counters, x->pool->id)->split[counter_of(choice.brought)], 1);
    if (choice.brought != ROUTE_SPLIT_NOTHING && !split->cookie->forwards) {
        (void)cookie_strip(request, split->cookie->name, &x->head->arena);
    }
    if (choice.brought != ROUTE_SPLIT_ITS_POOL) {
        x->tells_arm = (uint8_t)(choice.arm + 1);
    }
}

/* "name=value; Path=/; ..." */
void exchange_split_answer(struct exchange *x, struct message *answer)
{
    const struct route_split *split = x->route->split;
    const struct route_split_cookie *cookie = split->cookie;
    struct slice attributes = exchange_is_https(x) ? cookie->attributes_secure : cookie->attributes;
    size_t len = cookie->name.len + 1 + ROUTE_SPLIT_VALUE + attributes.len;
    char *text = arena_alloc(&x->head->arena, len);
    char *at = (char *)memcpy(text, cookie->name.ptr, cookie->name.len) + cookie->name.len;
    *at++ = '=';
    route_split_write(split, x->tells_arm - 1U, at);
    memcpy(at + ROUTE_SPLIT_VALUE, attributes.ptr, attributes.len);
    message_add(answer, SLICE("Set-Cookie"), slice_of(text, len));
}
