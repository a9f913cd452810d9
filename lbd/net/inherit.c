/* inherit - see inherit.h. */
#include "lbd/net/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/num.h"

/* False: there are none for us. */
static bool count_fds(uint64_t *count)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    uint64_t pid = 0;
    return pid_text != NULL && count_text != NULL && num_parse_u64(slice_from(pid_text), &pid) &&
           pid == (uint64_t)getpid() && num_parse_u64(slice_from(count_text), count) && *count > 0;
}

static int get_option(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool read_address(int fd, struct addr *out)
{
    struct addr found = {.len = sizeof(found.u)};
    if (getsockname(fd, &found.u.any, &found.len) != 0) {
        return false;
    }
    sa_family_t family = found.u.any.sa_family;
    addr_from_sockaddr(out, &found.u.any, found.len);
    return family == AF_INET || family == AF_INET6 ||
           (family == AF_UNIX && found.u.local.sun_path[0] == '/');
}

static bool take_in(struct inherit_socket *socket, int fd, struct slice name, struct err *err)
{
    (void)snprintf(socket->name, sizeof(socket->name), "%.*s", SLICE_ARG(name));
    socket->fd = fd;
    if (get_option(fd, SO_TYPE) != SOCK_STREAM || get_option(fd, SO_ACCEPTCONN) != 1 ||
        !read_address(fd, &socket->address)) {
        return err_set(err, ERR_INVALID,
                       "descriptor %d ('%s'), which the service manager passed, is not a socket "
                       "that listens for streams (ListenStream=, Accept=no)",
                       fd, socket->name);
    }
    int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot prepare the socket '%s': %s", socket->name,
                       strerror(errno));
    }
    return true;
}

static bool read_all(struct inherit *inherit, int first_fd, uint64_t count, struct err *err)
{
    const char *text = getenv("LISTEN_FDNAMES");
    struct slice names = slice_from(text);
    struct slice name;
    if (count > INHERIT_MAX) {
        return err_set(err, ERR_INVALID, "the service manager passed more than %d sockets",
                       INHERIT_MAX);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (text == NULL || !slice_split(&names, ':', &name) || name.len == 0) {
            name = SLICE("unknown"); /* as sd_listen_fds_with_names calls it */
        }
        if (!take_in(&inherit->sockets[i], first_fd + (int)i, name, err)) {
            return false;
        }
        inherit->count++;
    }
    return true;
}

bool inherit_read(struct inherit *inherit, int first_fd, struct err *err)
{
    uint64_t count = 0;
    inherit->count = 0;
    bool ok = !count_fds(&count) || read_all(inherit, first_fd, count, err);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return ok;
}

/* The kernel may count the NUL of a path or not. */
static bool is_same_place(const struct addr *a, const struct addr *b)
{
    if (a->u.any.sa_family == AF_UNIX && b->u.any.sa_family == AF_UNIX) {
        return strncmp(a->u.local.sun_path, b->u.local.sun_path, sizeof(a->u.local.sun_path)) == 0;
    }
    return addr_eq(a, b);
}

int inherit_take(struct inherit *inherit, struct slice name, const struct addr *address)
{
    errno = 0;
    for (uint32_t i = 0; inherit != NULL && i < inherit->count; i++) {
        struct inherit_socket *socket = &inherit->sockets[i];
        if (slice_eq(slice_from(socket->name), name) && is_same_place(&socket->address, address)) {
            socket->is_taken = true;
            return fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    return -1;
}

const struct inherit_socket *inherit_left(const struct inherit *inherit, uint32_t *cursor)
{
    while (*cursor < inherit->count) {
        const struct inherit_socket *socket = &inherit->sockets[(*cursor)++];
        if (!socket->is_taken) {
            return socket;
        }
    }
    return NULL;
}

void inherit_close(struct inherit *inherit)
{
    for (uint32_t i = 0; i < inherit->count; i++) {
        (void)close(inherit->sockets[i].fd);
    }
    inherit->count = 0;
}
