#include <string.h>
#include <sys/socket.h>

#include "lbd/proxy/balance_key.h"
#include "tests/unit/unit.h"

static struct addr_small client_of(const char *ip, uint16_t port)
{
    struct addr address;
    struct addr_small client;
    ck_assert(addr_from_ip(slice_from(ip), port, &address));
    addr_small_from(&client, &address.u.any);
    return client;
}

/* The state after a request of this client and path; the query is "?id=" and the path. */
static struct balancer_state key_of(enum pool_key key, const struct addr_small *client,
                                    const char *path)
{
    struct pool pool = {.key = key, .key_name = SLICE("id")};
    struct balancer_state state = {0};
    char query[64];
    pool.balancer.kind = BALANCER_MAGLEV;
    if (path == NULL) {
        balance_key_set(&pool, NULL, client, 5, &state);
        return state;
    }
    (void)snprintf(query, sizeof(query), "?id=%s", path);
    struct message request;
    message_begin(&request, NULL, 0);
    request.path = slice_from(path);
    request.query = slice_from(query);
    balance_key_set(&pool, &request, client, 5, &state);
    return state;
}

START_TEST(the_source_is_the_address_without_its_port)
{
    struct addr_small a = client_of("192.0.2.1", 1000);
    struct addr_small same = client_of("192.0.2.1", 2000);
    struct addr_small other = client_of("192.0.2.2", 1000);
    struct addr_small six = client_of("2001:db8::1", 1000);
    struct addr_small six_other = client_of("2001:db8::2", 1000);
    struct addr_small local = {.family = AF_UNIX};
    struct balancer_state state = key_of(POOL_KEY_SOURCE, &a, "/");
    ck_assert(state.has_key);
    ck_assert_uint_eq(state.now_us, 5);
    ck_assert_uint_eq(key_of(POOL_KEY_SOURCE, &same, "/x").key, state.key);
    ck_assert_uint_eq(key_of(POOL_KEY_SOURCE, &same, NULL).key, state.key); /* TCP */
    ck_assert_uint_ne(key_of(POOL_KEY_SOURCE, &other, "/").key, state.key);
    ck_assert_uint_ne(key_of(POOL_KEY_SOURCE, &six, "/").key,
                      key_of(POOL_KEY_SOURCE, &six_other, "/").key);
    ck_assert(!key_of(POOL_KEY_SOURCE, &local, "/").has_key);
}
END_TEST

START_TEST(others_need_a_request_that_has_it)
{
    static const enum pool_key keys[] = {POOL_KEY_HEADER, POOL_KEY_COOKIE, POOL_KEY_PATH,
                                         POOL_KEY_QUERY};
    struct addr_small a = client_of("192.0.2.1", 1000);
    struct addr_small b = client_of("192.0.2.2", 1000);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        bool is_there = keys[i] == POOL_KEY_PATH || keys[i] == POOL_KEY_QUERY;
        ck_assert(!key_of(keys[i], &a, NULL).has_key);
        ck_assert(!key_of(keys[i], &a, "").has_key);
        ck_assert(key_of(keys[i], &a, "/x").has_key == is_there);
        ck_assert_uint_eq(key_of(keys[i], &a, "/x").key, key_of(keys[i], &b, "/x").key);
        ck_assert(!is_there || key_of(keys[i], &a, "/x").key != key_of(keys[i], &a, "/y").key);
    }
}
END_TEST

START_TEST(a_parameter_is_read_as_servers_do)
{
    static const char *const same[] = {"?id=a+b", "?id=a%20b", "?i%64=a%20b",
                                       "?%69%44=x&%69d=%61 b", "?x=1&id=a b&id=c"};
    static const char *const others[] = {"?id=ab", "?id=a%2520b", "?id=a%2bb", "?id=a%2"};
    struct addr_small a = client_of("192.0.2.1", 1000);
    struct pool pool = {.key = POOL_KEY_QUERY, .key_name = SLICE("id")};
    struct balancer_state state = {0};
    struct message request;
    pool.balancer.kind = BALANCER_MAGLEV;
    message_begin(&request, NULL, 0);
    request.query = SLICE("?id=a b");
    balance_key_set(&pool, &request, &a, 5, &state);
    uint64_t want = state.key;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        request.query = slice_from(same[i]);
        balance_key_set(&pool, &request, &a, 5, &state);
        ck_assert_msg(state.has_key && state.key == want, "%s", same[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        request.query = slice_from(others[i]);
        balance_key_set(&pool, &request, &a, 5, &state);
        ck_assert_msg(state.has_key && state.key != want, "%s", others[i]);
    }
    static char longest[2 * BALANCE_KEY_DECODED_MAX] = "?id=+";
    memset(longest + 5, 'x', sizeof(longest) - 5);
    request.query = slice_of(longest, sizeof(longest));
    balance_key_set(&pool, &request, &a, 5, &state);
    ck_assert(state.has_key);
}
END_TEST

/* What an algorithm without keys leaves alone. */
START_TEST(only_the_time_is_told_to_others)
{
    struct addr_small a = client_of("192.0.2.1", 1000);
    struct pool pool = {.key = POOL_KEY_SOURCE};
    struct balancer_state state = {.key = 77};
    balance_key_set(&pool, NULL, &a, 9, &state);
    ck_assert_uint_eq(state.now_us, 9);
    ck_assert_uint_eq(state.key, 77);
    ck_assert(!state.has_key);
}
END_TEST

UNIT_TESTS("balance_key", the_source_is_the_address_without_its_port,
           others_need_a_request_that_has_it, a_parameter_is_read_as_servers_do,
           only_the_time_is_told_to_others)
