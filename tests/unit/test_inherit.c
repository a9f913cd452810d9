#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/net/inherit.h"
#include "tests/unit/unit.h"

/* Where the sockets begin; 3 and 4 are Check's. */
enum { FIRST = 50, SECOND };

static struct inherit inherit;
static char path[64];

static void setup(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/lbd-unit-%ld.sock", (long)getpid());
}

static void teardown(void)
{
    inherit_close(&inherit);
    (void)unlink(path);
}

static void move_to(int fd, int place)
{
    if (fd != place) {
        ck_assert_int_eq(dup2(fd, place), place);
        (void)close(fd);
    }
}

static struct addr listen_inet(int place)
{
    struct addr address;
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &address));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, &address.u.any, address.len), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    address.len = sizeof(address.u);
    ck_assert_int_eq(getsockname(fd, &address.u.any, &address.len), 0);
    move_to(fd, place);
    return address;
}

static struct addr listen_unix(int place)
{
    struct addr address;
    char text[80];
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    ck_assert(addr_parse(slice_from(text), &address));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, &address.u.any, address.len), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    move_to(fd, place);
    return address;
}

static void pass(const char *count, const char *names)
{
    char pid[24];
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", count, 1);
    if (names != NULL) {
        (void)setenv("LISTEN_FDNAMES", names, 1);
    }
}

START_TEST(a_socket_is_found_by_name_and_address)
{
    struct err err = {0};
    struct addr web = listen_inet(FIRST);
    struct addr api = listen_unix(SECOND);
    struct addr other;
    uint32_t cursor = 0;
    ck_assert(addr_parse(SLICE("127.0.0.1:1"), &other));
    pass("2", "web:api");
    ck_assert_msg(inherit_read(&inherit, FIRST, &err), "%s", err.text);
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
    ck_assert_ptr_null(getenv("LISTEN_PID"));
    ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));

    ck_assert_int_eq(inherit_take(&inherit, SLICE("web"), &other), -1);
    ck_assert_int_eq(inherit_take(&inherit, SLICE("api"), &web), -1);
    ck_assert_int_eq(inherit_take(&inherit, SLICE("we"), &web), -1);
    ck_assert_int_eq(inherit_take(NULL, SLICE("web"), &web), -1);
    int fd = inherit_take(&inherit, SLICE("web"), &web);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    (void)close(fd);
    /* left and taken again */
    fd = inherit_take(&inherit, SLICE("web"), &web);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);

    const struct inherit_socket *left = inherit_left(&inherit, &cursor);
    ck_assert_ptr_nonnull(left);
    ck_assert_str_eq(left->name, "api");
    ck_assert_ptr_null(inherit_left(&inherit, &cursor));
    fd = inherit_take(&inherit, SLICE("api"), &api);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    cursor = 0;
    ck_assert_ptr_null(inherit_left(&inherit, &cursor));
}
END_TEST

START_TEST(what_is_for_another_process_is_not_ours)
{
    static const struct {
        const char *pid;
        const char *count;
    } cases[] = {{"1", "1"},    {"x", "1"},     {"", "1"},     {NULL, "1"},
                 {"self", "0"}, {"self", "-1"}, {"self", "x"}, {"self", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        pass("1", "web");
        if (cases[i].pid == NULL) {
            (void)unsetenv("LISTEN_PID");
        } else if (strcmp(cases[i].pid, "self") != 0) {
            (void)setenv("LISTEN_PID", cases[i].pid, 1);
        }
        if (cases[i].count == NULL) {
            (void)unsetenv("LISTEN_FDS");
        } else {
            (void)setenv("LISTEN_FDS", cases[i].count, 1);
        }
        ck_assert(inherit_read(&inherit, FIRST, &err));
        ck_assert_uint_eq(inherit.count, 0);
        ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
    }
}
END_TEST

START_TEST(what_does_not_listen_is_refused_in_words)
{
    for (int i = 0; i < 5; i++) {
        struct err err = {0};
        int fd = -1;
        (void)listen_inet(FIRST);
        if (i == 0) { /* a stream that is only bound */
            fd = socket(AF_INET, SOCK_STREAM, 0);
        } else if (i == 1) {
            fd = socket(AF_INET, SOCK_DGRAM, 0);
        } else if (i == 2) {
            fd = open("/dev/null", O_RDONLY);
        } else if (i == 3) { /* an abstract name: no file, no rights */
            struct sockaddr_un name = {.sun_family = AF_UNIX};
            fd = socket(AF_UNIX, SOCK_STREAM, 0);
            ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
            ck_assert_int_eq(listen(fd, 1), 0);
        }
        if (fd >= 0) {
            move_to(fd, SECOND);
        } /* else it is not open at all */
        pass("2", "web:broken");
        ck_assert(!inherit_read(&inherit, FIRST, &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
        ck_assert_msg(strstr(err.text, "descriptor 51 ('broken')") != NULL, "%s", err.text);
        inherit_close(&inherit);
        (void)close(SECOND);
    }
    struct err err = {0};
    pass("100000", "web");
    ck_assert(!inherit_read(&inherit, FIRST, &err));
}
END_TEST

START_TEST(names_may_be_missing)
{
    static const char *const names[] = {NULL, "", ":", "web", "web:"};
    struct addr one = listen_inet(FIRST);
    struct addr two = listen_inet(SECOND);
    (void)one;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = {0};
        pass("2", names[i]);
        ck_assert(inherit_read(&inherit, FIRST, &err));
        ck_assert_str_eq(inherit.sockets[0].name, i < 3 ? "unknown" : "web");
        ck_assert_str_eq(inherit.sockets[1].name, "unknown");
        int fd = inherit_take(&inherit, SLICE("unknown"), &two);
        ck_assert_int_ge(fd, 0);
        (void)close(fd);
        inherit.count = 0; /* the sockets stay for the next turn */
    }
    (void)close(FIRST);
    (void)close(SECOND);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_socket_is_found_by_name_and_address);
    tcase_add_test(tcase, what_is_for_another_process_is_not_ours);
    tcase_add_test(tcase, what_does_not_listen_is_refused_in_words);
    tcase_add_test(tcase, names_may_be_missing);
}

UNIT_MAIN("inherit", add_all)
