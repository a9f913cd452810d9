/* dial - see dial.h. */
#include "lbd/net/dial.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/net/sock_opt.h"

static enum close_reason reason_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ENOENT: /* unix socket that is not there */
        return CLOSE_CONNECT_REFUSED;
    case ETIMEDOUT:
        return CLOSE_CONNECT_TIMEOUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return CLOSE_OVERLOAD; /* our own shortage says nothing of the server */
    default:
        return CLOSE_CONNECT_FAILED;
    }
}

enum dial_verdict dial_start(const struct addr *address, int *fd, enum close_reason *reason)
{
    int family = address->u.any.sa_family;
    *fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        *reason = reason_of(errno);
        return DIAL_FAILED;
    }
    sock_opt_dialled(*fd, family);
    if (connect(*fd, &address->u.any, address->len) == 0) {
        return DIAL_CONNECTED;
    }
    if (errno == EINPROGRESS) {
        return DIAL_PENDING;
    }
    *reason = reason_of(errno);
    (void)close(*fd);
    *fd = -1;
    return DIAL_FAILED;
}

bool dial_finish(int fd, enum close_reason *reason)
{
    int error = sock_opt_connect_error(fd);
    if (error != 0) {
        *reason = reason_of(error);
        return false;
    }
    return true;
}
