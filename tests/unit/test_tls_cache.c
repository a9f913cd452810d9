#include <stdio.h>
#include <string.h>

#include "lbd/tls/tls_cache.h"
#include "tests/unit/unit.h"

#define SECOND_US UINT64_C(1000000)

static const uint8_t web[32] = {1};
static const uint8_t shop[32] = {1, 2};

static struct slice id_of(unsigned number, char room[TLS_CACHE_ID_MAX])
{
    memset(room, 0, TLS_CACHE_ID_MAX);
    (void)snprintf(room, TLS_CACHE_ID_MAX, "id %u", number);
    return slice_of(room, TLS_CACHE_ID_MAX);
}

static bool has(struct slice id, const uint8_t policy[32], uint64_t now_us, struct slice want)
{
    uint8_t out[TLS_CACHE_SESSION_MAX];
    size_t len = tls_cache_get(id, policy, now_us, out);
    return slice_eq(slice_of((const char *)out, len), want);
}

START_TEST(a_session_belongs_to_its_policy)
{
    char room[TLS_CACHE_ID_MAX];
    struct slice id = id_of(1, room);
    tls_cache_put(id, web, SLICE("session"), 5);
    ck_assert(has(id, web, 6, SLICE("session")));
    ck_assert(has(id, shop, 6, SLICE_NONE)); /* R12 */
    tls_cache_put(id, shop, SLICE("another"), 5);
    ck_assert(has(id, shop, 6, SLICE("another")));
    ck_assert(has(id, web, 6, SLICE("session")));
    tls_cache_put(id, web, SLICE("fresh"), 7);
    ck_assert(has(id, web, 8, SLICE("fresh")));
    tls_cache_clear();
    ck_assert(has(id, web, 8, SLICE_NONE));
}
END_TEST

START_TEST(the_old_goes)
{
    char room[TLS_CACHE_ID_MAX];
    struct slice id = id_of(1, room);
    tls_cache_put(id, web, SLICE("session"), SECOND_US);
    ck_assert(has(id, web, (1 + TLS_CACHE_SECONDS) * SECOND_US, SLICE("session")));
    ck_assert(has(id, web, (2 + TLS_CACHE_SECONDS) * SECOND_US, SLICE_NONE));
    ck_assert(has(id, web, SECOND_US, SLICE_NONE)); /* for good */

    unsigned found = 0;
    for (unsigned i = 0; i < 2 * TLS_CACHE_ENTRIES; i++) {
        tls_cache_put(id_of(i, room), web, SLICE("s"), SECOND_US);
    }
    for (unsigned i = 0; i < 2 * TLS_CACHE_ENTRIES; i++) {
        bool is_there = has(id_of(i, room), web, SECOND_US, SLICE("s"));
        found += is_there ? 1 : 0;
        unit_expect(i + 1000 < 2 * TLS_CACHE_ENTRIES || is_there, "%u is new and gone", i);
    }
    ck_assert_uint_le(found, TLS_CACHE_ENTRIES);
    ck_assert_uint_ge(found, TLS_CACHE_ENTRIES - TLS_CACHE_ENTRIES / 32);
    tls_cache_clear();
}
END_TEST

START_TEST(what_is_too_large_is_not_kept)
{
    static char large[TLS_CACHE_SESSION_MAX + 1];
    char room[TLS_CACHE_ID_MAX + 1] = "x";
    struct slice id = slice_of(room, TLS_CACHE_ID_MAX);
    tls_cache_put(id, web, slice_of(large, sizeof(large)), 1);
    ck_assert(has(id, web, 1, SLICE_NONE));
    tls_cache_put(id, web, slice_of(large, sizeof(large) - 1), 1);
    ck_assert(has(id, web, 1, slice_of(large, sizeof(large) - 1)));
    tls_cache_put(slice_of(room, sizeof(room)), web, SLICE("s"), 1);
    ck_assert(has(slice_of(room, sizeof(room)), web, 1, SLICE_NONE));
    tls_cache_put(SLICE_NONE, web, SLICE("s"), 1);
    ck_assert(has(SLICE_NONE, web, 1, SLICE_NONE));
    tls_cache_clear();
}
END_TEST

UNIT_TESTS("tls_cache", a_session_belongs_to_its_policy, the_old_goes,
           what_is_too_large_is_not_kept)
