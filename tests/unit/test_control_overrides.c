#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] = "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"
                          "\"b\":{\"address\":\"127.0.0.1:2\"}}}}";

static struct live_control live;

static void weigh(uint32_t weight)
{
    const struct control_wish wish = {
        .kind = OVERRIDE_WEIGHT, .pool = SLICE("p"), .name = SLICE("a"), .weight = weight};
    ck_assert_int_eq(live_control_wish(&live, &wish).err.kind, ERR_NONE);
}

static uint32_t weight(void)
{
    const struct override *found =
        overrides_find(control_overrides(live.control), OVERRIDE_WEIGHT, SLICE("p/a"));
    return found != NULL ? found->weight : 0;
}

static void again(void)
{
    live_control_end(&live);
    ck_assert(live_control_restart(&live));
}

static ino_t file_number(void)
{
    char path[160];
    struct stat found = {0};
    (void)snprintf(path, sizeof(path), "%s/state/overrides.json", live.directory);
    ck_assert_int_eq(stat(path, &found), 0);
    return found.st_ino;
}

START_TEST(changes_go_into_the_journal_and_are_found_again)
{
    live_control_start(&live, web, "");
    weigh(1);
    ino_t file = file_number();
    for (uint32_t i = 2; i < 50; i++) {
        weigh(i);
    }
    ck_assert_uint_eq(file_number(), file); /* written once */
    again();
    ck_assert_uint_eq(weight(), 49);
    weigh(50); /* the first of this life */
    ck_assert_uint_ne(file_number(), file);
    again();
    ck_assert_uint_eq(weight(), 50);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_full_journal_begins_anew)
{
    static char reason[200];
    memset(reason, 'r', sizeof(reason) - 1);
    live_control_start(&live, web, "");
    for (uint32_t i = 0; i < 2000; i++) {
        const struct control_wish wish = {.kind = OVERRIDE_WEIGHT,
                                          .pool = SLICE("p"),
                                          .name = SLICE("a"),
                                          .weight = 1 + i % 1000,
                                          .reason = slice_from(reason)};
        ck_assert(live_control_wish(&live, &wish).is_changed);
    }
    again();
    ck_assert_uint_eq(weight(), 1000);
    live_control_stop(&live);
}
END_TEST

START_TEST(what_was_superseded_stays_away)
{
    live_control_start(&live, web, "");
    weigh(7);
    (void)live_control_admin(&live, "b", SERVER_MAINT);
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a", "{\"weight\":8}");
    ck_assert_uint_eq(weight(), 0);
    ck_assert_uint_eq(control_override_count(live.control), 1);
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/pools/p/servers/b", "");
    ck_assert_uint_eq(control_override_count(live.control), 0);
    again();
    ck_assert_uint_eq(control_override_count(live.control), 0);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_journal_that_is_none_does_not_matter)
{
    char path[160];
    live_control_start(&live, web, "");
    weigh(7);
    weigh(8);
    live_control_end(&live);
    (void)snprintf(path, sizeof(path), "%s/state/overrides.log", live.directory);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(live_control_restart(&live));
    ck_assert_uint_eq(weight(), 7);
    weigh(9);
    weigh(10); /* each into the file */
    again();
    ck_assert_uint_eq(weight(), 10);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_overrides", changes_go_into_the_journal_and_are_found_again,
           a_full_journal_begins_anew, what_was_superseded_stays_away,
           a_journal_that_is_none_does_not_matter)
