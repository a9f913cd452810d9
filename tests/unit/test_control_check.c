#include <stdio.h>
#include <string.h>

#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

/* Nobody listens on port 1; "late" has a name and no address yet. */
static const char web[] = "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"
                          "\"late\":{\"address\":\"no.such.name.invalid:80\"}}}}";

static struct live_control live;
static bool is_told;
static bool is_passed;
static char detail[160];

static void on_checked(const struct control_checked *checked, void *arg)
{
    (void)arg;
    ck_assert(!is_told);
    is_told = true;
    is_passed = checked->is_passed;
    (void)snprintf(detail, sizeof(detail), "%s", checked->detail);
}

static bool check(const char *server)
{
    is_told = false;
    return control_check(live.control, SLICE("p"), slice_from(server), on_checked, NULL);
}

START_TEST(a_server_without_a_check_is_connected_to)
{
    live_control_start(&live, web, "");
    ck_assert(check("a"));
    ck_assert(!is_told); /* later, from the loop */
    live_control_until(&live, &is_told);
    ck_assert(!is_passed);
    ck_assert_msg(strstr(detail, "refused") != NULL, "%s", detail);
    ck_assert(check("late"));
    live_control_until(&live, &is_told);
    ck_assert_str_eq(detail, "its name has no address");
    ck_assert(!check("no"));
    live_control_stop(&live);
}
END_TEST

START_TEST(who_waits_is_told_at_the_end)
{
    live_control_start(&live, web, "");
    ck_assert(check("a"));
    control_stop(live.control);
    ck_assert(is_told && !is_passed);
    ck_assert_str_eq(detail, "lbd is stopping");
    ck_assert(!check("a"));
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_check", a_server_without_a_check_is_connected_to, who_waits_is_told_at_the_end)
