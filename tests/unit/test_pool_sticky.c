#include "lbd/base/now.h"
#include "lbd/snapshot/snapshot_sticky.h"
#include "lbd/upstream/pool_sticky.h"
#include "tests/unit/unit.h"

enum { SERVERS = 3 };

/* Three servers a, b, c, all up. */
static struct pool *pool_of(struct conf_pool *conf, struct conf_server servers[SERVERS],
                            const struct pool *old)
{
    static const char *const names[] = {"a", "b", "c"};
    struct pool *pool = pool_new(SLICE("web"), 1, SERVERS);
    conf->name = SLICE("web");
    conf->servers = servers;
    conf->server_count = SERVERS;
    conf->has_sticky = 1;
    conf->sticky.cookie = SLICE("lb");
    conf->sticky.set.path = SLICE("/");
    for (uint32_t i = 0; i < SERVERS; i++) {
        servers[i].name = slice_from(names[i]);
        pool->members[i].server = server_new(SLICE("web"), slice_from(names[i]), i);
        (void)server_set_health(pool->members[i].server, SERVER_UP, 1);
        ck_assert(addr_parse(SLICE("127.0.0.1:80"), &pool->members[i].address));
        pool->targets[i].weight = 100;
    }
    snapshot_sticky(pool, conf, old, (const uint64_t[2]){1, 2});
    pool_build(pool, BALANCER_ROUND_ROBIN);
    return pool;
}

START_TEST(what_is_written_is_found)
{
    struct conf_pool conf = {0};
    struct conf_server servers[SERVERS] = {0};
    struct pool *pool = pool_of(&conf, servers, NULL);
    char value[POOL_STICKY_VALUE + 1];
    for (uint32_t i = 0; i < SERVERS; i++) {
        pool_sticky_write(pool->sticky, i, value);
        value[POOL_STICKY_VALUE] = '0';
        ck_assert_uint_eq(pool_sticky_find(pool->sticky, slice_of(value, POOL_STICKY_VALUE), 7), i);
        ck_assert_uint_eq(pool_sticky_find(pool->sticky, slice_of(value, sizeof(value)), 7),
                          BALANCER_NONE);
        ck_assert_uint_eq(pool_sticky_find(pool->sticky, slice_of(value, POOL_STICKY_VALUE - 1), 7),
                          BALANCER_NONE);
    }
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE(""), 7), BALANCER_NONE);
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE("a"), 7), BALANCER_NONE);
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE("zzzzzzzzzzzzzzzz"), 7), BALANCER_NONE);
    ck_assert(slice_eq(pool->sticky->attributes, SLICE("; Path=/; SameSite=Lax")));
    ck_assert(slice_eq(pool->sticky->attributes_secure, SLICE("; Path=/; Secure; SameSite=Lax")));
    pool_unref(pool);
}
END_TEST

static const struct {
    const char *value;
    uint32_t member;
} passive[] = {
    {"n.1", 0},
    {"x.n.1", 0},
    {"x.y.n.1", 0},
    {"n.1.b", 1},
    {"1", BALANCER_NONE},
    {"x.1", BALANCER_NONE},
    {"b", 1},
    {"s.b", 1},
    {".b", 1},
    {"a", BALANCER_NONE},
    {"b.", BALANCER_NONE},
    {"", BALANCER_NONE},
    {"bb", BALANCER_NONE},
    {"s.t.c", 2},
};

START_TEST(the_applications_value_or_its_end_names_a_server)
{
    struct conf_pool conf = {.sticky.mode = CONF_STICKY_PASSIVE};
    struct conf_server servers[SERVERS] = {{.sticky_id = SLICE("n.1")}};
    struct pool *pool = pool_of(&conf, servers, NULL);
    for (size_t i = 0; i < ARRAY_LEN(passive); i++) {
        ck_assert_msg(pool_sticky_find(pool->sticky, slice_from(passive[i].value), 7) ==
                          passive[i].member,
                      "%s", passive[i].value);
    }
    pool_unref(pool);
}
END_TEST

static const struct {
    enum server_health health;
    enum server_admin admin;
    bool moves_on_drain;
    bool fail_open; /* and all others are down */
    bool stays;
} states[] = {
    {SERVER_UP, SERVER_READY, false, false, true},
    {SERVER_UP, SERVER_READY, true, false, true},
    {SERVER_DOWN, SERVER_READY, false, false, false},
    {SERVER_DOWN, SERVER_READY, false, true, true},
    {SERVER_UP, SERVER_DRAIN, false, false, true},
    {SERVER_UP, SERVER_DRAIN, true, false, false},
    {SERVER_UP, SERVER_DRAIN, true, true, false},
    {SERVER_DOWN, SERVER_DRAIN, false, false, false},
    {SERVER_UNRESOLVED, SERVER_DRAIN, false, false, false},
    {SERVER_UP, SERVER_MAINT, false, false, false},
    {SERVER_DOWN, SERVER_MAINT, false, true, false},
};

START_TEST(who_may_stay)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct conf_pool conf = {0};
        struct conf_server servers[SERVERS] = {0};
        struct pool *pool = pool_of(&conf, servers, NULL);
        pool->sticky->moves_on_drain = states[i].moves_on_drain;
        pool->fail_open = states[i].fail_open;
        for (uint32_t k = 0; k < SERVERS; k++) {
            (void)server_set_health(pool->members[k].server,
                                    states[i].fail_open ? SERVER_DOWN : SERVER_UP, 2);
        }
        (void)server_set_health(pool->members[1].server, states[i].health, 2);
        (void)server_set_admin(pool->members[1].server, states[i].admin, 2);
        ck_assert_msg(pool_sticky_may_stay(pool, 1) == states[i].stays, "case %zu", i);
        pool_unref(pool);
    }
}
END_TEST

START_TEST(what_is_learnt_survives_changes)
{
    struct conf_pool conf = {.sticky.mode = CONF_STICKY_LEARN,
                             .sticky.learn = {.entries = 64, .ttl_ms = 5000}};
    struct conf_server servers[SERVERS] = {0};
    uint32_t now_s = (uint32_t)(now_ms() / 1000);
    struct pool *pool = pool_of(&conf, servers, NULL);
    learned_put(pool->sticky->learned, learned_key(SLICE("s")), pool->sticky->servers.ids[1],
                now_s);
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE("s"), now_s), 1);
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE("t"), now_s), BALANCER_NONE);

    struct pool *next = pool_of(&conf, servers, pool); /* the same table */
    ck_assert_ptr_eq(next->sticky->learned, pool->sticky->learned);
    pool_unref(pool);
    conf.sticky.learn.entries = 100; /* another one, of the same content */
    pool = pool_of(&conf, servers, next);
    ck_assert_ptr_ne(next->sticky->learned, pool->sticky->learned);
    ck_assert_uint_eq(pool_sticky_find(pool->sticky, SLICE("s"), now_s), 1);
    pool_unref(next);
    pool_unref(pool);
}
END_TEST

UNIT_TESTS("pool_sticky", what_is_written_is_found,
           the_applications_value_or_its_end_names_a_server, who_may_stay,
           what_is_learnt_survives_changes)
