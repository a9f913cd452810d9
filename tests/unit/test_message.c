#include <stdlib.h>

#include "lbd/base/compiler.h"
#include "lbd/http/message.h"
#include "tests/unit/head_of.h"
#include "tests/unit/unit.h"

START_TEST(a_copy_outlives_the_bytes_it_was_made_from)
{
    const struct slice text = SLICE("GET http://Ab/x?y HTTP/1.1\r\nHost: aB\r\nX: y\r\n\r\nrest");
    struct head_of head;
    struct message copy;
    struct arena arena;
    char *bytes = malloc(text.len);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, text.ptr, text.len);
    head_of_request(&head, slice_of(bytes, text.len));
    message_add(&head.message, SLICE("Via"), SLICE("1.1 lbd"));
    /* an extra whose value is a part of the head */
    message_add(&head.message, SLICE("X-Forwarded-Host"), head.message.authority);
    head.fields[1].dropped = 1;

    arena_init(&arena, NULL, 0);
    memset(&copy, 0xa5, sizeof(copy));
    message_copy(&copy, &head.message, &arena);
    memset(bytes, '#', text.len);
    free(bytes);
    memset(&head, 0xa5, sizeof(head));

    ck_assert(slice_eq(copy.method_text, SLICE("GET")));
    ck_assert(slice_eq(copy.authority, SLICE("aB")));
    ck_assert(slice_eq(copy.path, SLICE("/x")));
    ck_assert(slice_eq(copy.query, SLICE("?y")));
    ck_assert_uint_eq(copy.reason_phrase.len, 0);
    ck_assert_uint_eq(copy.head_len, text.len - 4);
    ck_assert_uint_eq(copy.headers.count, 2);
    ck_assert(slice_eq(header_name(&copy.headers, &copy.headers.list[1]), SLICE("X")));
    ck_assert(slice_eq(header_value(&copy.headers, &copy.headers.list[1]), SLICE("y")));
    ck_assert_uint_eq(copy.headers.list[1].dropped, 1);
    ck_assert_uint_eq(copy.extra_count, 2);
    ck_assert(slice_eq(copy.extras[0].value, SLICE("1.1 lbd")));
    ck_assert(slice_eq(copy.extras[1].name, SLICE("X-Forwarded-Host")));
    ck_assert(slice_eq(copy.extras[1].value, SLICE("aB")));
    arena_fini(&arena);
}
END_TEST

START_TEST(a_copy_keeps_what_was_never_part_of_the_head)
{
    const struct slice text = SLICE("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n");
    struct head_of head;
    struct message copy;
    struct arena arena;
    head_of_request(&head, text);
    arena_init(&arena, NULL, 0);
    message_copy(&copy, &head.message, &arena);
    ck_assert(slice_eq(copy.path, SLICE("/"))); /* the parser's own */
    ck_assert_uint_eq(copy.query.len, 0);
    arena_fini(&arena);
}
END_TEST

START_TEST(copies_an_answer_and_a_head_without_fields)
{
    const struct slice text = SLICE("HTTP/1.1 404 Not here\r\n\r\n");
    struct head_of head;
    struct message copy;
    struct arena arena;
    head_of_response(&head, text);
    arena_init(&arena, NULL, 0);
    message_copy(&copy, &head.message, &arena);
    ck_assert_uint_eq(copy.status, 404);
    ck_assert(slice_eq(copy.reason_phrase, SLICE("Not here")));
    ck_assert_ptr_ne(copy.reason_phrase.ptr, head.message.reason_phrase.ptr);
    ck_assert_uint_eq(copy.headers.count, 0);
    arena_fini(&arena);
}
END_TEST

START_TEST(drops_every_field_of_a_name)
{
    const struct slice text =
        SLICE("GET / HTTP/1.1\r\nHost: a\r\nVia: b\r\nX: c\r\nvia: d\r\n\r\n");
    struct head_of head;
    head_of_request(&head, text);
    message_drop(&head.message, HEADER_VIA);
    static const bool want[] = {false, true, false, true};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        ck_assert((head.fields[i].dropped != 0) == want[i]);
    }
    ck_assert_ptr_null(headers_find(&head.message.headers, HEADER_VIA));
}
END_TEST

START_TEST(tells_host_from_port)
{
    static const struct {
        const char *authority;
        const char *host;
    } cases[] = {
        {"", ""},           {"a", "a"},           {"a:80", "a"}, {"10.0.0.1", "10.0.0.1"},
        {"[::1]", "[::1]"}, {"[::1]:8", "[::1]"}, {"a1", "a1"},  {"1", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message message = {.authority = slice_from(cases[i].authority)};
        ck_assert_msg(slice_eq(message_host(&message), slice_from(cases[i].host)), "%s",
                      cases[i].authority);
    }
    struct message none = {.authority = SLICE_NONE};
    ck_assert_uint_eq(message_host(&none).len, 0);
}
END_TEST

UNIT_TESTS("message", a_copy_outlives_the_bytes_it_was_made_from,
           a_copy_keeps_what_was_never_part_of_the_head, copies_an_answer_and_a_head_without_fields,
           drops_every_field_of_a_name, tells_host_from_port)
