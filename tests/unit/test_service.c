#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/base/sd_notify.h"
#include "lbd/control/service.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static struct live_control live;
static struct service service;
static int manager; /* the socket that a service manager would read */

/* Two servers that count as up, for nobody checks them. */
#define DOCUMENT                                                                                   \
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"}},"                 \
    "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"                          \
    "\"b\":{\"address\":\"127.0.0.1:2\"}}}}"

static void listen_as_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address);
    char name[sizeof(address.sun_path) + 1];
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(manager, 0);
    ck_assert_int_eq(
        bind(manager, (const struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path)),
        0);
    ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&address, &len), 0);
    size_t name_len = len - offsetof(struct sockaddr_un, sun_path);
    memcpy(name, address.sun_path, name_len);
    name[0] = '@';
    name[name_len] = '\0';
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

/* What was told since the last call, "" for nothing. */
static const char *told(void)
{
    static char text[1024];
    ssize_t len = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void setup(void)
{
    listen_as_manager();
    live_control_start(&live, DOCUMENT, "");
}

static void teardown(void)
{
    service_stop(&service);
    live_control_stop(&live);
    (void)close(manager);
    (void)unsetenv("NOTIFY_SOCKET");
}

/* Lets the timer of the line be due now. */
static void tick(void)
{
    loop_timer_stop(&service.tick);
    service.tick.fn(&service.tick);
}

START_TEST(the_line_says_how_it_goes)
{
    char line[SERVICE_LINE_MAX];
    service_write_line(live.control, false, line);
    ck_assert_str_eq(line, "rev 1, 1 listener, 2/2 servers up");
    service_write_line(live.control, true, line);
    ck_assert_str_eq(line, "draining, 0 connections left");
}
END_TEST

START_TEST(ready_reloading_and_stopping_are_told)
{
    service_start(&service, live.loop, live.control);
    ck_assert_str_eq(told(), "");
    service_ready(&service);
    ck_assert_str_eq(told(), "READY=1\nSTATUS=rev 1, 1 listener, 2/2 servers up");
    service_reloading(&service);
    ck_assert(strncmp(told(), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
    service_ready(&service);
    ck_assert_str_eq(told(), "READY=1\nSTATUS=rev 1, 1 listener, 2/2 servers up");
    service_stopping(&service);
    ck_assert_str_eq(
        told(), "STOPPING=1\nSTATUS=draining, 0 connections left\nEXTEND_TIMEOUT_USEC=15000000");
    service_ready(&service);
    service_reloading(&service);
    ck_assert_str_eq(told(), "");
    tick(); /* while it stops, each tick asks for more time */
    ck_assert_str_eq(told(), "STATUS=draining, 0 connections left\nEXTEND_TIMEOUT_USEC=15000000");
}
END_TEST

START_TEST(a_tick_tells_what_is_new_and_nothing_else)
{
    service_start(&service, live.loop, live.control);
    tick();
    ck_assert_str_eq(told(), ""); /* not ready: nothing to boast of */
    service_ready(&service);
    (void)told();
    tick();
    ck_assert_str_eq(told(), "");
    (void)live_control_change(&live, CONF_EDIT_PUT, "/pools/q", "{}");
    tick();
    ck_assert_str_eq(told(), "STATUS=rev 2, 1 listener, 2/2 servers up");
    struct registry_server *server =
        registry_find_server(control_registry(live.control), SLICE("p"), SLICE("a"));
    (void)server_set_health(server->server, SERVER_DOWN, 0);
    tick();
    ck_assert_str_eq(told(), ""); /* nobody published it yet, and counting is dear */
    registry_touch((struct registry *)(uintptr_t)control_registry(live.control), SLICE("p"));
    uint64_t before = control_facts(live.control)->generation;
    control_republish(live.control);
    while (control_facts(live.control)->generation == before) {
        live_control_turn(&live);
    }
    tick();
    ck_assert_str_eq(told(), "STATUS=rev 2, 1 listener, 1/2 servers up");
}
END_TEST

START_TEST(what_is_not_taken_is_told_again)
{
    int filled = 0;
    service_start(&service, live.loop, live.control);
    while (sd_notify_send("X=%d", filled)) {
        filled++; /* a manager that reads nothing */
    }
    service_ready(&service);
    tick();
    for (int i = 0; i < filled; i++) {
        ck_assert(strncmp(told(), "X=", 2) == 0);
    }
    ck_assert_str_eq(told(), "");
    tick();
    ck_assert_str_eq(told(), "READY=1\nSTATUS=rev 1, 1 listener, 2/2 servers up");
    tick();
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(nothing_is_told_when_nobody_listens)
{
    (void)unsetenv("NOTIFY_SOCKET");
    service_start(&service, live.loop, live.control);
    ck_assert(!loop_timer_is_set(&service.tick));
    service_ready(&service);
    service_reloading(&service);
    service_stopping(&service);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_watchdog_is_fed)
{
    (void)setenv("WATCHDOG_USEC", "2000000", 1);
    (void)unsetenv("WATCHDOG_PID");
    service_start(&service, live.loop, live.control);
    (void)unsetenv("WATCHDOG_USEC");
    ck_assert(loop_timer_is_set(&service.watchdog));
    loop_timer_stop(&service.watchdog);
    service.watchdog.fn(&service.watchdog);
    ck_assert_str_eq(told(), "WATCHDOG=1");
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_line_says_how_it_goes);
    tcase_add_test(tcase, ready_reloading_and_stopping_are_told);
    tcase_add_test(tcase, a_tick_tells_what_is_new_and_nothing_else);
    tcase_add_test(tcase, what_is_not_taken_is_told_again);
    tcase_add_test(tcase, nothing_is_told_when_nobody_listens);
    tcase_add_test(tcase, a_watchdog_is_fed);
}

UNIT_MAIN("service", add_all)
