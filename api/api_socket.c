#include "api/api_socket.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/base/addr.h"
#include "lbd/net/sock_opt.h"

void api_socket_default(char out[API_SOCKET_PATH_MAX + 8])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t size = API_SOCKET_PATH_MAX + 8;
    if (geteuid() == 0 || access("/run/lbd", W_OK) == 0) {
        (void)snprintf(out, size, "unix:/run/lbd/api.sock");
    } else if (runtime != NULL && runtime[0] == '/' && strlen(runtime) < 80) {
        (void)snprintf(out, size, "unix:%s/lbd/api.sock", runtime);
    } else {
        (void)snprintf(out, size, "unix:/tmp/lbd-%u/api.sock", (unsigned)geteuid());
    }
}

/* A directory under /tmp that somebody else made would give them our socket. */
static bool make_directory(const char *path, struct err *err)
{
    char copy[API_SOCKET_PATH_MAX];
    struct stat found;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    const char *directory = dirname(copy);
    char own[32];
    (void)snprintf(own, sizeof(own), "/tmp/lbd-%u", (unsigned)geteuid());
    bool in_tmp = strcmp(directory, own) == 0;
    mode_t mode = in_tmp ? 0700 : 0750;

    if (mkdir(directory, mode) == 0) {
        (void)chmod(directory, mode);
        return true;
    }
    if (errno != EEXIST) {
        return err_set(err, ERR_SYSTEM, "cannot make the directory '%s': %s", directory,
                       strerror(errno));
    }
    if (in_tmp && (lstat(directory, &found) != 0 || !S_ISDIR(found.st_mode) ||
                   found.st_uid != geteuid() || (found.st_mode & 077) != 0)) {
        return err_set(err, ERR_DENIED, "'%s' is not a directory of ours alone", directory);
    }
    return true;
}

/* True when the path is free: nothing is there, or a socket on which nobody answers (removed). */
static bool make_room(const struct addr *address, const char *path, struct err *err)
{
    struct stat found;
    if (lstat(path, &found) != 0) {
        return true;
    }
    if (!S_ISSOCK(found.st_mode)) {
        return err_set(err, ERR_CONFLICT, "'%s' is in the way: it is not a socket", path);
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return err_set(err, ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
    }
    int failed = connect(probe, &address->u.any, address->len) == 0 ? 0 : errno;
    (void)close(probe);
    if (failed != ECONNREFUSED && failed != ENOENT) {
        return err_set(err, ERR_CONFLICT, "another lbd answers on '%s'", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_set(err, ERR_SYSTEM, "cannot remove the old socket '%s': %s", path,
                       strerror(errno));
    }
    return true;
}

/* addr_parse(), and unix paths that are seen from the working directory: addr knows absolute ones
 * only. */
static bool socket_address(struct slice text, struct addr *out)
{
    struct slice path = slice_from_at(text, 5);
    if (!addr_is_unix(text) || path.len == 0 || path.ptr[0] == '/' || path.ptr[0] == '@') {
        return addr_parse(text, out);
    }
    if (path.len >= sizeof(out->u.local.sun_path)) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    out->u.local.sun_family = AF_UNIX;
    memcpy(out->u.local.sun_path, path.ptr, path.len);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return true;
}

int api_socket_open(struct slice text, struct err *err)
{
    struct addr address;
    if (!socket_address(text, &address)) {
        (void)err_set(err, ERR_INVALID, "'%.*s' is not an address to listen on", SLICE_ARG(text));
        return -1;
    }
    bool is_unix = addr_is_unix(text);
    if (is_unix && (!make_directory(address.u.local.sun_path, err) ||
                    !make_room(&address, address.u.local.sun_path, err))) {
        return -1;
    }

    int fd = socket(address.u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)err_set(err, ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    (void)sock_opt_before_bind(fd, address.u.any.sa_family, false); /* "[::]" is IPv6 only */
    /* who may enter the directory is the gate; the socket lets in its group too */
    mode_t old = umask(0117);
    int failed = bind(fd, &address.u.any, address.len) == 0 ? 0 : errno;
    (void)umask(old);
    if (failed == 0 && listen(fd, SOMAXCONN) != 0) {
        failed = errno;
    }
    if (failed != 0) {
        (void)err_set(err, failed == EADDRINUSE ? ERR_CONFLICT : ERR_SYSTEM,
                      "cannot listen on '%.*s': %s", SLICE_ARG(text), strerror(failed));
        (void)close(fd);
        return -1;
    }
    return fd;
}

int api_socket_inherit(struct inherit *inherit, struct slice name, struct slice text)
{
    struct addr address;
    return socket_address(text, &address) ? inherit_take(inherit, name, &address) : -1;
}

void api_socket_remove(struct slice text)
{
    struct addr address;
    if (addr_is_unix(text) && socket_address(text, &address)) {
        (void)unlink(address.u.local.sun_path);
    }
}
