#include <stdio.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/forwarded.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

enum { TEXT_MAX = 8192 };

static struct arena arena;
static struct slice trusted[] = {{"10.0.0.0/8", 10}, {"fd00::/8", 8}, {"unix", 4}};
static struct forwarded_rules rules = {.depth = 16};

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    ck_assert(cidr_set_build(&rules.trusted, &arena, trusted, ARRAY_LEN(trusted)));
    rules.reads_forwarded = false;
    rules.depth = 16;
}

static void tear_down(void)
{
    arena_fini(&arena);
}

static struct addr_small address_of(const char *text)
{
    struct addr address;
    struct addr_small small = {.family = AF_UNIX};
    if (strcmp(text, "unix") != 0) {
        ck_assert(addr_from_ip(slice_from(text), 0, &address));
        addr_small_from(&small, &address.u.any);
    }
    return small;
}

/* "client proto host port" as `found` has them, with '!' for broken. */
static void find(const char *peer, const char *lines, char *got, size_t size,
                 struct forwarded_found *found)
{
    static char text[TEXT_MAX];
    static struct head_of head;
    char client[ADDR_TEXT_MAX];
    struct addr_small from = address_of(peer);
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    head_of_request(&head, slice_from(text));
    forwarded_find(&rules, &head.message.headers, &from, found);
    (void)addr_small_write(forwarded_client(found), client);
    (void)snprintf(got, size, "%s %.*s %.*s %.*s%s", client, SLICE_ARG(found->proto),
                   SLICE_ARG(found->host), SLICE_ARG(found->port), found->is_broken ? "!" : "");
}

struct a_case {
    const char *peer;
    const char *lines;
    const char *want;
};

static void check_all(const struct a_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char got[512];
        struct forwarded_found found;
        find(cases[i].peer, cases[i].lines, got, sizeof(got), &found);
        ck_assert_msg(strcmp(got, cases[i].want) == 0, "%s of %s: '%s', not '%s'", cases[i].lines,
                      cases[i].peer, got, cases[i].want);
    }
}

#define XFF "X-Forwarded-For: "

