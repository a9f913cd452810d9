#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/base/sd_notify.h"
#include "tests/unit/unit.h"

/* A datagram socket with a kernel-chosen abstract name, and that name as $NOTIFY_SOCKET. */
static int listen_abstract(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address);
    char name[sizeof(address.sun_path) + 1];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(
        bind(fd, (const struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    size_t name_len = len - offsetof(struct sockaddr_un, sun_path);
    memcpy(name, address.sun_path, name_len);
    name[0] = '@';
    name[name_len] = '\0';
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

START_TEST(sends_one_datagram)
{
    char got[128] = "";
    int fd = listen_abstract();
    ck_assert(sd_notify_is_wanted());
    ck_assert(sd_notify_send("READY=1\nSTATUS=rev %d", 42));
    ssize_t len = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    ck_assert_int_eq(len, 21);
    ck_assert_str_eq(got, "READY=1\nSTATUS=rev 42");
    (void)close(fd);
    ck_assert(!sd_notify_send("READY=1")); /* nobody listens any more */
}
END_TEST

START_TEST(does_not_wait_for_who_does_not_read)
{
    int fd = listen_abstract();
    uint32_t sent = 0;
    while (sent < 100000 && sd_notify_send("STATUS=%u", sent)) {
        sent++;
    }
    ck_assert_uint_gt(sent, 0);
    ck_assert_uint_lt(sent, 100000); /* it was full, and said so */
    (void)close(fd);
}
END_TEST

START_TEST(is_silent_without_a_socket)
{
    static const char *const names[] = {"", "@", "relative", "vsock:2:1234"};
    ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
    ck_assert(!sd_notify_is_wanted());
    ck_assert(!sd_notify_send("READY=1"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        ck_assert(!sd_notify_send("READY=1"));
    }
}
END_TEST

START_TEST(halves_the_watchdog_when_it_is_ours)
{
    char pid[24];
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    ck_assert_int_eq(unsetenv("WATCHDOG_USEC"), 0);
    ck_assert_int_eq(unsetenv("WATCHDOG_PID"), 0);
    ck_assert_uint_eq(sd_notify_watchdog_ms(), 0);
    ck_assert_int_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    ck_assert_uint_eq(sd_notify_watchdog_ms(), 15000);
    ck_assert_int_eq(setenv("WATCHDOG_PID", pid, 1), 0);
    ck_assert_uint_eq(sd_notify_watchdog_ms(), 15000);
    ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
    ck_assert_uint_eq(sd_notify_watchdog_ms(), 0);
    ck_assert_int_eq(setenv("WATCHDOG_PID", pid, 1), 0);
    ck_assert_int_eq(setenv("WATCHDOG_USEC", "often", 1), 0);
    ck_assert_uint_eq(sd_notify_watchdog_ms(), 0);
}
END_TEST

UNIT_TESTS("sd_notify", sends_one_datagram, does_not_wait_for_who_does_not_read,
           is_silent_without_a_socket, halves_the_watchdog_when_it_is_ours)
