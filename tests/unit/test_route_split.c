#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lbd/base/random.h"
#include "lbd/proxy/route_split.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

enum { CLIENTS = 20000, POOLS = 3 };

static struct arena arena;
static struct pool *const pools[POOLS] = {(struct pool *)8, (struct pool *)16, (struct pool *)24};

static struct route_split *split_of(uint32_t a, uint32_t b, uint32_t c)
{
    struct conf_weight weights[POOLS] = {
        {SLICE("stable"), a}, {SLICE("canary"), b}, {SLICE("third"), c}};
    const struct conf_split conf = {.pools = weights, .pool_count = POOLS};
    struct route_split *split = route_split_build(&arena, &conf);
    for (uint32_t i = 0; i < POOLS; i++) {
        split->arms[i].pool = pools[i];
    }
    return split;
}

static struct addr_small client_of(uint32_t i)
{
    struct addr_small client = {.family = AF_INET, .ip = {[10] = 0xff, [11] = 0xff, [12] = 10}};
    client.ip[13] = (uint8_t)(i >> 16);
    client.ip[14] = (uint8_t)(i >> 8);
    client.ip[15] = (uint8_t)i;
    return client;
}

static struct pool *pick(const struct route_split *split, uint32_t i)
{
    struct addr_small client = client_of(i);
    return split->arms[route_split_pick(split, NULL, &client, 0).arm].pool;
}

static struct pool *pick_for(const struct route_split *split, const struct message *request,
                             const struct addr_small *client)
{
    return split->arms[route_split_pick(split, request, client, 0).arm].pool;
}

static double share(const struct route_split *split, uint32_t of)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        count += pick(split, i) == pools[of];
    }
    return (double)count / CLIENTS;
}

START_TEST(shares_follow_weights)
{
    const struct route_split *split = split_of(90, 10, 0);
    ck_assert_double_lt(fabs(share(split, 0) - 0.9), 0.01);
    ck_assert_double_lt(fabs(share(split, 1) - 0.1), 0.01);
    ck_assert(share(split, 2) == 0); /* none at all */
    ck_assert(share(split_of(0, 0, 1), 2) == 1);
    ck_assert_double_lt(fabs(share(split_of(1, 1, 1), 2) - 1.0 / 3), 0.015);
}
END_TEST

/* From 90 to 80 per cent: a ninth of the clients of `stable` move, all to `canary`, and nobody
 * else. */
START_TEST(a_change_moves_what_must_move)
{
    const struct route_split *before = split_of(85, 10, 5);
    const struct route_split *after = split_of(75, 20, 5);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct pool *old = pick(before, i);
        struct pool *new = pick(after, i);
        ck_assert_ptr_eq(pick(before, i), old); /* who asks again stays */
        if (old != new) {
            moved++;
            ck_assert_msg(new == pools[1] || old == pools[0], "client %u moved for nothing", i);
            ck_assert_ptr_ne(old, pools[1]); /* nobody leaves a pool that grows */
            ck_assert_ptr_ne(new, pools[0]); /* nor comes to one that shrinks */
        }
    }
    ck_assert_double_lt(fabs((double)moved / CLIENTS - 0.1), 0.015);
}
END_TEST

START_TEST(keys_are_headers_and_cookies_too)
{
    struct route_split *split = split_of(1, 1, 0);
    struct head_of head;
    struct addr_small one = client_of(1);
    struct addr_small two = client_of(2);
    uint32_t pools_seen[2] = {0};
    split->key = CONF_SPLIT_KEY_COOKIE;
    split->name = SLICE("id");
    for (uint32_t i = 0; i < 100; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; id=%u\r\n\r\n",
                       i);
        head_of_request(&head, slice_from(text));
        struct pool *pool = pick_for(split, &head.message, &one);
        ck_assert_ptr_eq(pick_for(split, &head.message, &two), pool);
        ck_assert_ptr_eq(pick_for(split, &head.message, NULL), pool);
        pools_seen[pool == pools[1]]++;
    }
    ck_assert(pools_seen[0] > 20 && pools_seen[1] > 20);
    head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (uint32_t i = 0; i < 100; i++) { /* without one: by the address */
        struct addr_small client = client_of(i);
        ck_assert_ptr_eq(pick_for(split, &head.message, &client), pick(split_of(1, 1, 0), i));
    }
}
END_TEST

/* The same with a cookie, made with this key. */
static struct route_split *with_cookie(uint32_t a, uint32_t b, uint32_t c, uint64_t key)
{
    struct conf_weight weights[POOLS] = {
        {SLICE("stable"), a}, {SLICE("canary"), b}, {SLICE("third"), c}};
    const struct conf_split conf = {
        .pools = weights, .pool_count = POOLS, .has_cookie = 1, .cookie = {.name = SLICE("s")}};
    const uint64_t keys[2] = {key, 7};
    struct route_split *split = split_of(a, b, c);
    route_split_build_cookie(split, &arena, &conf, keys);
    return split;
}