START_TEST(a_list_is_read_from_its_end)
{
    static const struct a_case cases[] = {
        {"192.0.2.1", XFF "1.2.3.4\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1:0   "},
        {"10.0.0.1", "", "10.0.0.1:0   "},
        {"10.0.0.1", XFF "192.0.2.7\r\n", "192.0.2.7:0   "},
        {"unix", XFF "192.0.2.7\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "1.1.1.1, 192.0.2.7\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "1.1.1.1, 192.0.2.7,10.0.0.2 ,  fd00::9\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "10.0.0.3, 10.0.0.2\r\n", "10.0.0.3:0   "},
        /* several fields are one list */
        {"10.0.0.1", XFF "192.0.2.7\r\nA: b\r\n" XFF "10.0.0.2\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "\r\n" XFF "192.0.2.7\r\n" XFF ", ,\r\n", "192.0.2.7:0   "},
        /* how they are written */
        {"10.0.0.1", XFF "192.0.2.7:4711\r\n", "192.0.2.7:4711   "},
        {"10.0.0.1", XFF "2001:db8::7\r\n", "[2001:db8::7]:0   "},
        {"10.0.0.1", XFF "[2001:db8::7]\r\n", "[2001:db8::7]:0   "},
        {"10.0.0.1", XFF "[2001:db8::7]:4711\r\n", "[2001:db8::7]:4711   "},
        {"10.0.0.1", XFF "::ffff:192.0.2.7\r\n", "192.0.2.7:0   "},
        /* a trusted network in other clothes is still trusted */
        {"10.0.0.1", XFF "192.0.2.7, ::ffff:10.0.0.2\r\n", "192.0.2.7:0   "},
        /* hidden: the last that is known */
        {"10.0.0.1", XFF "192.0.2.7, unknown\r\n", "10.0.0.1:0   "},
        {"10.0.0.1", XFF "_hidden, 10.0.0.2\r\n", "10.0.0.2:0   "},
        /* garbage that a trusted one vouches for, and garbage that nobody looks at */
        {"10.0.0.1", XFF "192.0.2.7, 10.0.0.256\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "[10.0.0.2]\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "[::1\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "[::1]x\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "192.0.2.7:\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "192.0.2.7:65536\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "fe80::1%eth0\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "localhost\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "010.0.0.2\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", XFF "\"><script>, 192.0.2.7\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "\"10.0.0.9, 192.0.2.7\r\n", "192.0.2.7:0   "},
        /* the other header is not looked at */
        {"10.0.0.1", "Forwarded: for=1.2.3.4;proto=https\r\n", "10.0.0.1:0   "},
    };
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(what_the_client_used_is_told_beside_it)
{
    static const struct a_case cases[] = {
        {"10.0.0.1",
         "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: b:81\r\nX-Forwarded-Port: 443\r\n",
         "10.0.0.1:0 https b:81 443"},
        {"10.0.0.1", XFF "192.0.2.7\r\nX-Forwarded-Proto: https\r\n", "192.0.2.7:0 https  "},
        /* aligned with the client, from the right */
        {"10.0.0.1", XFF "1.1.1.1, 192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: ftp, https, http\r\n",
         "192.0.2.7:0 https  "},
        {"10.0.0.1", XFF "192.0.2.7\r\nX-Forwarded-Proto: https, http\r\n", "192.0.2.7:0 http  "},
        /* passed on by all */
        {"10.0.0.1", XFF "192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n",
         "192.0.2.7:0 https  "},
        {"10.0.0.1",
         "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\nX-Forwarded-Port: 0\r\n",
         "10.0.0.1:0   "},
        {"10.0.0.1", "X-Forwarded-Host: a@b\r\nX-Forwarded-Port: 99999\r\n", "10.0.0.1:0   "},
        {"10.0.0.1", "X-Forwarded-Host: [::1]:80\r\nX-Forwarded-Port: 99999999999\r\n",
         "10.0.0.1:0  [::1]:80 "},
    };
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

#define F "Forwarded: "

START_TEST(forwarded_is_read_from_its_end)
{
    static const struct a_case cases[] = {
        {"192.0.2.1", F "for=1.2.3.4;proto=https\r\n", "192.0.2.1:0   "},
        {"10.0.0.1", F "for=192.0.2.7\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", F "for=192.0.2.7;proto=https;host=\"b:81\"\r\n", "192.0.2.7:0 https b:81 "},
        {"10.0.0.1", F "Proto=HTTPS;FOR=\"[2001:db8::7]:4711\";by=_x\r\n",
         "[2001:db8::7]:4711 https  "},
        {"10.0.0.1", F "for=1.1.1.1;host=x, for=192.0.2.7;host=b, for=10.0.0.2;host=c\r\n",
         "192.0.2.7:0  b "},
        {"10.0.0.1", F "for=192.0.2.7\r\n" F "for=\"[fd00::1]\"\r\n", "192.0.2.7:0   "},
        /* commas and quotes in quotes */
        {"10.0.0.1", F "for=192.0.2.7;x=\"a,b\\\"c,d\"\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", F "for=192.0.2.7;x=\"for=1.1.1.1, for=2.2.2.2\"\r\n", "192.0.2.7:0   "},
        /* a client that leaves its quotes open does not reach what was appended */
        {"10.0.0.1", F "for=\"1.1.1.1, for=192.0.2.7\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", F "for=\"10.0.0.9\\, for=192.0.2.7;proto=http\r\n", "192.0.2.7:0 http  "},
        {"10.0.0.1", F "for=unknown;proto=https\r\n", "10.0.0.1:0 https  "},
        {"10.0.0.1", F "for=_SEVKISEK, for=10.0.0.2\r\n", "10.0.0.2:0   "},
        {"10.0.0.1", F "for=\"192.0.2.7:_port\"\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", F "for=2001:db8::7\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=192.0.2.7;for=10.0.0.2\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "proto=https\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "192.0.2.7\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=\"192.0.2.7\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=\"192.0.2.7\\\"\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=\"192.0.2.7\"x\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=\"192.0.2\\.7\"\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=192.0.2.7 for=1.1.1.1\r\n", "10.0.0.1:0   !"},
        {"10.0.0.1", F "for=192.0.2.7;proto=\"ht\\tp\";host=\"a\\\\b\"\r\n", "192.0.2.7:0   "},
        {"10.0.0.1", XFF "1.2.3.4\r\nX-Forwarded-Proto: https\r\n", "10.0.0.1:0   "},
    };
    rules.reads_forwarded = true;
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(a_walk_has_an_end)
{
    static char lines[TEXT_MAX];
    char got[512];
    struct forwarded_found found;
    size_t len = (size_t)sprintf(lines, XFF "192.0.2.7");
    for (int i = 0; i < 400; i++) {
        len += (size_t)sprintf(lines + len, ", 10.0.1.%d", i % 256);
    }
    (void)sprintf(lines + len, "\r\n");
    rules.depth = FORWARDED_DEPTH_MAX;
    find("10.0.0.1", lines, got, sizeof(got), &found);
    ck_assert_uint_eq(found.count, FORWARDED_DEPTH_MAX + 1);
    ck_assert_str_eq(got, "10.0.1.112:0   ");
    rules.depth = 1; /* the last one is the client, whoever it is */
    find("10.0.0.1", lines, got, sizeof(got), &found);
    ck_assert_str_eq(got, "10.0.1.143:0   ");
}
END_TEST

START_TEST(servers_are_told_of_what_was_believed)
{
    char got[512];
    struct forwarded_found found;
    find("fd00::1", XFF "6.6.6.6, 2001:db8::7, 10.0.0.2\r\n", got, sizeof(got), &found);
    unit_expect(
        slice_eq(forwarded_write_list(&found, &arena), SLICE("2001:db8::7, 10.0.0.2, fd00::1")),
        "list");
    struct slice text = forwarded_write(&found, SLICE("https"), SLICE("a:8443"), &arena);
    unit_expect(slice_eq(text, SLICE("for=\"[2001:db8::7]\";proto=https;host=\"a:8443\", "
                                     "for=10.0.0.2, for=\"[fd00::1]\"")),
                "%.*s", SLICE_ARG(text));
    find("unix", "", got, sizeof(got), &found);
    text = forwarded_write(&found, SLICE("http"), SLICE_NONE, &arena);
    unit_expect(slice_eq(text, SLICE("for=unknown;proto=http")), "%.*s", SLICE_ARG(text));
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_list_is_read_from_its_end);
    tcase_add_test(tcase, what_the_client_used_is_told_beside_it);
    tcase_add_test(tcase, forwarded_is_read_from_its_end);
    tcase_add_test(tcase, a_walk_has_an_end);
    tcase_add_test(tcase, servers_are_told_of_what_was_believed);
}

UNIT_MAIN("forwarded", add_all)
