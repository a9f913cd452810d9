#include "lbd/upstream/pool_sticky.h"

#include "lbd/base/hash.h"
#include "lbd/base/num.h"
#include "lbd/upstream/pool.h"

uint64_t pool_sticky_id_of_text(struct slice text)
{
    return hash_sip(text, hash_process_key());
}

/* As Tomcat's jvmRoute stands, "session.server": both may have dots, so what is behind each of them
 * is tried, the longest first. No id is longer than ID_MAX, which bounds what a client may cost. */
static uint32_t find_named(const struct pool_sticky *sticky, struct slice value)
{
    enum { ID_MAX = 128 };
    uint32_t member = sticky_find(&sticky->servers, pool_sticky_id_of_text(value));
    size_t at = value.len > ID_MAX ? value.len - ID_MAX - 1 : 0;
    for (; at < value.len && member == BALANCER_NONE; at++) {
        if (value.ptr[at] == '.') {
            struct slice id = slice_from_at(value, at + 1);
            member = sticky_find(&sticky->servers, pool_sticky_id_of_text(id));
        }
    }
    return member;
}

uint32_t pool_sticky_find(const struct pool_sticky *sticky, struct slice value, uint32_t now_s)
{
    uint64_t id = 0;
    bool is_id = false;
    switch (sticky->mode) {
    case POOL_STICKY_INSERT:
        is_id = value.len == POOL_STICKY_VALUE && num_parse_hex(value, &id);
        break;
    case POOL_STICKY_PASSIVE:
        return find_named(sticky, value);
    case POOL_STICKY_LEARN:
        is_id = learned_find(sticky->learned, learned_key(value), now_s, &id);
        break;
    }
    return is_id ? sticky_find(&sticky->servers, id) : BALANCER_NONE;
}

bool pool_sticky_may_stay(const struct pool *pool, uint32_t member)
{
    const struct server *server = pool->members[member].server;
    if (LB_LIKELY(server_is_usable(server))) {
        return true;
    }
    if (server_admin_now(server) == SERVER_DRAIN) {
        return !pool->sticky->moves_on_drain && server_not_up_since_ms(server) == 0;
    }
    return server_is_ready(server) && pool_fitness(pool) == BALANCER_READY;
}

void pool_sticky_write(const struct pool_sticky *sticky, uint32_t member,
                       char out[POOL_STICKY_VALUE])
{
    num_write_hex16(out, sticky->servers.ids[member]);
}
