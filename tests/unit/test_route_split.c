#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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
    return route_split_pick(split, NULL, &client);
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
    split->key = CONF_HASH_KEY_COOKIE;
    split->name = SLICE("id");
    for (uint32_t i = 0; i < 100; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; id=%u\r\n\r\n",
                       i);
        head_of_request(&head, slice_from(text));
        struct pool *pool = route_split_pick(split, &head.message, &one);
        ck_assert_ptr_eq(route_split_pick(split, &head.message, &two), pool);
        ck_assert_ptr_eq(route_split_pick(split, &head.message, NULL), pool);
        pools_seen[pool == pools[1]]++;
    }
    ck_assert(pools_seen[0] > 20 && pools_seen[1] > 20);
    head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (uint32_t i = 0; i < 100; i++) { /* without one: by the address */
        struct addr_small client = client_of(i);
        ck_assert_ptr_eq(route_split_pick(split, &head.message, &client),
                         pick(split_of(1, 1, 0), i));
    }
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
}

UNIT_MAIN("route_split", add_all)
