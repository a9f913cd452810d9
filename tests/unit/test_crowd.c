#include <arpa/inet.h>
#include <string.h>

#include "lbd/proxy/crowd.h"
#include "tests/unit/unit.h"

static struct addr_small address_of(const char *ip)
{
    struct addr_small small;
    struct addr addr;
    ck_assert(addr_from_ip(slice_from(ip), 1234, &addr));
    addr_small_from(&small, &addr.u.any);
    return small;
}

START_TEST(an_address_has_its_limit_and_others_theirs)
{
    struct crowd *crowd = crowd_new();
    struct addr_small one = address_of("192.0.2.1");
    struct addr_small other = address_of("192.0.2.2");
    ck_assert(crowd_join(crowd, &one, 2));
    ck_assert(crowd_join(crowd, &one, 2));
    ck_assert(!crowd_join(crowd, &one, 2));
    ck_assert(crowd_join(crowd, &other, 2));
    ck_assert_uint_eq(crowd_count(crowd, &one), 2);
    crowd_leave(crowd, &one);
    ck_assert(crowd_join(crowd, &one, 2));
    crowd_leave(crowd, &one);
    crowd_leave(crowd, &one);
    crowd_leave(crowd, &other);
    ck_assert_uint_eq(crowd_count(crowd, &one), 0);
    crowd_free(crowd);
}
END_TEST

START_TEST(of_ipv6_the_network_counts)
{
    struct crowd *crowd = crowd_new();
    struct addr_small one = address_of("2001:db8:1:2::1");
    struct addr_small same = address_of("2001:db8:1:2:ffff::9");
    struct addr_small other = address_of("2001:db8:1:3::1");
    ck_assert(crowd_join(crowd, &one, 1));
    ck_assert(!crowd_join(crowd, &same, 1));
    ck_assert(crowd_join(crowd, &other, 1));
    crowd_leave(crowd, &same);
    crowd_leave(crowd, &other);
    crowd_free(crowd);
}
END_TEST

START_TEST(nobody_counts_unix_sockets_and_without_a_limit_all_come_in)
{
    struct crowd *crowd = crowd_new();
    struct addr_small local = {.family = AF_UNIX};
    struct addr_small one = address_of("192.0.2.1");
    for (int i = 0; i < 10; i++) {
        ck_assert(crowd_join(crowd, &local, 1));
        ck_assert(crowd_join(crowd, &one, 0));
    }
    ck_assert_uint_eq(crowd_count(crowd, &local), 0);
    ck_assert_uint_eq(crowd_count(crowd, &one), 10);
    crowd_leave(crowd, &local);
    crowd_free(crowd);
}
END_TEST

/* Many, so that places are pushed around, and all of them again in another order. */
START_TEST(what_leaves_does_not_hide_what_stays)
{
    enum { COUNT = 5000 };
    struct crowd *crowd = crowd_new();
    struct addr_small address = address_of("10.0.0.0");
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(address.ip + 12, &i, 4);
        ck_assert(crowd_join(crowd, &address, 1));
    }
    for (uint32_t i = 0; i < COUNT; i += 3) {
        memcpy(address.ip + 12, &i, 4);
        crowd_leave(crowd, &address);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(address.ip + 12, &i, 4);
        ck_assert_uint_eq(crowd_count(crowd, &address), i % 3 == 0 ? 0 : 1);
        if (i % 3 != 0) {
            crowd_leave(crowd, &address);
        }
        ck_assert_uint_eq(crowd_count(crowd, &address), 0);
    }
    crowd_free(crowd);
}
END_TEST

UNIT_TESTS("crowd", an_address_has_its_limit_and_others_theirs, of_ipv6_the_network_counts,
           nobody_counts_unix_sockets_and_without_a_limit_all_come_in,
           what_leaves_does_not_hide_what_stays)
