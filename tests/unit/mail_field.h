/*
 * mail_field - pools of mail servers for the tests of who goes where.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_MAIL_FIELD_H
#define TESTS_UNIT_MAIL_FIELD_H

#include <string.h>

#include "lbd/proxy/mail_users.h"
#include "tests/unit/unit.h"

/* `count` servers b0, b1, ... all up, failover after 30 s, linger 15 min. */
static inline struct pool *mail_field_pool(struct slice name, uint32_t id, uint32_t count)
{
    struct pool *pool = pool_new(name, id, count);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "b%u", i);
        pool->members[i].server = server_new(name, slice_from(text), id * 100 + i);
        (void)server_set_health(pool->members[i].server, SERVER_UP, 1);
        pool->members[i].place = place_new(SLICE("mail"), slice_from(text));
        ck_assert(addr_parse(SLICE("127.0.0.1:143"), &pool->members[i].address));
        pool->members[i].user_weight = 100;
        pool->targets[i].weight = 10; /* of a slow start; nobody goes by it */
    }
    pool->affinity = (struct pool_affinity){
        .fails_over = true, .down_for_ms = 30000, .linger_ms = 900000, .spread = 125};
    pool_build(pool, BALANCER_LEAST_REQUEST);
    return pool;
}

/* The servers of `pool` are the machines of `other`, too. */
static inline void mail_field_share(struct pool *pool, const struct pool *other)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        place_unref(pool->members[i].place);
        pool->members[i].place = place_ref(other->members[i].place);
    }
}

/* An operator moves a user. */
static inline bool mail_field_move(struct mail_users *users, const struct pool *pool,
                                   struct slice name, uint32_t member, uint32_t kick_delay_ms,
                                   bool if_idle, uint64_t now_ms)
{
    const struct mail_users_wish wish = {
        .name = name, .pool = pool, .wanted = member, .now_ms = now_ms};
    return mail_users_move(users, &wish, kick_delay_ms, if_idle, NULL);
}

#endif
