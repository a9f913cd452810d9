/* loop_stand - see loop_stand.h. */
#include "tests/unit/loop_stand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/err.h"

void loop_stand_open(struct loop_stand *stand)
{
    struct err err;
    (void)signal(SIGPIPE, SIG_IGN); /* as main does: splice(2) has no MSG_NOSIGNAL */
    stand->loop = loop_new(&err);
    ck_assert_ptr_nonnull(stand->loop);
    net_worker_init(&stand->net);
    loop_slot_set(stand->loop, LOOP_SLOT_NET, &stand->net);
}

void loop_stand_close(struct loop_stand *stand)
{
    loop_run_once(stand->loop, 0);
    ck_assert_uint_eq(stand->net.buffered_bytes, 0);
    loop_free(stand->loop);
    net_worker_fini(&stand->net);
}

void loop_stand_turn(struct loop_stand *stand)
{
    loop_run_once(stand->loop, 1);
}

void loop_stand_settle(struct loop_stand *stand)
{
    for (int i = 0; i < 8; i++) {
        loop_run_once(stand->loop, 0);
    }
}

static void set_nonblocking(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

void loop_stand_tcp_pair(int *ours, int *theirs)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    *theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(*theirs, (struct sockaddr *)&address, len), 0);
    *ours = accept(listening, NULL, NULL);
    ck_assert_int_ge(*ours, 0);
    (void)close(listening);
    int one = 1; /* as lbd's sockets have it */
    ck_assert_int_eq(setsockopt(*ours, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    ck_assert_int_eq(setsockopt(*theirs, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    set_nonblocking(*ours);
    set_nonblocking(*theirs);
}

void loop_stand_unix_pair(int *ours, int *theirs)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *ours = fds[0];
    *theirs = fds[1];
}

void loop_stand_small_buffers(int fd)
{
    /* A receive buffer smaller than loopback's segments would make TCP wait for its timers. */
    int send_bytes = 16384;
    int receive_bytes = 131072;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(int)), 0);
}

size_t peer_write(int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

void peer_say(int fd, const char *text)
{
    ck_assert_uint_eq(peer_write(fd, text, strlen(text)), strlen(text));
}

size_t peer_read(int fd, void *out, size_t max)
{
    size_t got = 0;
    while (got < max) {
        ssize_t n = recv(fd, (char *)out + got, max - got, 0);
        if (n <= 0) {
            break;
        }
        got += (size_t)n;
    }
    return got;
}

bool peer_sees_end(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

bool peer_sees_reset(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno != EAGAIN;
}

void peer_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(fd);
}

static char pattern_at(size_t at, unsigned seed)
{
    uint64_t mixed = (at / 8 + seed * 0x9E3779B9U + 1) * 0x9E3779B97F4A7C15ULL;
    return (char)(mixed >> (at % 8 * 8));
}

void pattern_fill(char *out, size_t len, size_t from, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = pattern_at(from + i, seed);
    }
}

size_t pattern_differs(const char *bytes, size_t len, size_t from, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != pattern_at(from + i, seed)) {
            return i;
        }
    }
    return SIZE_MAX;
}
