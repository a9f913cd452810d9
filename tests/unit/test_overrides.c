#include <stdlib.h>
#include <string.h>

#include "lbd/control/overrides.h"
#include "tests/unit/unit.h"

static struct override make(enum server_admin state, enum server_admin base)
{
    static char reason[] = "new \"kernel\"";
    static char who[] = "unix";
    return (struct override){.state = state,
                             .base = base,
                             .since_wall_us = 1770000000123456,
                             .reason = reason,
                             .who = who};
}

START_TEST(what_is_put_is_found_until_it_is_removed)
{
    struct overrides overrides;
    overrides_init(&overrides);
    struct override drain = make(SERVER_DRAIN, SERVER_READY);
    overrides_put(&overrides, SLICE("api"), SLICE("a"), &drain);

    const struct override *found = overrides_find(&overrides, SLICE("api"), SLICE("a"));
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->state, SERVER_DRAIN);
    ck_assert_str_eq(found->reason, "new \"kernel\"");
    ck_assert_ptr_null(overrides_find(&overrides, SLICE("ap"), SLICE("i/a")));
    ck_assert_ptr_null(overrides_find(&overrides, SLICE("api"), SLICE("b")));

    struct override ready = make(SERVER_READY, SERVER_DRAIN);
    overrides_put(&overrides, SLICE("api"), SLICE("a"), &ready);
    ck_assert_int_eq(overrides_find(&overrides, SLICE("api"), SLICE("a"))->state, SERVER_READY);

    ck_assert(overrides_remove(&overrides, SLICE("api"), SLICE("a")));
    ck_assert(!overrides_remove(&overrides, SLICE("api"), SLICE("a")));
    ck_assert_ptr_null(overrides_find(&overrides, SLICE("api"), SLICE("a")));
    overrides_fini(&overrides);
}
END_TEST

START_TEST(written_and_read_again_it_is_the_same)
{
    struct overrides overrides;
    struct overrides again;
    struct buf text;
    struct buf text_again;
    struct err err;
    overrides_init(&overrides);
    overrides_init(&again);
    buf_init(&text, 4096);
    buf_init(&text_again, 4096);

    struct override drain = make(SERVER_DRAIN, SERVER_READY);
    struct override maint = make(SERVER_MAINT, SERVER_DRAIN);
    overrides_put(&overrides, SLICE("web"), SLICE("z"), &maint);
    overrides_put(&overrides, SLICE("api"), SLICE("a"), &drain);
    overrides_write(&overrides, &text);
    ck_assert_msg(overrides_read(&again, buf_slice(&text), &err), "%s", err.text);
    overrides_write(&again, &text_again);
    ck_assert(slice_eq(buf_slice(&text), buf_slice(&text_again)));

    const struct override *found = overrides_find(&again, SLICE("web"), SLICE("z"));
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->state, SERVER_MAINT);
    ck_assert_int_eq(found->base, SERVER_DRAIN);
    ck_assert_uint_eq(found->since_wall_us, 1770000000123456);
    ck_assert_str_eq(found->who, "unix");

    buf_fini(&text);
    buf_fini(&text_again);
    overrides_fini(&overrides);
    overrides_fini(&again);
}
END_TEST

static const char *const damaged[] = {
    "{",
    "{\"servers\":{\"a/b\":{}}}",
    "{\"servers\":{\"a/b\":{\"state\":\"gone\",\"base\":\"ready\",\"since\":1}}}",
    "{\"servers\":{\"a/b\":{\"state\":\"drain\",\"base\":\"ready\",\"since\":\"x\"}}}",
    "{\"servers\":{\"a/a\":{\"state\":\"drain\",\"base\":\"ready\",\"since\":1},\"a/b\":7}}",
};

START_TEST(damaged_text_is_refused_and_adds_nothing)
{
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        struct overrides overrides;
        struct err err = {0};
        overrides_init(&overrides);
        ck_assert_msg(!overrides_read(&overrides, slice_from(damaged[i]), &err), "%s", damaged[i]);
        ck_assert_int_eq(err.kind, ERR_MALFORMED);
        ck_assert_uint_eq(overrides.servers.count, 0);
        overrides_fini(&overrides);
    }
}
END_TEST

START_TEST(nothing_saved_is_no_override)
{
    struct overrides overrides;
    struct err err;
    overrides_init(&overrides);
    ck_assert(overrides_read(&overrides, SLICE_NONE, &err));
    ck_assert_uint_eq(overrides.servers.count, 0);
    overrides_fini(&overrides);
}
END_TEST

START_TEST(a_copy_stands_for_itself)
{
    struct overrides overrides;
    struct overrides copy;
    overrides_init(&overrides);
    overrides_init(&copy);
    struct override drain = make(SERVER_DRAIN, SERVER_READY);
    overrides_put(&overrides, SLICE("api"), SLICE("a"), &drain);
    overrides_copy(&copy, &overrides);
    ck_assert(overrides_remove(&copy, SLICE("api"), SLICE("a")));
    ck_assert_ptr_nonnull(overrides_find(&overrides, SLICE("api"), SLICE("a")));
    overrides_swap(&overrides, &copy);
    ck_assert_ptr_null(overrides_find(&overrides, SLICE("api"), SLICE("a")));
    ck_assert_ptr_nonnull(overrides_find(&copy, SLICE("api"), SLICE("a")));
    overrides_fini(&overrides);
    overrides_fini(&copy);
}
END_TEST

UNIT_TESTS("overrides", what_is_put_is_found_until_it_is_removed,
           written_and_read_again_it_is_the_same, damaged_text_is_refused_and_adds_nothing,
           nothing_saved_is_no_override, a_copy_stands_for_itself)
