#include "lbd/base/cidr.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct addr_small small(const char *ip)
{
    struct addr address;
    struct addr_small out = {.family = AF_UNIX};
    if (strcmp(ip, "unix") != 0) {
        ck_assert_msg(addr_from_ip(slice_from(ip), 0, &address), "%s", ip);
        addr_small_from(&out, &address.u.any);
    }
    return out;
}

START_TEST(networks_are_written_one_way)
{
    static const struct {
        const char *text;
        bool ok;
        bool is_v6;
        uint8_t bits;
    } cases[] = {
        {"10.0.0.0/8", true, false, 104},
        {"10.1.2.3", true, false, 128},
        {"10.1.2.3/32", true, false, 128},
        {"0.0.0.0/0", true, false, 96},
        {"10.128.0.0/9", true, false, 105},
        {"::/0", true, true, 0},
        {"::1", true, true, 128},
        {"2001:db8::/32", true, true, 32},
        {"2001:db8::/33", true, true, 33},
        {"::ffff:10.0.0.0/104", true, false, 104},
        {"::ffff:0:0/96", true, false, 96},
        {"10.0.0.1/8", false, false, 0},
        {"10.64.0.0/9", false, false, 0},
        {"2001:db8::1/32", false, false, 0},
        {"::ffff:0:0/95", false, false, 0}, /* bits behind the prefix */
        {"10.0.0.0/33", false, false, 0},
        {"::/129", false, false, 0},
        {"10.0.0.0/08", false, false, 0},
        {"10.0.0.0/", false, false, 0},
        {"10.0.0.0/-1", false, false, 0},
        {"10.0.0.0/8 ", false, false, 0},
        {"10.0.0.0/8/8", false, false, 0},
        {"10.0.0/8", false, false, 0},
        {"10.0.0.0/255.0.0.0", false, false, 0},
        {"/8", false, false, 0},
        {"", false, false, 0},
        {"unix", false, false, 0},
        {"localhost", false, false, 0},
        {"[::1]/128", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cidr cidr;
        bool ok = cidr_parse(slice_from(cases[i].text), &cidr);
        ck_assert_msg(ok == cases[i].ok, "'%s' was %s", cases[i].text, ok ? "taken" : "refused");
        if (ok) {
            ck_assert_msg(cidr.bits == cases[i].bits && cidr.is_v6 == cases[i].is_v6,
                          "'%s': %d bits, %d", cases[i].text, cidr.bits, cidr.is_v6);
        }
    }
}
END_TEST

START_TEST(a_set_knows_what_lies_in_it)
{
    static const char *const texts[] = {
        "10.0.0.0/8",      "10.1.0.0/16",   "10.1.2.3",       "192.168.1.128/25",
        "203.0.113.9",     "2001:db8::/32", "unix",           "fd00::/8",
        "2001:db8:1::/48", "10.0.0.0/8",    "::ffff:1.2.3.4",
    };
    static const struct {
        const char *ip;
        bool in;
    } cases[] = {
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"10.1.2.4", true},
        {"9.255.255.255", false},
        {"11.0.0.0", false},
        {"192.168.1.128", true},
        {"192.168.1.127", false},
        {"192.168.2.0", false},
        {"203.0.113.9", true},
        {"203.0.113.8", false},
        {"203.0.113.10", false},
        {"2001:db8::", true},
        {"2001:db8:1::5", true},
        {"2001:db9::", false},
        {"2001:db7:ffff::", false},
        {"fdff::1", true},
        {"fe00::", false},
        {"::1", false},
        {"::ffff:10.0.0.1", true},
        {"1.2.3.4", true},
        {"unix", true},
        {"255.255.255.255", false},
        {"0.0.0.0", false},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    };
    struct slice list[ARRAY_LEN(texts)];
    struct arena arena;
    struct cidr_set set;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        list[i] = slice_from(texts[i]);
    }
    ck_assert(cidr_set_build(&set, &arena, list, ARRAY_LEN(texts)));
    ck_assert_uint_eq(set.count, 6); /* what lies inside another is gone */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr_small address = small(cases[i].ip);
        ck_assert_msg(cidr_set_has(&set, &address) == cases[i].in, "%s", cases[i].ip);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(an_empty_set_has_nobody)
{
    struct arena arena;
    struct cidr_set set;
    struct addr_small local = small("unix");
    struct addr_small v4 = small("127.0.0.1");
    struct addr_small none = {0};
    const struct slice odd[] = {SLICE("nonsense"), SLICE("::/0")};
    arena_init(&arena, NULL, 0);
    ck_assert(cidr_set_build(&set, &arena, NULL, 0));
    ck_assert(cidr_set_is_empty(&set));
    ck_assert(!cidr_set_has(&set, &local) && !cidr_set_has(&set, &v4));
    ck_assert(!cidr_set_build(&set, &arena, odd, 2));
    ck_assert(!cidr_set_is_empty(&set));
    /* all of IPv6 is not all */
    ck_assert(!cidr_set_has(&set, &v4) && !cidr_set_has(&set, &local) &&
              !cidr_set_has(&set, &none));
    arena_fini(&arena);
}
END_TEST

START_TEST(a_set_says_what_its_networks_say)
{
    enum { NETWORKS = 40 };
    uint32_t state = 7;
    for (int round = 0; round < 40; round++) {
        char texts[NETWORKS][64];
        struct slice list[NETWORKS];
        struct cidr each[NETWORKS];
        struct arena arena;
        struct cidr_set set;
        arena_init(&arena, NULL, 0);
        for (size_t i = 0; i < NETWORKS; i++) {
            state = state * 1664525U + 1013904223U;
            unsigned bits = (state >> 8U) % 9U + 24U;
            unsigned low = (state >> 16U & 0xffU) & ~(0xffU >> (bits - 24U));
            (void)snprintf(texts[i], sizeof(texts[i]),
                           i % 2 == 0 ? "10.0.%u.%u/%u" : "fd::%x%02x/%u", (state >> 28U) % 3U, low,
                           i % 2 == 0 ? bits : bits + 96U);
            list[i] = slice_from(texts[i]);
            ck_assert_msg(cidr_parse(list[i], &each[i]), "%s", texts[i]);
        }
        ck_assert(cidr_set_build(&set, &arena, list, NETWORKS));
        for (unsigned at = 0; at < 2048; at++) {
            struct addr_small address = small(at % 2 == 0 ? "10.0.0.0" : "fd::");
            address.ip[14] = (uint8_t)(at >> 9U);
            address.ip[15] = (uint8_t)(at >> 1U);
            bool want = false;
            for (size_t i = 0; i < NETWORKS; i++) {
                want = want || cidr_has(&each[i], &address);
            }
            unit_expect(cidr_set_has(&set, &address) == want, "round %d, %u", round, at);
        }
        arena_fini(&arena);
    }
}
END_TEST

UNIT_TESTS("cidr", networks_are_written_one_way, a_set_knows_what_lies_in_it,
           an_empty_set_has_nobody, a_set_says_what_its_networks_say)
