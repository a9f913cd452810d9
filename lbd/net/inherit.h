/*
 * inherit - listening sockets that the service manager opened for us (sd_listen_fds(3)): found
 * again by name and address.
 *
 *     lbd.socket: ListenStream=/run/lbd/api.sock, FileDescriptorName=api
 *         --LISTEN_FDS, LISTEN_FDNAMES--> inherit_read --> inherit_take("api", address)
 *
 * Only both together make a socket ours: a name alone could be at an address that the configuration
 * does not say, and then neither of the two would be true. inherit_left tells of those that nobody
 * took.
 *
 * The sockets stay open here for as long as the process lives, as they do in the manager: what is
 * given out is a copy, so that an address can be left and taken again.
 *
 * Limits: INHERIT_MAX sockets. Memory: in place. Threads: control.
 */
#ifndef LBD_NET_INHERIT_H
#define LBD_NET_INHERIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define INHERIT_FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define INHERIT_MAX      128
#define INHERIT_NAME_MAX 256 /* systemd's limit of a name, with a NUL */

struct inherit_socket {
    char name[INHERIT_NAME_MAX];
    struct addr address;
    int fd;
    bool is_taken;
};

struct inherit {
    struct inherit_socket sockets[INHERIT_MAX];
    uint32_t count;
};

/* Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and takes them out of the environment; the
 * sockets begin at `first_fd` (INHERIT_FIRST_FD). Nothing was passed, or not to this process: no
 * sockets. ERR_INVALID: something was passed that is no listening stream socket, or the variables
 * make no sense. */
LB_MUST_CHECK bool inherit_read(struct inherit *inherit, int first_fd, struct err *err);
/* A copy of the socket of that name at that address; -1: there is none, or no descriptor for a copy
 * (then errno is not 0). NULL as `inherit` has none. */
int inherit_take(struct inherit *inherit, struct slice name, const struct addr *address);
/* The first from *cursor on (0 to begin) that nobody took; NULL: no more. */
const struct inherit_socket *inherit_left(const struct inherit *inherit, uint32_t *cursor);
/* Closes all of them. */
void inherit_close(struct inherit *inherit);

#endif
