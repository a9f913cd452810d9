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
    case EADDRNOTAVAIL:
        return CLOSE_SOURCE_UNAVAILABLE; /* nor that all our ports to it are in use */
    default:
        return CLOSE_CONNECT_FAILED;
    }
}

static uint32_t count_of(const struct dial_sources *sources, int family)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sources->count; i++) {
        count += sources->list[i].u.any.sa_family == family ? 1 : 0;
    }
    return count;
}

bool dial_bind(int fd, int family, const struct dial_sources *sources, uint32_t turn)
{
    uint32_t count = count_of(sources, family);
    uint32_t left = count != 0 ? turn % count : 0;
    for (uint32_t i = 0; count != 0 && i < sources->count; i++) {
        const struct addr *source = &sources->list[i];
        if (source->u.any.sa_family == family && left-- == 0) {
            sock_opt_before_connect_from(fd);
            return bind(fd, &source->u.any, source->len) == 0;
        }
    }
    return true;
}

static enum dial_verdict start_once(const struct addr *address, const struct dial_sources *sources,
                                    uint32_t turn, int *fd, enum close_reason *reason)
{
    int family = address->u.any.sa_family;
    *fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        *reason = reason_of(errno);
        return DIAL_FAILED;
    }
    sock_opt_dialled(*fd, family);
    bool is_bound = sources->count == 0 || dial_bind(*fd, family, sources, turn);
    if (is_bound && connect(*fd, &address->u.any, address->len) == 0) {
        return DIAL_CONNECTED;
    }
    if (is_bound && errno == EINPROGRESS) {
        return DIAL_PENDING;
    }
    *reason = is_bound ? reason_of(errno) : CLOSE_SOURCE_UNAVAILABLE;
    (void)close(*fd);
    *fd = -1;
    return DIAL_FAILED;
}

enum dial_verdict dial_start(const struct addr *address, const struct dial_sources *sources,
                             uint32_t turn, int *fd, enum close_reason *reason)
{
    enum dial_verdict verdict = start_once(address, sources, turn, fd, reason);
    for (uint32_t i = 1;
         verdict == DIAL_FAILED && *reason == CLOSE_SOURCE_UNAVAILABLE && i < sources->count; i++) {
        verdict = start_once(address, sources, turn + i, fd, reason);
    }
    return verdict;
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
