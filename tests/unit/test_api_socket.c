#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_socket.h"
#include "tests/unit/unit.h"

static char directory[64];
static char path[96];
static char address[112];

static void begin(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/lbd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/run/api.sock", directory);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
}

static void end(void)
{
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    (void)rmdir(directory);
}

START_TEST(the_directory_is_made_and_the_socket_is_for_its_group)
{
    struct err err = {0};
    struct stat found;
    begin();
    int fd = api_socket_open(slice_from(address), &err);
    ck_assert_msg(fd >= 0, "%s", err.text);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0660);
    ck_assert(S_ISSOCK(found.st_mode));
    api_socket_remove(slice_from(address));
    ck_assert_int_ne(stat(path, &found), 0);
    (void)close(fd);
    end();
}
END_TEST

START_TEST(a_leftover_is_replaced_and_a_living_one_is_not)
{
    struct err err = {0};
    begin();
    int first = api_socket_open(slice_from(address), &err);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(api_socket_open(slice_from(address), &err), -1);
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    (void)close(first); /* as kill -9 leaves it */
    int second = api_socket_open(slice_from(address), &err);
    ck_assert_msg(second >= 0, "%s", err.text);
    (void)close(second);
    end();
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
    struct err err = {0};
    struct stat found;
    begin();
    char parent[96];
    (void)snprintf(parent, sizeof(parent), "%s/run", directory);
    ck_assert_int_eq(mkdir(parent, 0700), 0);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fclose(file);
    ck_assert_int_eq(api_socket_open(slice_from(address), &err), -1);
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    ck_assert_int_eq(stat(path, &found), 0);
    end();
}
END_TEST

START_TEST(tcp_is_opened_and_refused_when_taken)
{
    struct err err = {0};
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    char text[32];
    int first = api_socket_open(SLICE("127.0.0.1:0"), &err);
    ck_assert_msg(first >= 0, "%s", err.text);
    ck_assert_int_eq(getsockname(first, (struct sockaddr *)&bound, &len), 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)ntohs(bound.sin_port));
    ck_assert_int_eq(api_socket_open(slice_from(text), &err), -1);
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    ck_assert_int_eq(api_socket_open(SLICE("nonsense"), &err), -1);
    ck_assert_int_eq(err.kind, ERR_INVALID);
    (void)close(first);
}
END_TEST

/* "0.0.0.0:9443" and "[::]:9443" beside each other are two sockets of one port. */
START_TEST(both_families_may_have_a_port)
{
    struct err err = {0};
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    char other[32];
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return; /* no IPv6 here */
    }
    (void)close(probe);
    int first = api_socket_open(SLICE("0.0.0.0:0"), &err);
    ck_assert_msg(first >= 0, "%s", err.text);
    ck_assert_int_eq(getsockname(first, (struct sockaddr *)&bound, &len), 0);
    (void)snprintf(other, sizeof(other), "[::]:%u", (unsigned)ntohs(bound.sin_port));
    int second = api_socket_open(slice_from(other), &err);
    ck_assert_msg(second >= 0 || err.kind == ERR_SYSTEM, "%s", err.text);
    (void)close(first);
    (void)close(second);
}
END_TEST

START_TEST(the_usual_place_follows_the_user)
{
    char text[API_SOCKET_PATH_MAX + 8];
    api_socket_default(text);
    ck_assert_int_eq(strncmp(text, "unix:/", 6), 0);
    ck_assert_ptr_nonnull(strstr(text, "/api.sock"));
    if (geteuid() == 0) {
        ck_assert_str_eq(text, "unix:/run/lbd/api.sock");
    }
}
END_TEST

UNIT_TESTS("api_socket", the_directory_is_made_and_the_socket_is_for_its_group,
           a_leftover_is_replaced_and_a_living_one_is_not, what_is_no_socket_is_left_alone,
           tcp_is_opened_and_refused_when_taken, both_families_may_have_a_port,
           the_usual_place_follows_the_user)
