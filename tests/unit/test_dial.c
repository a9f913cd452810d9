#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lbd/net/dial.h"
#include "lbd/net/listener.h"
#include "tests/unit/unit.h"

static const struct dial_sources anywhere = {.count = 0};

static struct addr address_of(const char *text)
{
    struct addr address;
    ck_assert(addr_parse(slice_from(text), &address));
    return address;
}

static struct listener_bind *listen_on(const char *text)
{
    struct addr address = address_of(text);
    struct err err = {0};
    struct listener_bind *bind_set = listener_bind_open(&address, 1, &err);
    ck_assert_msg(bind_set != NULL, "%s", err.text);
    return bind_set;
}

/* Dials and waits for the answer, as a watch would. */
static bool dial(const struct addr *address, int *fd, enum close_reason *reason)
{
    switch (dial_start(address, &anywhere, 0, fd, reason)) {
    case DIAL_CONNECTED:
        return true;
    case DIAL_FAILED:
        ck_assert_int_eq(*fd, -1);
        return false;
    case DIAL_PENDING:
        break;
    }
    struct pollfd event = {.fd = *fd, .events = POLLOUT};
    ck_assert_int_eq(poll(&event, 1, 60000), 1);
    return dial_finish(*fd, reason);
}

START_TEST(connects_without_blocking)
{
    struct listener_bind *bind_set = listen_on("127.0.0.1:0");
    enum close_reason reason = CLOSE_OK;
    int fd;
    ck_assert(dial(&bind_set->bound, &fd, &reason));
    int one = 0;
    socklen_t len = sizeof(one);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, &len), 0);
    ck_assert_int_eq(one, 1);
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, 0), -1); /* and does not block afterwards */
    (void)close(fd);
    listener_bind_unref(bind_set);
}
END_TEST

START_TEST(a_port_where_nobody_listens_refuses)
{
    struct addr address = address_of("127.0.0.1:0");
    int held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, not listening */
    ck_assert_int_eq(bind(held, &address.u.any, address.len), 0);
    ck_assert_int_eq(getsockname(held, &address.u.any, &address.len), 0);
    enum close_reason reason = CLOSE_OK;
    int fd = -1;
    ck_assert(!dial(&address, &fd, &reason));
    ck_assert_int_eq(reason, CLOSE_CONNECT_REFUSED);
    (void)close(held);
    if (fd >= 0) {
        (void)close(fd);
    }
}
END_TEST

START_TEST(what_no_route_leads_to_fails)
{
    struct addr address = address_of("255.255.255.255:80"); /* no stream goes to a broadcast */
    enum close_reason reason = CLOSE_OK;
    int fd = -1;
    ck_assert(!dial(&address, &fd, &reason));
    ck_assert_int_eq(reason, CLOSE_CONNECT_FAILED);
}
END_TEST

START_TEST(no_descriptor_left_is_our_own_shortage)
{
    struct listener_bind *bind_set = listen_on("127.0.0.1:0");
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDIN_FILENO); /* the lowest that is free */
    ck_assert_int_ge(next, 0);
    (void)close(next);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    enum close_reason reason = CLOSE_OK;
    int fd = 0;
    enum dial_verdict verdict = dial_start(&bind_set->bound, &anywhere, 0, &fd, &reason);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(verdict, DIAL_FAILED);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(reason, CLOSE_OVERLOAD);
    listener_bind_unref(bind_set);
}
END_TEST

START_TEST(unix_sockets_connect_at_once)
{
    char dir[] = "/tmp/lbd-dial-XXXXXX";
    char text[128];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(text, sizeof(text), "unix:%s/s", dir);
    struct addr address = address_of(text);
    enum close_reason reason = CLOSE_OK;
    int fd = -1;
    ck_assert_int_eq(dial_start(&address, &anywhere, 0, &fd, &reason), DIAL_FAILED);
    ck_assert_int_eq(reason, CLOSE_CONNECT_REFUSED); /* not there */
    struct listener_bind *bind_set = listen_on(text);
    ck_assert_int_eq(dial_start(&address, &anywhere, 0, &fd, &reason), DIAL_CONNECTED);
    (void)close(fd);
    listener_bind_unref(bind_set);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(leaves_from_its_sources_in_turn)
{
    struct listener_bind *bind_set = listen_on("127.0.0.1:0");
    struct addr list[] = {address_of("127.0.0.2:0"), address_of("[::1]:0"),
                          address_of("127.0.0.3:0"), address_of("192.0.2.1:0")};
    const struct dial_sources all = {list, 3};
    const struct dial_sources foreign = {&list[3], 1};
    const struct dial_sources one_good = {&list[2], 2};
    const struct dial_sources six = {&list[1], 1};
    enum close_reason reason = CLOSE_OK;
    for (uint32_t turn = 0; turn < 4; turn++) {
        static const char *const want[] = {"127.0.0.2", "127.0.0.3"};
        struct sockaddr_in own;
        socklen_t len = sizeof(own);
        struct addr_small small;
        char text[ADDR_TEXT_MAX];
        int fd;
        ck_assert_int_ne(dial_start(&bind_set->bound, &all, turn, &fd, &reason), DIAL_FAILED);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)(void *)&own, &len), 0);
        addr_small_from(&small, (struct sockaddr *)(void *)&own);
        (void)addr_small_write_ip(&small, text);
        ck_assert_str_eq(text, want[turn % 2]);
        ck_assert_uint_ne(small.port, 0);
        (void)close(fd);
        ck_assert_int_ne(dial_start(&bind_set->bound, &one_good, turn, &fd, &reason), DIAL_FAILED);
        (void)close(fd); /* the next one stands in */
    }
    int fd;
    ck_assert_int_eq(dial_start(&bind_set->bound, &foreign, 0, &fd, &reason), DIAL_FAILED);
    ck_assert_int_eq(reason, CLOSE_SOURCE_UNAVAILABLE);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_ne(dial_start(&bind_set->bound, &six, 0, &fd, &reason), DIAL_FAILED);
    (void)close(fd); /* none of its family: the kernel chooses */
    listener_bind_unref(bind_set);
}
END_TEST

/* In a network of its own, where there are two ports to leave from. 0: as it should be. */
static int use_up_the_ports(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int own[3] = {-1, -1, -1};
    enum close_reason reason = CLOSE_OK;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    FILE *range = NULL;
    if (ioctl(fd, SIOCSIFFLAGS, &lo) != 0 ||
        (range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w")) == NULL ||
        fprintf(range, "2000 2001") < 0 || fclose(range) != 0) {
        return 77;
    }
    struct listener_bind *bind_set = listen_on("127.0.0.1:3000");
    for (size_t i = 0; i < 2; i++) {
        if (dial_start(&bind_set->bound, &anywhere, 0, &own[i], &reason) == DIAL_FAILED) {
            return 1;
        }
    }
    bool is_as_told = dial_start(&bind_set->bound, &anywhere, 0, &own[2], &reason) == DIAL_FAILED &&
                      reason == CLOSE_SOURCE_UNAVAILABLE;
    return is_as_told ? 0 : 2;
}

START_TEST(no_port_left_is_our_own_shortage)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(unshare(CLONE_NEWNET) == 0 ? use_up_the_ports() : 77);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "%d", WEXITSTATUS(status));
}
END_TEST

UNIT_TESTS("dial", leaves_from_its_sources_in_turn, connects_without_blocking,
           a_port_where_nobody_listens_refuses, what_no_route_leads_to_fails,
           no_descriptor_left_is_our_own_shortage, no_port_left_is_our_own_shortage,
           unix_sockets_connect_at_once)
