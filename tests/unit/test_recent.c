#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/stats/recent.h"
#include "tests/unit/unit.h"

static struct recent recent;

static void put(uint64_t number, size_t path_len)
{
    static char path[RECENT_PATH * 2];
    char server[16];
    memset(path, 'a' + (char)(number % 26), sizeof(path));
    (void)snprintf(server, sizeof(server), "s%u", (unsigned)number);
    const struct recent_try tries[] = {
        {.server = slice_from(server), .reason = CLOSE_CONNECT_REFUSED, .took_us = number},
        {.server = SLICE("last"), .reason = CLOSE_OK, .began_us = number},
    };
    const struct recent_candidate candidates[] = {{slice_from(server), "full"}};
    const struct recent_policy policies[] = {{SLICE("first"), "passed"},
                                             {slice_from(server), "refused"}};
    const struct recent_entry entry = {
        .record = {.connection_id = number,
                   .path = slice_of(path, path_len),
                   .reason = CLOSE_SERVER_LIMIT,
                   .request_id = slice_from(server)},
        .try_count = ARRAY_LEN(tries),
        .tries = tries,
        .candidate_count = 1,
        .candidate_total = 7,
        .candidates = candidates,
        .policies = policies,
        .policy_count = ARRAY_LEN(policies),
    };
    recent_put(&recent, &entry);
    memset(server, '?', sizeof(server)); /* nothing may point here any more */
}

static uint64_t expected;
static uint32_t seen;

/* Checked at once: an assertion for each of so many entries takes its time. */
static bool look(const struct recent_entry *entry, void *arg)
{
    char server[16];
    (void)arg;
    (void)snprintf(server, sizeof(server), "s%u", (unsigned)expected);
    struct slice name = slice_from(server);
    bool is_whole =
        entry->record.connection_id == expected && slice_eq(entry->record.request_id, name) &&
        entry->try_count == 2 && slice_eq(entry->tries[0].server, name) &&
        entry->tries[0].took_us == expected && slice_eq(entry->tries[1].server, SLICE("last")) &&
        slice_eq(entry->candidates[0].server, name) &&
        strcmp(entry->candidates[0].state, "full") == 0 && entry->candidate_total == 7 &&
        entry->policy_count == 2 && slice_eq(entry->policies[1].name, name) &&
        strcmp(entry->policies[1].decision, "refused") == 0;
    for (size_t i = 0; i < entry->record.path.len; i++) {
        is_whole = is_whole && entry->record.path.ptr[i] == 'a' + (char)(expected % 26);
    }
    ck_assert_msg(is_whole, "entry %u", (unsigned)expected);
    expected--;
    seen++;
    return true;
}

/* From `newest` on down, each whole. Returns how many there are. */
static uint32_t check(uint64_t newest)
{
    expected = newest;
    seen = 0;
    recent_each(&recent, look, NULL);
    return seen;
}

START_TEST(an_empty_one_costs_nothing)
{
    ck_assert_ptr_null(recent.bytes);
    ck_assert_uint_eq(check(0), 0);
    recent_fini(&recent);
}
END_TEST

START_TEST(the_newest_come_first_and_the_oldest_go)
{
    for (uint64_t i = 1; i <= 3000; i++) {
        put(i, 4);
        if (i % 211 != 0) {
            continue;
        }
        uint32_t kept = check(i);
        ck_assert_uint_le(kept, RECENT_ENTRIES);
        ck_assert(kept == i || kept >= 200);
    }
    recent_fini(&recent);
}
END_TEST

START_TEST(any_mixture_of_sizes_stays_whole)
{
    uint32_t random = 1;
    for (uint64_t i = 1; i <= 5000; i++) {
        random = random * 1103515245U + 12345U;
        put(i, random >> 16U & (RECENT_PATH - 1));
        ck_assert(i % 211 != 0 || check(i) >= 100);
    }
    recent_fini(&recent);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    put(1, RECENT_PATH * 2);
    ck_assert_uint_eq(check(1), 1);
    recent_fini(&recent);
}
END_TEST

static struct recent_entry *copied;

static bool take(const struct recent_entry *entry, void *arg)
{
    (void)arg;
    copied = recent_copy(entry);
    return false; /* the newest only */
}

START_TEST(a_copy_outlives_the_ring)
{
    put(1, 8);
    put(2, 8);
    recent_each(&recent, take, NULL);
    recent_fini(&recent);
    expected = 2;
    ck_assert(look(copied, NULL));
    ck_assert_uint_eq(copied->record.path.len, 8);
    free(copied);
}
END_TEST

UNIT_TESTS("recent", an_empty_one_costs_nothing, the_newest_come_first_and_the_oldest_go,
           any_mixture_of_sizes_stays_whole, long_texts_are_cut, a_copy_outlives_the_ring)
