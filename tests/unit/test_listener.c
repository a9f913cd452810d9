#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/net/listener.h"
#include "tests/unit/unit.h"

static struct addr address_of(const char *text)
{
    struct addr address;
    ck_assert(addr_parse(slice_from(text), &address));
    return address;
}

static struct listener_bind *open_ok(const char *text, uint32_t workers)
{
    struct addr address = address_of(text);
    struct err err = {0};
    struct listener_bind *bind_set = listener_bind_open(&address, workers, &err);
    ck_assert_msg(bind_set != NULL, "%s: %s", text, err.text);
    return bind_set;
}

static enum err_kind open_refused(const struct addr *address, uint32_t workers)
{
    struct err err = {0};
    char text[ADDR_TEXT_MAX];
    (void)addr_write(address, text);
    ck_assert_ptr_null(listener_bind_open(address, workers, &err));
    ck_assert_str_eq(err.place, text);
    ck_assert_ptr_nonnull(strstr(err.text, text));
    return err.kind;
}

static int connect_to(const struct addr *address)
{
    int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, &address->u.any, address->len), 0);
    return fd;
}

static int get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

START_TEST(port_0_becomes_a_port_with_a_socket_per_worker)
{
    struct listener_bind *bind_set = open_ok("127.0.0.1:0", 4);
    ck_assert_uint_eq(bind_set->fd_count, 4);
    ck_assert_uint_ne(ntohs(bind_set->bound.u.v4.sin_port), 0);
    ck_assert_uint_eq(ntohs(bind_set->asked.u.v4.sin_port), 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct addr bound = {.len = sizeof(bound.u)};
        ck_assert_int_eq(getsockname(bind_set->fds[i], &bound.u.any, &bound.len), 0);
        ck_assert(addr_eq(&bound, &bind_set->bound));
        ck_assert_int_eq(get_int(bind_set->fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
        ck_assert_int_eq(get_int(bind_set->fds[i], SOL_SOCKET, SO_REUSEPORT), 1);
        ck_assert_int_eq(get_int(bind_set->fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
        ck_assert_int_gt(get_int(bind_set->fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
        for (uint32_t other = 0; other < i; other++) {
            ck_assert_int_ne(bind_set->fds[i], bind_set->fds[other]);
        }
    }
    listener_bind_unref(bind_set);
}
END_TEST

START_TEST(every_connection_reaches_exactly_one_socket)
{
    enum { CLIENTS = 40 };
    struct listener_bind *bind_set = open_ok("127.0.0.1:0", 4);
    int clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&bind_set->bound);
        ck_assert_int_eq(send(clients[i], "x", 1, 0), 1); /* ends the kernel's waiting for a byte */
    }
    unsigned accepted = 0;
    for (int round = 0; round < 1000 && accepted < CLIENTS; round++) {
        for (uint32_t i = 0; i < bind_set->fd_count; i++) {
            int fd = accept(bind_set->fds[i], NULL, NULL);
            if (fd >= 0) {
                accepted++;
                (void)close(fd);
            }
        }
    }
    ck_assert_uint_eq(accepted, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)close(clients[i]);
    }
    listener_bind_unref(bind_set);
}
END_TEST

START_TEST(a_port_in_use_is_refused_also_when_it_could_be_shared)
{
    struct listener_bind *bind_set = open_ok("127.0.0.1:0", 2);
    ck_assert_int_eq(open_refused(&bind_set->bound, 2), ERR_CONFLICT);
    ck_assert_int_eq(open_refused(&bind_set->bound, 1), ERR_CONFLICT);
    struct addr address = bind_set->bound;
    listener_bind_unref(bind_set); /* and is free again */
    struct err err;
    bind_set = listener_bind_open(&address, 2, &err);
    ck_assert_ptr_nonnull(bind_set);
    listener_bind_unref(bind_set);
}
END_TEST

START_TEST(an_address_of_another_machine_is_invalid)
{
    struct addr address = address_of("192.0.2.1:8080");
    ck_assert_int_eq(open_refused(&address, 1), ERR_INVALID);
}
END_TEST

START_TEST(ipv6_leaves_ipv4_alone)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = probe >= 0 && bind(probe, (struct sockaddr *)&any, sizeof(any)) == 0;
    if (probe >= 0) {
        (void)close(probe);
    }
    if (!there) {
        return; /* a machine without IPv6 */
    }
    struct listener_bind *six = NULL;
    struct listener_bind *both = NULL;
    for (int i = 0; i < 20 && both == NULL; i++) { /* the port may be somebody else's in IPv4 */
        struct addr four = address_of("0.0.0.0:0");
        struct err err;
        listener_bind_unref(six);
        six = open_ok("[::]:0", 2);
        four.u.v4.sin_port = six->bound.u.v6.sin6_port;
        both = listener_bind_open(&four, 2, &err);
    }
    ck_assert_ptr_nonnull(both);
    listener_bind_unref(both);
    listener_bind_unref(six);
}
END_TEST

START_TEST(a_unix_socket_is_shared_by_all_workers_and_removed)
{
    char dir[] = "/tmp/lbd-listener-XXXXXX";
    char text[128];
    struct stat info;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(text, sizeof(text), "unix:%s/s", dir);
    struct listener_bind *bind_set = open_ok(text, 3);
    ck_assert_int_eq(bind_set->fds[0], bind_set->fds[1]);
    ck_assert_int_eq(bind_set->fds[0], bind_set->fds[2]);
    struct addr address = address_of(text);
    int client = connect_to(&address);
    int accepted = accept(bind_set->fds[2], NULL, NULL);
    ck_assert_int_ge(accepted, 0);
    (void)close(accepted);
    (void)close(client);
    ck_assert_int_eq(open_refused(&address, 1), ERR_CONFLICT); /* somebody answers on it */
    ck_assert_int_eq(stat(text + 5, &info), 0);
    listener_bind_unref(listener_bind_ref(bind_set)); /* counted */
    ck_assert_int_eq(stat(text + 5, &info), 0);
    listener_bind_unref(bind_set);
    ck_assert_int_ne(stat(text + 5, &info), 0);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(a_socket_that_was_passed_is_shared_and_stays_the_giver_s)
{
    char dir[] = "/tmp/lbd-listener-XXXXXX";
    char text[128];
    struct stat info;
    struct err err = {0};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(text, sizeof(text), "unix:%s/s", dir);
    struct listener_bind *local = open_ok(text, 1);
    struct listener_bind *inet = open_ok("127.0.0.1:0", 1);
    struct listener_bind *givers[] = {local, inet};
    for (int i = 0; i < 2; i++) {
        struct addr address = givers[i]->bound;
        int fd = dup(givers[i]->fds[0]);
        struct listener_bind *adopted = listener_bind_adopt(&address, fd, 3);
        ck_assert(adopted->is_shared && adopted->is_inherited);
        ck_assert(addr_eq(&adopted->bound, &address));
        ck_assert_int_eq(adopted->fds[0], adopted->fds[2]);
        /* drained: nobody else may be told by it */
        listener_bind_shut(adopted, 1);
        ck_assert(listener_bind_listen(adopted, 1));
        ck_assert(listener_bind_hide(adopted, true, &err));
        int client = connect_to(&address);
        ck_assert_int_eq(send(client, "x", 1, 0), 1); /* ends the kernel's waiting for a byte */
        struct pollfd waiting = {.fd = adopted->fds[1], .events = POLLIN};
        ck_assert_int_eq(poll(&waiting, 1, 60000), 1);
        int accepted = accept(adopted->fds[1], NULL, NULL);
        ck_assert_int_ge(accepted, 0);
        (void)close(accepted);
        (void)close(client);
        listener_bind_unref(adopted);
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* our copy is closed, and only that */
        client = connect_to(&address);
        ck_assert_int_ge(client, 0);
        (void)close(client);
    }
    ck_assert_int_eq(stat(text + 5, &info), 0);
    listener_bind_unref(local);
    listener_bind_unref(inet);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(a_socket_file_left_by_a_crash_is_replaced_another_file_is_not)
{
    char dir[] = "/tmp/lbd-listener-XXXXXX";
    char text[128];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(text, sizeof(text), "unix:%s/s", dir);
    struct addr address = address_of(text);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(dead, &address.u.any, address.len), 0);
    (void)close(dead);
    listener_bind_unref(open_ok(text, 1));

    FILE *file = fopen(text + 5, "we");
    ck_assert_ptr_nonnull(file);
    (void)fclose(file);
    ck_assert_int_eq(open_refused(&address, 1), ERR_CONFLICT);
    ck_assert_int_eq(unlink(text + 5), 0); /* it was not touched */
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

static uint32_t freed_id;

static void on_free(uint32_t id)
{
    freed_id = id;
}

START_TEST(a_listener_ends_with_its_last_reference_and_closes_its_sockets)
{
    freed_id = 0;
    listener_on_free(on_free);
    struct listener *listener = listener_new(SLICE("web"), 17);
    ck_assert_str_eq(listener->name, "web");
    struct listener_bind *bind_set = open_ok("127.0.0.1:0", 1);
    struct addr address = bind_set->bound;
    listener->binds[listener->bind_count++] = bind_set;
    ck_assert_ptr_eq(listener_ref(listener), listener);
    listener_unref(listener);
    ck_assert_uint_eq(freed_id, 0);
    ck_assert_int_eq(open_refused(&address, 1), ERR_CONFLICT);
    listener_unref(listener);
    ck_assert_uint_eq(freed_id, 17);
    struct err err;
    bind_set = listener_bind_open(&address, 1, &err);
    ck_assert_ptr_nonnull(bind_set);
    listener_bind_unref(bind_set);
    listener_unref(NULL);
    listener_bind_unref(NULL);
    listener_on_free(NULL);
}
END_TEST

UNIT_TESTS("listener", port_0_becomes_a_port_with_a_socket_per_worker,
           every_connection_reaches_exactly_one_socket,
           a_port_in_use_is_refused_also_when_it_could_be_shared,
           an_address_of_another_machine_is_invalid, ipv6_leaves_ipv4_alone,
           a_unix_socket_is_shared_by_all_workers_and_removed,
           a_socket_that_was_passed_is_shared_and_stays_the_giver_s,
           a_socket_file_left_by_a_crash_is_replaced_another_file_is_not,
           a_listener_ends_with_its_last_reference_and_closes_its_sockets)
