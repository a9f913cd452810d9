/* sock_opt - see sock_opt.h. */
#include "lbd/net/sock_opt.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

/* Longer than any header timeout is sensible: the kernel then hands silent connections over anyway.
 */
#define DEFER_ACCEPT_S 10

static bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

bool sock_opt_before_bind(int fd, int family, bool one_of_several)
{
    if (family == AF_UNIX) {
        return true;
    }
    if (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
        return false;
    }
    if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
        return false;
    }
    return !one_of_several || set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

void sock_opt_listening(int fd, int family, bool client_speaks_first)
{
    if (family == AF_UNIX) {
        return;
    }
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (client_speaks_first) {
        sock_opt_defer(fd, family, true);
    }
}

void sock_opt_defer(int fd, int family, bool client_speaks_first)
{
    if (family != AF_UNIX) {
        (void)set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, client_speaks_first ? DEFER_ACCEPT_S : 0);
    }
}

void sock_opt_reset_at_close(int fd)
{
    if (sock_opt_unsent(fd) == 0) { /* a reset would overtake it */
        sock_opt_drop_at_close(fd);
    }
}

void sock_opt_drop_at_close(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void sock_opt_before_connect_from(int fd)
{
    (void)set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* of IPv6, too */
}

void sock_opt_dialled(int fd, int family)
{
    if (family != AF_UNIX) {
        (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
}

int sock_opt_connect_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

size_t sock_opt_unsent(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}
