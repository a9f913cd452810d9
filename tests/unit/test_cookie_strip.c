#include <stdio.h>
#include <string.h>

#include "lbd/http/cookie_strip.h"
#include "lbd/http/request_value.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *rest;
} texts[] = {
    {"lbd=1", ""},
    {"lbd=1; a=2", "a=2"},
    {"a=2; lbd=1", "a=2"},
    {"a=1; lbd=x; b=2", "a=1; b=2"},
    {"a=1;lbd=x;b=2", "a=1;b=2"},
    {"lbd=1; lbd=2", ""},
    {"lbd=1; a=3; lbd=2", "a=3"},
    {"lbd=", ""},
    {"lbd=\"q\"; a=1", "a=1"},
    /* not ours */
    {"a=1; b=2", "a=1; b=2"},
    {"lbd", "lbd"},
    {"lbdx=1; xlbd=2; LBD=3", "lbdx=1; xlbd=2; LBD=3"},
    {"a=lbd=1", "a=lbd=1"},
    {"a=\"x\\\"y\";  b = 2 ;;c", "a=\"x\\\"y\";  b = 2 ;;c"},
    {"", ""},
    /* the rest as it was sent */
    {"a=1;  lbd=x;\tb= 2 ;; c", "a=1;\tb= 2 ;; c"},
    {";lbd=1;", ";"},
};

START_TEST(one_goes_and_the_others_stay)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char out[128];
        size_t len = cookie_strip_text(slice_from(texts[i].text), SLICE("lbd"), out);
        ck_assert_msg(slice_eq(slice_of(out, len), slice_from(texts[i].rest)), "%s: '%.*s'",
                      texts[i].text, (int)len, out);
    }
}
END_TEST

static const struct {
    const char *fields;
    const char *rest; /* NULL: it has none of ours */
} requests[] = {
    {"Cookie: a=1\r\n", NULL},
    {"X: lbd=1\r\n", NULL},
    {"Cookie: lbd=1\r\n", ""},
    {"Cookie: a=1; lbd=1\r\n", "a=1"},
    {"Cookie: a=1\r\nX: y\r\nCookie: lbd=1\r\nCookie: b=2\r\n", "a=1; b=2"},
    {"cookie: lbd=1\r\nCOOKIE: lbd=2; c=3\r\n", "c=3"},
};

START_TEST(a_request_is_left_with_one_field)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct head_of head;
        struct arena arena;
        char text[256];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n",
                       requests[i].fields);
        head_of_request(&head, slice_from(text));
        struct message *request = &head.message;
        arena_init(&arena, NULL, 0);
        bool took = cookie_strip(request, SLICE("lbd"), &arena);
        ck_assert_msg(took == (requests[i].rest != NULL), "%s", requests[i].fields);
        if (took) {
            ck_assert_ptr_null(headers_find(&request->headers, HEADER_COOKIE));
            ck_assert_uint_eq(request->extra_count, requests[i].rest[0] != '\0');
            ck_assert(request->extra_count == 0 ||
                      slice_eq(request->extras[0].value, slice_from(requests[i].rest)));
            ck_assert(!cookie_strip(request, SLICE("lbd"), &arena));
        } else {
            ck_assert_uint_eq(request->extra_count, 0);
        }
        arena_fini(&arena);
    }
}
END_TEST

/* Who comes later finds what the first one left, in the field that it made. */
START_TEST(one_goes_after_the_other)
{
    struct head_of head;
    struct arena arena;
    struct slice value;
    head_of_request(&head, SLICE("GET / HTTP/1.1\r\nHost: h\r\nCookie: lbd=1; a=2\r\n"
                                 "Cookie: split=3; b=4\r\n\r\n"));
    struct message *request = &head.message;
    arena_init(&arena, NULL, 0);
    message_add(request, SLICE("X-Other"), SLICE("split=5"));
    ck_assert(cookie_strip(request, SLICE("lbd"), &arena));
    ck_assert(request_value_cookie(request, SLICE("split"), &value));
    ck_assert(slice_eq(value, SLICE("3")));
    ck_assert(!request_value_cookie(request, SLICE("lbd"), &value));
    ck_assert(cookie_strip(request, SLICE("split"), &arena));
    ck_assert_uint_eq(request->extra_count, 2);
    ck_assert(slice_eq(request->extras[0].value, SLICE("split=5")));
    ck_assert(slice_eq(request->extras[1].value, SLICE("a=2; b=4")));
    ck_assert(cookie_strip(request, SLICE("a"), &arena) &&
              cookie_strip(request, SLICE("b"), &arena));
    ck_assert_uint_eq(request->extra_count, 1);
    arena_fini(&arena);
}
END_TEST

START_TEST(nothing_but_cookies_of_some_names)
{
    static const struct {
        const char *text;
        bool is_all;
    } cases[] = {
        {"", true},           {"lb=1", true},   {" lb=1 ; arm=2;", true},
        {"lb=1; lb=2", true}, {"lb=", true},    {"lb", false},
        {"LB=1", false},      {"lbx=1", false}, {"lb=1; a=2", false},
        {"a=2; lb=1", false}, {"=1", false},    {"lb=1;x", false},
    };
    static const struct slice names[] = {SLICE_INIT("lb"), {NULL, 0}, SLICE_INIT("arm")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(cookie_strip_is_all(slice_from(cases[i].text), names, ARRAY_LEN(names)) ==
                          cases[i].is_all,
                      "%s", cases[i].text);
    }
    ck_assert(!cookie_strip_is_all(SLICE("lb=1"), NULL, 0));
}
END_TEST

UNIT_TESTS("cookie_strip", nothing_but_cookies_of_some_names, one_goes_and_the_others_stay,
           a_request_is_left_with_one_field, one_goes_after_the_other)
