#include <stdlib.h>
#include <string.h>

#include "conf/json/json_write.h"
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
    char text[OVERRIDES_KEY_MAX];
    struct slice key = overrides_server_key(SLICE("api"), SLICE("a"), text);
    ck_assert(slice_eq(key, SLICE("api/a")));
    ck_assert_ptr_null(overrides_put(&overrides, OVERRIDE_ADMIN, key, &drain));

    const struct override *found = overrides_find(&overrides, OVERRIDE_ADMIN, key);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->state, SERVER_DRAIN);
    ck_assert_str_eq(found->reason, "new \"kernel\"");
    ck_assert_ptr_null(overrides_find(&overrides, OVERRIDE_ADMIN, SLICE("api/b")));
    ck_assert_ptr_null(overrides_find(&overrides, OVERRIDE_WEIGHT, key));

    struct override ready = make(SERVER_READY, SERVER_DRAIN);
    struct override *before = overrides_put(&overrides, OVERRIDE_ADMIN, key, &ready);
    ck_assert_int_eq(before->state, SERVER_DRAIN);
    ck_assert_int_eq(overrides_find(&overrides, OVERRIDE_ADMIN, key)->state, SERVER_READY);
    overrides_give(&overrides, OVERRIDE_ADMIN, key, before); /* not saved: as it was */
    ck_assert_int_eq(overrides_find(&overrides, OVERRIDE_ADMIN, key)->state, SERVER_DRAIN);
    ck_assert_uint_eq(overrides_count(&overrides), 1);

    before = overrides_take(&overrides, OVERRIDE_ADMIN, key);
    ck_assert_ptr_nonnull(before);
    override_free(before);
    ck_assert_ptr_null(overrides_take(&overrides, OVERRIDE_ADMIN, key));
    ck_assert_uint_eq(overrides_count(&overrides), 0);
    overrides_fini(&overrides);
}
END_TEST

START_TEST(written_and_read_again_it_is_the_same)
{
    struct overrides overrides;
    struct overrides again;
    struct buf text;
    struct buf text_again;
    uint64_t tag = 0;
    struct err err;
    overrides_init(&overrides);
    overrides_init(&again);
    buf_init(&text, 4096);
    buf_init(&text_again, 4096);

    struct override drain = make(SERVER_DRAIN, SERVER_READY);
    struct override maint = make(SERVER_MAINT, SERVER_DRAIN);
    struct override timed = make(SERVER_DRAIN, SERVER_READY);
    struct override weight = make(SERVER_READY, SERVER_READY);
    timed.deadline_wall_us = 1770000000222222;
    timed.expires_wall_us = 1770000000333333;
    timed.on_deadline = OVERRIDE_KEEP;
    weight.weight = 50;
    weight.base_weight = 100;
    weight.percent = 50;
    overrides_put(&overrides, OVERRIDE_ADMIN, SLICE("web/z"), &maint);
    overrides_put(&overrides, OVERRIDE_ADMIN, SLICE("api/a"), &drain);
    overrides_put(&overrides, OVERRIDE_WEIGHT, SLICE("api/a"), &weight);
    overrides_put(&overrides, OVERRIDE_LISTENER, SLICE("web"), &timed);
    overrides_put(&overrides, OVERRIDE_PROCESS, SLICE(OVERRIDES_PROCESS), &timed);
    overrides_write(&overrides, 7, &text);
    ck_assert_msg(overrides_read(&again, buf_slice(&text), &tag, &err), "%s", err.text);
    ck_assert_uint_eq(tag, 7);
    overrides_write(&again, 7, &text_again);
    ck_assert(slice_eq(buf_slice(&text), buf_slice(&text_again)));

    const struct override *found = overrides_find(&again, OVERRIDE_ADMIN, SLICE("web/z"));
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->state, SERVER_MAINT);
    ck_assert_int_eq(found->base, SERVER_DRAIN);
    ck_assert_uint_eq(found->since_wall_us, 1770000000123456);
    ck_assert_str_eq(found->who, "unix");
    ck_assert_uint_eq(found->deadline_wall_us, 0);
    found = overrides_find(&again, OVERRIDE_LISTENER, SLICE("web"));
    ck_assert_uint_eq(found->deadline_wall_us, 1770000000222222);
    ck_assert_uint_eq(found->expires_wall_us, 1770000000333333);
    ck_assert_int_eq(found->on_deadline, OVERRIDE_KEEP);
    found = overrides_find(&again, OVERRIDE_WEIGHT, SLICE("api/a"));
    ck_assert_uint_eq(found->weight, 50);
    ck_assert_uint_eq(found->base_weight, 100);
    ck_assert_uint_eq(found->percent, 50);
    ck_assert_ptr_nonnull(overrides_find(&again, OVERRIDE_PROCESS, SLICE("process")));
    ck_assert_uint_eq(overrides_next_expiry(&again), 1770000000333333);

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
    "{\"servers\":{\"a/a\":{\"state\":\"drain\",\"base\":\"ready\",\"since\":1,\"expires\":-1}}}",
    "{\"servers\":{\"a/a\":{\"state\":\"drain\",\"base\":\"ready\",\"since\":1,\"on_deadline\":\"x\"}}}",
    "{\"servers\":{\"\":{\"state\":\"drain\",\"base\":\"ready\",\"since\":1}}}",
    "{\"servers\":[{\"state\":\"drain\",\"base\":\"ready\",\"since\":1}]}",
    "{\"weights\":{\"a/b\":{\"since\":1,\"weight\":0,\"base\":1}}}",
    "{\"weights\":{\"a/b\":{\"since\":1,\"weight\":1001,\"base\":1}}}",
    "{\"weights\":{\"a/b\":{\"since\":1,\"weight\":1}}}",
    "{\"listeners\":{\"web\":{\"since\":1}}}",
    "{\"process\":{\"process\":{\"since\":1,\"state\":\"\"}}}",
    "[]",
    "null",
    "\n",
    "{\"servers\":5}",
    "{\"weights\":[]}",
};

