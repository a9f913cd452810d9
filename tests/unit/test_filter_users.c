#include <string.h>

#include "lbd/filter/filter_users.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    uint32_t count;
    const char *problem; /* NULL: good */
} cases[] = {
    {"", 0, NULL},
    {"# a remark\n\nann:$6$s$abc\n", 1, NULL},
    {"bob:$y$j$x\r\nann:$2y$10$abc:more", 2, NULL},
    {"ann", 0, "line 1 is not NAME:HASH"},
    {":$6$s$abc", 0, "line 1 is not NAME:HASH"},
    {"ann:$6$s$a\nbob:secret", 0, "line 2: the hash is none of"},
    {"ann:$1$s$abc", 0, "line 1: the hash is none of"},
    {"ann:{SHA}abc", 0, "line 1: the hash is none of"},
    {"ann:", 0, "line 1: the hash is none of"},
    {"ann:$6$a\nann:$6$b", 0, "'ann' is there twice"},
};

START_TEST(lines_are_read)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct filter_users users;
        struct err err = {0};
        arena_init(&arena, NULL, 0);
        bool ok = filter_users_read(&users, &arena, slice_from(cases[i].text), &err);
        ck_assert_msg(ok == (cases[i].problem == NULL), "%zu: %s", i, err.text);
        if (ok) {
            ck_assert_uint_eq(users.count, cases[i].count);
            ck_assert_ptr_null(filter_users_find(&users, SLICE("zoe")));
            ck_assert(cases[i].count == 0 || filter_users_find(&users, SLICE("ann")) != NULL);
        } else {
            ck_assert_ptr_nonnull(strstr(err.text, cases[i].problem));
            ck_assert_ptr_null(strstr(err.text, "secret"));
        }
        arena_fini(&arena);
    }
}
END_TEST

UNIT_TESTS("filter_users", lines_are_read)
