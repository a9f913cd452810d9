#include <arpa/inet.h>

#include "lbd/base/addr.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(text_goes_there_and_back)
{
    static const struct {
        const char *text;
        const char *back; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", 80},
        {"0.0.0.0:0", "0.0.0.0:0", 0},
        {"255.255.255.255:65535", "255.255.255.255:65535", 65535},
        {"[::1]:80", "[::1]:80", 80},
        {"[::]:8080", "[::]:8080", 8080},
        {"[2001:DB8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1", 1},
        {"[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1", 1},
        {"[1:0:0:0:0:0:0:0]:1", "[1::]:1", 1},
        {"[0:0:0:0:0:0:0:1]:1", "[::1]:1", 1},
        {"[::ffff:10.0.0.7]:1", "[::ffff:10.0.0.7]:1", 1},
        {"unix:/run/x.sock", "unix:/run/x.sock", 0},
        {"unix:@lbd", "unix:@lbd", 0},
        {"127.0.0.1", NULL, 0},
        {"127.0.0.1:", NULL, 0},
        {"127.0.0.1:65536", NULL, 0},
        {"127.0.0.1:080808", NULL, 0},
        {"127.0.0.1:-1", NULL, 0},
        {"127.0.0.1:80 ", NULL, 0},
        {" 127.0.0.1:80", NULL, 0},
        {"127.0.0.256:80", NULL, 0},
        {"127.1:80", NULL, 0},
        {"0x7f.0.0.1:80", NULL, 0},
        {"localhost:80", NULL, 0}, /* names are net/resolve's */
        {"::1:80", NULL, 0},
        {"[::1]", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[::1:80", NULL, 0},
        {"[127.0.0.1]:80", NULL, 0},
        {"[]:80", NULL, 0},
        {"[::1%lo]:80", NULL, 0},
        {":80", NULL, 0},
        {"", NULL, 0},
        {"unix:", NULL, 0},
        {"unix:/", NULL, 0},
        {"unix:relative", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr addr;
        struct addr again;
        char text[ADDR_TEXT_MAX];
        bool ok = addr_parse(slice_from(cases[i].text), &addr);
        ck_assert_msg(ok == (cases[i].back != NULL), "'%s' was %s", cases[i].text,
                      ok ? "taken" : "refused");
        if (!ok) {
            continue;
        }
        size_t len = addr_write(&addr, text);
        ck_assert_str_eq(text, cases[i].back);
        ck_assert_uint_eq(len, strlen(text));
        ck_assert_uint_eq(addr_port(&addr), cases[i].port);
        ck_assert(addr_parse(slice_of(text, len), &again));
        ck_assert(addr_eq(&addr, &again));
    }
}
END_TEST

START_TEST(unix_paths_have_a_limit)
{
    char text[200] = "unix:/";
    struct addr addr;
    memset(text + 6, 'x', sizeof(text) - 7);
    for (size_t path = 2; path < 120; path++) {
        bool ok = addr_parse(slice_of(text, 5 + path), &addr);
        ck_assert_msg(ok == (path < 108), "a path of %zu bytes was %s", path,
                      ok ? "taken" : "refused");
    }
    ck_assert(!addr_parse(SLICE("unix:/a\0b"), &addr));
    ck_assert(addr_is_unix(SLICE("unix:x")));
    ck_assert(!addr_is_unix(SLICE("unix")));
}
END_TEST

START_TEST(splits_host_and_port)
{
    static const struct {
        const char *text;
        bool allow_port_0;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        {"example.org:80", false, "example.org", 80},
        {"localhost:65535", false, "localhost", 65535},
        {"a_b-c:1", false, "a_b-c", 1},
        {"[::1]:80", false, "::1", 80},
        {"host:0", true, "host", 0},
        {"host:0", false, NULL, 0},
        {"host", false, NULL, 0},
        {"host:", false, NULL, 0},
        {"host:http", false, NULL, 0},
        {"ho st:80", false, NULL, 0},
        {"http://host:80", false, NULL, 0},
        {"user@host:80", false, NULL, 0},
        {"a:b:80", false, NULL, 0},
        {"host\n:80", false, NULL, 0},
        {":80", true, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice host = SLICE_NONE;
        uint16_t port = 9;
        bool ok = addr_split(slice_from(cases[i].text), cases[i].allow_port_0, &host, &port);
        ck_assert_msg(ok == (cases[i].host != NULL), "'%s' was %s", cases[i].text,
                      ok ? "taken" : "refused");
        if (ok) {
            ck_assert(slice_eq(host, slice_from(cases[i].host)));
            ck_assert_uint_eq(port, cases[i].port);
        }
    }
}
END_TEST

START_TEST(equality_looks_at_what_counts)
{
    static const char *const texts[] = {"127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80",
                                        "[::1]:80",     "[::1]:81",     "[::2]:80",
                                        "unix:/a",      "unix:/b",      "unix:@a"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t j = 0; j < ARRAY_LEN(texts); j++) {
            struct addr a;
            struct addr b;
            ck_assert(addr_parse(slice_from(texts[i]), &a) && addr_parse(slice_from(texts[j]), &b));
            ck_assert_msg(addr_eq(&a, &b) == (i == j), "'%s' and '%s'", texts[i], texts[j]);
        }
    }
    struct addr none = {.len = 0};
    struct addr some;
    char text[ADDR_TEXT_MAX];
    ck_assert(addr_parse(SLICE("127.0.0.1:80"), &some));
    ck_assert(addr_eq(&none, &none));
    ck_assert(!addr_eq(&none, &some));
    ck_assert_uint_eq(addr_write(&none, text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(addr_port(&none), 0);
    static const char *const places[] = {"10.0.0.1:80", "[::1]:80", "unix:/x"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct addr addr;
        ck_assert(addr_parse(slice_from(places[i]), &addr));
        addr_set_port(&addr, 9000);
        ck_assert_uint_eq(addr_port(&addr), addr_is_unix(slice_from(places[i])) ? 0 : 9000);
    }
}
END_TEST

START_TEST(small_addresses_say_the_same)
{
    static const struct {
        const char *text;
        const char *ip;
        const char *whole;
    } cases[] = {
        {"10.1.2.3:443", "10.1.2.3", "10.1.2.3:443"},
        {"[2001:db8::7]:443", "2001:db8::7", "[2001:db8::7]:443"},
        {"[::ffff:10.1.2.3]:443", "10.1.2.3", "10.1.2.3:443"}, /* a v4 client of a v6 socket */
        {"unix:/run/x", "unix", "unix"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr addr;
        struct addr copy;
        struct addr_small small;
        char text[ADDR_TEXT_MAX];
        ck_assert(addr_parse(slice_from(cases[i].text), &addr));
        addr_from_sockaddr(&copy, &addr.u.any, addr.len);
        ck_assert(addr_eq(&addr, &copy));
        addr_small_from(&small, &addr.u.any);
        ck_assert_uint_eq(addr_small_write_ip(&small, text), strlen(cases[i].ip));
        ck_assert_str_eq(text, cases[i].ip);
        ck_assert_uint_eq(addr_small_write(&small, text), strlen(cases[i].whole));
        ck_assert_str_eq(text, cases[i].whole);
    }
    struct addr_small none = {0};
    char text[ADDR_TEXT_MAX];
    ck_assert_uint_eq(addr_small_write(&none, text), 0);
    ck_assert_uint_eq(sizeof(struct addr_small), 20);
}
END_TEST

START_TEST(an_ip_is_the_same_whatever_its_port)
{
    static const char *const texts[] = {"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "[::1]:1"};
    struct addr_small small[ARRAY_LEN(texts)];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr addr;
        ck_assert(addr_parse(slice_from(texts[i]), &addr));
        addr_small_from(&small[i], &addr.u.any);
    }
    ck_assert(addr_small_is_same_ip(&small[0], &small[1]));
    ck_assert(!addr_small_is_same_ip(&small[0], &small[2]));
    ck_assert(!addr_small_is_same_ip(&small[0], &small[3]));
}
END_TEST

START_TEST(the_longest_ip_fills_its_room)
{
    static const char *const texts[] = {"1111:2222:3333:4444:5555:6666:7777:8888",
                                        "255.255.255.255"};
    char *room = mem_alloc(ADDR_IP_TEXT_MAX); /* of its own: one byte more is found */
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr addr;
        struct addr_small small;
        ck_assert(addr_from_ip(slice_from(texts[i]), 65535, &addr));
        addr_small_from(&small, &addr.u.any);
        ck_assert_uint_eq(addr_small_write_ip(&small, room), strlen(texts[i]));
        ck_assert_str_eq(room, texts[i]);
    }
    ck_assert_uint_eq(strlen(texts[0]) + 1, ADDR_IP_TEXT_MAX);
    free(room);
}
END_TEST

START_TEST(v6_text_is_what_the_library_writes)
{
    uint32_t state = 99;
    for (size_t i = 0; i < 20000; i++) {
        struct addr addr = {.len = sizeof(struct sockaddr_in6)};
        char got[ADDR_TEXT_MAX];
        char want[INET6_ADDRSTRLEN];
        char whole[ADDR_TEXT_MAX];
        addr.u.v6.sin6_family = AF_INET6;
        for (size_t b = 0; b < 16; b++) {
            state = state * 1664525U + 1013904223U;
            /* many zeros, so that runs of them come in every shape */
            addr.u.v6.sin6_addr.s6_addr[b] = (uint8_t)((state >> 28U) < 11 ? 0 : state >> 16U);
        }
        addr.u.v6.sin6_addr.s6_addr[0] = 0x20; /* not the v4 forms, where the library differs */
        (void)addr_write(&addr, got);
        ck_assert_ptr_nonnull(inet_ntop(AF_INET6, &addr.u.v6.sin6_addr, want, sizeof(want)));
        (void)snprintf(whole, sizeof(whole), "[%s]:0", want);
        ck_assert_str_eq(got, whole);
    }
}
END_TEST

UNIT_TESTS("addr", text_goes_there_and_back, unix_paths_have_a_limit, splits_host_and_port,
           equality_looks_at_what_counts, small_addresses_say_the_same,
           an_ip_is_the_same_whatever_its_port, the_longest_ip_fills_its_room,
           v6_text_is_what_the_library_writes)