START_TEST(damaged_text_is_refused_and_adds_nothing)
{
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        struct overrides overrides;
        struct err err = {0};
        overrides_init(&overrides);
        ck_assert_msg(!overrides_read(&overrides, slice_from(damaged[i]), NULL, &err), "%s",
                      damaged[i]);
        ck_assert_int_eq(err.kind, ERR_MALFORMED);
        ck_assert_uint_eq(overrides_count(&overrides), 0);
        overrides_fini(&overrides);
    }
}
END_TEST

START_TEST(nothing_saved_is_no_override)
{
    struct overrides overrides;
    struct err err;
    overrides_init(&overrides);
    ck_assert(overrides_read(&overrides, SLICE_NONE, NULL, &err));
    ck_assert_uint_eq(overrides_count(&overrides), 0);
    overrides_fini(&overrides);
}
END_TEST

START_TEST(a_file_of_an_earlier_version_is_read)
{
    struct overrides overrides;
    uint64_t tag = 1;
    struct err err;
    overrides_init(&overrides);
    ck_assert(
        overrides_read(&overrides,
                       SLICE("{\"servers\":{\"api/a\":{\"base\":\"ready\",\"reason\":\"kernel\","
                             "\"since\":1770000000000000,\"state\":\"drain\",\"who\":\"unix\"}}}"),
                       &tag, &err));
    const struct override *found = overrides_find(&overrides, OVERRIDE_ADMIN, SLICE("api/a"));
    ck_assert_int_eq(found->state, SERVER_DRAIN);
    ck_assert_uint_eq(found->expires_wall_us, 0);
    ck_assert_uint_eq(overrides_next_expiry(&overrides), 0);
    ck_assert_uint_eq(tag, 0);
    overrides_fini(&overrides);
}
END_TEST

START_TEST(records_change_what_they_name)
{
    struct overrides overrides;
    struct buf text;
    struct json_write w;
    struct override maint = make(SERVER_MAINT, SERVER_READY);
    overrides_init(&overrides);
    override_free(overrides_put(&overrides, OVERRIDE_ADMIN, SLICE("api/a"), &maint));
    override_free(overrides_put(&overrides, OVERRIDE_ADMIN, SLICE("api/c"), &maint));

    buf_init(&text, 4096);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_array_begin(&w);
    overrides_write_change(&w, OVERRIDE_ADMIN, SLICE("api/a"), NULL);
    overrides_write_change(&w, OVERRIDE_ADMIN, SLICE("api/b"), &maint);
    overrides_write_change(&w, OVERRIDE_LISTENER, SLICE("web"), &maint);
    json_write_array_end(&w);
    ck_assert(overrides_read_record(&overrides, buf_slice(&text)));
    ck_assert_ptr_null(overrides_find(&overrides, OVERRIDE_ADMIN, SLICE("api/a")));
    ck_assert_str_eq(overrides_find(&overrides, OVERRIDE_ADMIN, SLICE("api/b"))->who, "unix");
    ck_assert_ptr_nonnull(overrides_find(&overrides, OVERRIDE_ADMIN, SLICE("api/c")));
    ck_assert_ptr_nonnull(overrides_find(&overrides, OVERRIDE_LISTENER, SLICE("web")));
    buf_fini(&text);
    overrides_fini(&overrides);
}
END_TEST

static const char *const no_records[] = {
    "",
    "{}",
    "[[]]",
    "[7]",
    "[[\"servers\",\"a/b\"]]",
    "[[\"no\",\"a/b\",null]]",
    "[[\"servers\",\"\",null]]",
    "[[\"servers\",\"api/a\",null],[\"servers\",\"a/b\",{}]]", /* all or nothing */
    "[[\"servers\",\"api/a\",null]",
};

START_TEST(what_is_no_record_changes_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(no_records); i++) {
        struct overrides overrides;
        struct override maint = make(SERVER_MAINT, SERVER_READY);
        overrides_init(&overrides);
        override_free(overrides_put(&overrides, OVERRIDE_ADMIN, SLICE("api/a"), &maint));
        ck_assert_msg(!overrides_read_record(&overrides, slice_from(no_records[i])), "%s",
                      no_records[i]);
        ck_assert_uint_eq(overrides_count(&overrides), 1);
        overrides_fini(&overrides);
    }
}
END_TEST

UNIT_TESTS("overrides", what_is_put_is_found_until_it_is_removed,
           written_and_read_again_it_is_the_same, damaged_text_is_refused_and_adds_nothing,
           nothing_saved_is_no_override, a_file_of_an_earlier_version_is_read,
           records_change_what_they_name, what_is_no_record_changes_nothing)