/* The head is of the newest call. */
static void bring(struct head_of *head, const struct route_split *split, uint32_t arm)
{
    static char text[128];
    char value[ROUTE_SPLIT_VALUE];
    route_split_write(split, arm, value);
    (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; s=%.*s\r\n\r\n",
                   (int)sizeof value, value);
    head_of_request(head, slice_from(text));
}

START_TEST(a_cookie_keeps_its_client)
{
    const struct route_split *split = with_cookie(1, 1, 1, 1);
    struct head_of head;
    for (uint32_t arm = 0; arm < POOLS; arm++) {
        bring(&head, split, arm);
        for (uint32_t i = 0; i < 100; i++) { /* from wherever it comes */
            struct addr_small client = client_of(i);
            struct route_split_choice choice = route_split_pick(split, &head.message, &client, 0);
            ck_assert_uint_eq(choice.arm, arm);
            ck_assert_int_eq(choice.by, ROUTE_SPLIT_BY_COOKIE);
            ck_assert_int_eq(choice.brought, ROUTE_SPLIT_ITS_POOL);
        }
        /* whatever the weights become */
        struct route_split_choice choice =
            route_split_pick(with_cookie(1, 1000000, 1, 1), &head.message, NULL, 0);
        ck_assert_uint_eq(choice.arm, arm);
    }
}
END_TEST

START_TEST(a_cookie_of_a_closed_pool_or_of_none_counts_for_nothing)
{
    static const char *const foreign[] = {
        "", "0", "0123456789abcdef", "0123456789abcdef0", "0123456789abcdeg", "canary", "\"\""};
    struct head_of head;
    const struct route_split *closed = with_cookie(3, 0, 1, 1);
    const struct route_split *plain = split_of(3, 0, 1);
    for (uint32_t i = 0; i < 100; i++) {
        struct addr_small client = client_of(i);
        bring(&head, closed, 1);
        struct route_split_choice choice = route_split_pick(closed, &head.message, &client, 0);
        ck_assert_int_eq(choice.brought, ROUTE_SPLIT_CLOSED);
        ck_assert_int_eq(choice.by, ROUTE_SPLIT_BY_ADDRESS);
        ck_assert_ptr_eq(closed->arms[choice.arm].pool, pick(plain, i));
        /* made with another secret */
        bring(&head, with_cookie(3, 0, 1, 2), 0);
        choice = route_split_pick(closed, &head.message, &client, 0);
        ck_assert_int_eq(choice.brought, ROUTE_SPLIT_UNKNOWN);
        ck_assert_ptr_eq(closed->arms[choice.arm].pool, pick(plain, i));
    }
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nCookie: s=%s\r\n\r\n",
                       foreign[i]);
        head_of_request(&head, slice_from(text));
        struct route_split_choice choice = route_split_pick(closed, &head.message, NULL, 0);
        ck_assert_msg(choice.brought == ROUTE_SPLIT_UNKNOWN, "'%s'", foreign[i]);
        ck_assert_int_ne(choice.by, ROUTE_SPLIT_BY_COOKIE);
    }
    /* the cookie of a split that wants none says nothing */
    bring(&head, closed, 0);
    ck_assert_int_eq(route_split_pick(split_of(0, 1, 0), &head.message, NULL, 0).brought,
                     ROUTE_SPLIT_NOTHING);
}
END_TEST

/* Without a key, and with a cookie that keeps clients: whom chance says. */
START_TEST(chance_draws_those_without_a_cookie)
{
    struct conf_weight weights[POOLS] = {
        {SLICE("stable"), 90}, {SLICE("canary"), 10}, {SLICE("third"), 0}};
    const struct addr_small client = client_of(1);
    struct conf_split conf = {.pools = weights, .pool_count = POOLS, .key = CONF_SPLIT_KEY_AUTO};
    ck_assert_int_eq(route_split_build(&arena, &conf)->key, CONF_SPLIT_KEY_SOURCE);
    conf.has_cookie = 1;
    const struct route_split *split = route_split_build(&arena, &conf);
    uint32_t count[POOLS] = {0};
    struct random random;
    random_seed_with(&random, 7);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct route_split_choice choice =
            route_split_pick(split, NULL, &client, random_u64(&random));
        ck_assert_int_eq(choice.by, ROUTE_SPLIT_BY_CHANCE);
        count[choice.arm]++;
    }
    ck_assert_double_lt(fabs((double)count[0] / CLIENTS - 0.9), 0.01);
    ck_assert_uint_eq(count[2], 0);
}
END_TEST

static void setup(void)
{
    arena_init(&arena, NULL, 0);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, shares_follow_weights);
    tcase_add_test(tcase, a_change_moves_what_must_move);
    tcase_add_test(tcase, keys_are_headers_and_cookies_too);
    tcase_add_test(tcase, a_cookie_keeps_its_client);
    tcase_add_test(tcase, a_cookie_of_a_closed_pool_or_of_none_counts_for_nothing);
    tcase_add_test(tcase, chance_draws_those_without_a_cookie);
}

UNIT_MAIN("route_split", add_all)
