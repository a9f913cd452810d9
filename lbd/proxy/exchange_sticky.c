/*
 * exchange_sticky - clients that belong to a server (upstream/pool_sticky): who a request belongs
 * to, whether it may still go there, and what its client is told.
 *
 * The client belongs to whoever answered it: when that is another server than the one it named, for
 * whatever reason, it is told so.
 *
 * Threads: worker.
 */
#include <string.h>

#include "lbd/http/cookie.h"
#include "lbd/http/cookie_strip.h"
#include "lbd/http/request_value.h"
#include "lbd/proxy/exchange.h"
#include "lbd/upstream/pool_sticky.h"

static void note(const struct exchange *x, enum counters_sticky what)
{
    counter_add(&counters_of_pool(x->proxy->counters, x->pool->id)->sticky[what], 1);
}

static uint32_t now_s(const struct exchange *x)
{
    return (uint32_t)(loop_now_us(x->proxy->loop) / 1000000);
}

/* What the client names its session, or us. */
static bool find_value(const struct pool_sticky *sticky, const struct message *request,
                       struct slice *value)
{
    return sticky->is_header ? request_value_header(request, sticky->name, value)
                             : request_value_cookie(request, sticky->name, value);
}

void exchange_sticky_find(struct exchange *x)
{
    const struct pool_sticky *sticky = x->pool->sticky;
    struct message *request = &x->head->request;
    struct slice value;
    uint32_t member = BALANCER_NONE;
    bool has_value = find_value(sticky, request, &value);
    if (has_value) {
        member = pool_sticky_find(sticky, value, now_s(x));
    }
    if (has_value && !sticky->forwards) {
        (void)cookie_strip(request, sticky->name, &x->head->arena);
    }
    if (member != BALANCER_NONE) {
        x->belongs_to = member + 1;
    } else {
        note(x, has_value ? COUNTERS_STICKY_UNKNOWN : COUNTERS_STICKY_NEW);
    }
}

/* Has it failed this request? Not when a connection of its had come to its end. */
static bool was_tried(const struct exchange *x, uint32_t member)
{
    if (x->reused && x->failure == CLOSE_SERVER_REFUSED) {
        return false;
    }
    for (uint32_t i = 0; i < x->tried_count; i++) {
        if (x->tried[i] == member) {
            return true;
        }
    }
    return false;
}

enum exchange_sticky exchange_sticky_pick(struct exchange *x, uint32_t *member)
{
    if (x->belongs_to == 0) {
        return EXCHANGE_STICKY_ANY;
    }
    *member = x->belongs_to - 1;
    if (!was_tried(x, *member) && pool_sticky_may_stay(x->pool, *member) &&
        pool_take(x->pool, *member)) {
        return EXCHANGE_STICKY_TAKEN;
    }
    if (x->pool->sticky->fails) {
        note(x, COUNTERS_STICKY_REFUSED);
        return EXCHANGE_STICKY_REFUSED;
    }
    note(x, COUNTERS_STICKY_REBALANCED);
    x->belongs_to = 0;
    return EXCHANGE_STICKY_ANY;
}

/* "name=value; Path=/; ..." */
static struct slice make_cookie(const struct exchange *x)
{
    const struct pool_sticky *sticky = x->pool->sticky;
    struct slice attributes = exchange_is_https(x) ? sticky->attributes_secure : sticky->attributes;
    size_t len = sticky->name.len + 1 + POOL_STICKY_VALUE + attributes.len;
    char *text = arena_alloc(&x->head->arena, len);
    char *at = (char *)memcpy(text, sticky->name.ptr, sticky->name.len) + sticky->name.len;
    *at++ = '=';
    pool_sticky_write(sticky, x->member, at);
    memcpy(at + POOL_STICKY_VALUE, attributes.ptr, attributes.len);
    return slice_of(text, len);
}

/* The session that an answer sets: of several cookies of this name the last one counts, as it does
 * for browsers. */
static bool find_set(const struct pool_sticky *sticky, const struct message *answer,
                     struct slice *value)
{
    const struct headers *headers = &answer->headers;
    bool is_there = false;
    if (sticky->is_header) {
        const struct header *found = headers_find_name(headers, sticky->name);
        *value = found != NULL ? header_value(headers, found) : SLICE_NONE;
        return value->len != 0;
    }
    for (uint32_t i = 0; i < headers->count; i++) {
        struct slice text = header_value(headers, &headers->list[i]);
        struct slice pair;
        struct cookie cookie;
        if (headers->list[i].id == HEADER_SET_COOKIE && slice_split(&text, ';', &pair) &&
            cookie_next(&pair, &cookie) && slice_eq(cookie.name, sticky->name)) {
            *value = cookie.value;
            is_there = cookie.value.len != 0;
        }
    }
    return is_there;
}

/* A session is where it was set; one that had to move is where it went. */
static void learn(struct exchange *x, const struct message *answer)
{
    const struct pool_sticky *sticky = x->pool->sticky;
    uint64_t id = sticky->servers.ids[x->member];
    uint64_t known = 0;
    struct slice value;
    bool is_set = find_set(sticky, answer, &value);
    if (!is_set && (x->belongs_to != 0 || !find_value(sticky, &x->head->request, &value))) {
        return;
    }
    uint64_t key = learned_key(value);
    if (is_set || (learned_find(sticky->learned, key, now_s(x), &known) && known != id)) {
        learned_put(sticky->learned, key, id, now_s(x));
    }
}

void exchange_sticky_answer(struct exchange *x, struct message *answer)
{
    bool is_hit = x->belongs_to == x->member + 1;
    if (is_hit) {
        note(x, COUNTERS_STICKY_HIT);
    }
    switch (x->pool->sticky->mode) {
    case POOL_STICKY_INSERT:
        if (!is_hit) {
            message_add(answer, SLICE("Set-Cookie"), make_cookie(x));
        }
        break;
    case POOL_STICKY_PASSIVE:
        break;
    case POOL_STICKY_LEARN:
        learn(x, answer);
        break;
    }
}
