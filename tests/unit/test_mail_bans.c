#include <string.h>

#include "lbd/proxy/mail_bans.h"
#include "tests/unit/unit.h"

static const struct mail_bans_limits limits = {.failures = 5, .window_ms = 60000, .ban_ms = 300000};

static struct addr_small ip(const char *text)
{
    struct addr addr;
    struct addr_small out;
    ck_assert(addr_from_ip(slice_from(text), 1, &addr));
    addr_small_from(&out, &addr.u.any);
    return out;
}

static bool fails(struct mail_bans *bans, const char *from, const char *user, uint64_t now_ms)
{
    struct addr_small address = ip(from);
    return mail_bans_failed(bans, &limits, &address, slice_from(user), now_ms);
}

static bool is_banned(struct mail_bans *bans, const char *from, const char *user, uint64_t now_ms)
{
    struct addr_small address = ip(from);
    return mail_bans_has(bans, &address, slice_from(user), now_ms, NULL);
}

START_TEST(an_address_is_banned_for_a_while)
{
    struct mail_bans *bans = mail_bans_new();
    ck_assert(!is_banned(bans, "192.0.2.1", "", 0));
    for (uint32_t i = 0; i < 5; i++) {
        char user[8];
        (void)snprintf(user, sizeof(user), "u%u", i);
        ck_assert(fails(bans, "192.0.2.1", user, 1000 + i) == (i == 4));
    }
    uint32_t left_ms;
    struct addr_small address = ip("192.0.2.1");
    ck_assert(mail_bans_has(bans, &address, SLICE("any"), 2004, &left_ms));
    ck_assert_uint_eq(left_ms, 299000);
    ck_assert(!is_banned(bans, "192.0.2.2", "u1", 2000));
    ck_assert(!is_banned(bans, "192.0.2.1", "", 301004));
    /* and counts anew */
    ck_assert(!fails(bans, "192.0.2.1", "x", 400000));
    mail_bans_free(bans);
}
END_TEST

START_TEST(failures_outside_of_the_window_do_not_add_up)
{
    struct mail_bans *bans = mail_bans_new();
    for (uint64_t i = 0; i < 50; i++) {
        ck_assert(!fails(bans, "192.0.2.1", "", 1 + i * 20000));
    }
    mail_bans_free(bans);
}
END_TEST

START_TEST(of_ipv6_the_network_counts)
{
    struct mail_bans *bans = mail_bans_new();
    static const char *const from[] = {"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1",
                                       "2001:db8:0:0:9::", "2001:db8::5"};
    for (size_t i = 0; i < 5; i++) {
        ck_assert(fails(bans, from[i], "", 1) == (i == 4));
    }
    ck_assert(is_banned(bans, "2001:db8::77", "", 2));
    ck_assert(!is_banned(bans, "2001:db8:0:1::1", "", 2));
    mail_bans_free(bans);
}
END_TEST

START_TEST(a_user_under_attack_gets_in_from_where_nobody_failed)
{
    struct mail_bans *bans = mail_bans_new();
    char from[24];
    for (uint32_t i = 0; i < 200; i++) {
        (void)snprintf(from, sizeof(from), "192.0.2.%u", i + 1);
        ck_assert(fails(bans, from, "joe", 1000) == (i >= 4));
        ck_assert(is_banned(bans, from, "joe", 1000) == (i >= 4)); /* one guess each */
        ck_assert(!is_banned(bans, from, "ann", 1000));
    }
    ck_assert(!is_banned(bans, "198.51.100.1", "joe", 1000));
    struct addr_small address = ip("192.0.2.77");
    mail_bans_passed(bans, &address, SLICE("joe"));
    ck_assert(!is_banned(bans, "192.0.2.77", "joe", 1000));
    mail_bans_free(bans);
}
END_TEST

static uint32_t rows;
static uint64_t last_id;
static void note(const struct mail_bans_row *row, void *arg)
{
    const uint64_t *now_ms = arg;
    ck_assert(row->until_ms > *now_ms);
    ck_assert_uint_eq(row->kind, MAIL_BANS_ADDRESS);
    rows++;
    last_id = row->id;
}

static uint32_t count(struct mail_bans *bans, uint64_t now_ms)
{
    uint64_t cursor = 0;
    rows = 0;
    do {
        mail_bans_walk(bans, &cursor, true, now_ms, note, &now_ms);
    } while (cursor != 0);
    return rows;
}

START_TEST(bans_are_listed_and_lifted)
{
    struct mail_bans *bans = mail_bans_new();
    for (uint32_t i = 0; i < 10 * 5; i++) {
        char from[24];
        (void)snprintf(from, sizeof(from), "192.0.2.%u", i / 5);
        (void)fails(bans, from, "", 1000);
    }
    ck_assert_uint_eq(count(bans, 1001), 10);
    ck_assert_uint_eq(mail_bans_lift(bans, last_id), 1);
    ck_assert_uint_eq(mail_bans_lift(bans, last_id), 0);
    struct addr_small address = ip("192.0.2.3");
    bool was_last = count(bans, 1001) == 9 && !is_banned(bans, "192.0.2.3", "", 1001);
    ck_assert_uint_eq(mail_bans_lift_address(bans, &address), was_last ? 0 : 1);
    ck_assert(!is_banned(bans, "192.0.2.3", "", 1001));
    (void)mail_bans_lift_all(bans);
    ck_assert_uint_eq(count(bans, 1001), 0);
    mail_bans_free(bans);
}
END_TEST

START_TEST(a_flood_of_addresses_does_not_lift_bans)
{
    struct mail_bans *bans = mail_bans_new();
    for (uint32_t i = 0; i < 5; i++) {
        (void)fails(bans, "192.0.2.1", "", 1000);
    }
    for (uint32_t i = 0; i < 200000; i++) { /* twelve times what there is room for */
        struct addr_small address = ip("10.0.0.0");
        address.ip[13] = (uint8_t)(i >> 16U);
        address.ip[14] = (uint8_t)(i >> 8U);
        address.ip[15] = (uint8_t)i;
        (void)mail_bans_failed(bans, &limits, &address, SLICE_NONE, 1001);
    }
    ck_assert(is_banned(bans, "192.0.2.1", "", 1002));
    mail_bans_free(bans);
}
END_TEST

START_TEST(no_limit_no_ban)
{
    struct mail_bans *bans = mail_bans_new();
    const struct mail_bans_limits none = {.failures = 0};
    struct addr_small address = ip("192.0.2.1");
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert(!mail_bans_failed(bans, &none, &address, SLICE("joe"), 1));
    }
    ck_assert(!mail_bans_has(bans, &address, SLICE("joe"), 1, NULL));
    mail_bans_free(bans);
}
END_TEST

UNIT_TESTS("mail_bans", an_address_is_banned_for_a_while,
           failures_outside_of_the_window_do_not_add_up, of_ipv6_the_network_counts,
           a_user_under_attack_gets_in_from_where_nobody_failed, bans_are_listed_and_lifted,
           a_flood_of_addresses_does_not_lift_bans, no_limit_no_ban)
