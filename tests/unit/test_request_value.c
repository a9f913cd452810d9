#include <stdio.h>
#include <string.h>

#include "lbd/http/request_value.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *name;
    const char *value; /* NULL: none */
} cookies[] = {
    {"session=abc", "session", "abc"},
    {"a=1; session=abc; b=2", "session", "abc"},
    {"a=1;session=abc ;b=2", "session", "abc"},
    {"session=\"abc\"", "session", "abc"},
    {"session=\"", "session", "\""},
    {"a=1; session = abc", "session", "abc"},
    {"session=a=b", "session", "a=b"},
    {"session=1; session=2", "session", "1"},
    {"session=", "session", ""},
    {"session", "session", NULL},
    {"xsession=1; sessionx=2", "session", NULL},
    {"Session=1", "session", NULL}, /* RFC 6265 5.4: case counts */
    {"a=session=1", "session", NULL},
    {"", "session", NULL},
    {";;;", "session", NULL},
};

static const struct {
    const char *text;
    const char *name;
    const char *value;
} queries[] = {
    {"?id=7", "id", "7"},
    {"id=7", "id", "7"},
    {"?a=1&id=7&id=8", "id", "7"},
    {"?id", "id", ""},
    {"?id=", "id", ""},
    {"?xid=1&idx=2", "id", NULL},
    {"?a=id&b=?id=3", "id", NULL},
    {"?id=%37", "id", "%37"}, /* as it was sent */
    {"?i%64=1&id=2", "id", "1"},
    {"?", "id", NULL},
    {"", "id", NULL},
    {"?&&&id=1", "id", "1"},
};

static void check(bool found, struct slice value, const char *text, const char *want)
{
    ck_assert_msg(found == (want != NULL), "%s: %s", text, found ? "found" : "not found");
    ck_assert_msg(!found || slice_eq(value, slice_from(want)), "%s: '%.*s'", text,
                  SLICE_ARG(value));
}

START_TEST(cookies_are_found_by_name)
{
    for (size_t i = 0; i < ARRAY_LEN(cookies); i++) {
        struct slice value = SLICE_NONE;
        bool found = request_value_of_cookies(slice_from(cookies[i].text),
                                              slice_from(cookies[i].name), &value);
        check(found, value, cookies[i].text, cookies[i].value);
    }
}
END_TEST

START_TEST(parameters_are_found_by_name)
{
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct slice value = SLICE_NONE;
        bool found = request_value_of_query(slice_from(queries[i].text),
                                            slice_from(queries[i].name), &value);
        check(found, value, queries[i].text, queries[i].value);
    }
}
END_TEST

/* One field of a head by hand. */
static void add(struct message *message, char *base, const char *name, const char *value,
                enum header_id id)
{
    struct header *field = &message->headers.list[message->headers.count++];
    size_t at = strlen(base);
    (void)sprintf(base + at, "%s: %s\r\n", name, value);
    *field = (struct header){.name_at = (uint32_t)at,
                             .name_len = (uint32_t)strlen(name),
                             .value_at = (uint32_t)(at + strlen(name) + 2),
                             .value_len = (uint32_t)strlen(value),
                             .id = (uint16_t)id};
}

START_TEST(fields_of_a_request_are_looked_through)
{
    struct header list[8];
    char base[256] = "";
    struct message request;
    struct slice value;
    message_begin(&request, list, 8);
    request.headers.base = base;
    request.authority = SLICE("www.example.com");
    request.query = SLICE("?id=7");
    add(&request, base, "X-User", "anna", HEADER_OTHER);
    add(&request, base, "cookie", "a=1", HEADER_COOKIE); /* RFC 9113 8.2.3: in crumbs */
    add(&request, base, "cookie", "session=abc", HEADER_COOKIE);
    ck_assert(request_value_header(&request, SLICE("x-user"), &value));
    ck_assert(slice_eq(value, SLICE("anna")));
    ck_assert(request_value_header(&request, SLICE("Host"), &value));
    ck_assert(slice_eq(value, SLICE("www.example.com")));
    ck_assert(!request_value_header(&request, SLICE("x-other"), &value));
    ck_assert(request_value_cookie(&request, SLICE("session"), &value));
    ck_assert(slice_eq(value, SLICE("abc")));
    ck_assert(!request_value_cookie(&request, SLICE("b"), &value));
    ck_assert(request_value_query(&request, SLICE("id"), &value));
    ck_assert(slice_eq(value, SLICE("7")));
    list[2].dropped = 1;
    ck_assert(!request_value_cookie(&request, SLICE("session"), &value));
}
END_TEST

UNIT_TESTS("request_value", cookies_are_found_by_name, parameters_are_found_by_name,
           fields_of_a_request_are_looked_through)
