/* listener - see listener.h. */
#include "lbd/net/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/net/sock_opt.h"

#define BACKLOG         4096
#define HIDDEN_PATH_MAX 128

/* Set once at start-up, before a second thread runs. */
static void (*on_free)(uint32_t id);

struct listener *listener_new(struct slice name, uint32_t id)
{
    struct listener *listener = mem_zero(1, sizeof(*listener));
    atomic_init(&listener->refs, 1);
    listener->id = id;
    listener->name = mem_slicedup(name);
    return listener;
}

struct listener *listener_ref(struct listener *listener)
{
    (void)atomic_fetch_add_explicit(&listener->refs, 1, memory_order_relaxed);
    return listener;
}

void listener_unref(struct listener *listener)
{
    if (listener == NULL ||
        atomic_fetch_sub_explicit(&listener->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < listener->bind_count; i++) {
        listener_bind_unref(listener->binds[i]);
    }
    if (on_free != NULL) {
        on_free(listener->id);
    }
    free(listener->name);
    free(listener);
}

void listener_on_free(void (*fn)(uint32_t id))
{
    on_free = fn;
}

static enum err_kind kind_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return ERR_CONFLICT;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return ERR_INVALID;
    default:
        return ERR_SYSTEM;
    }
}

static int fail(int fd, const struct addr *address, const char *what, struct err *err)
{
    int error = errno;
    char text[ADDR_TEXT_MAX];
    (void)addr_write(address, text);
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)err_set_at(err, kind_of(error), text, "cannot %s %s: %s", what, text, strerror(error));
    return -1;
}

/* A bound socket, not listening yet; -1 and *err on failure. */
static int bind_one(const struct addr *address, bool one_of_several, struct err *err)
{
    int family = address->u.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(fd, address, "make a socket for", err);
    }
    if (!sock_opt_before_bind(fd, family, one_of_several)) {
        return fail(fd, address, "prepare a socket for", err);
    }
    if (bind(fd, &address->u.any, address->len) != 0) {
        return fail(fd, address, "bind", err);
    }
    return fd;
}

static bool listen_on(int fd, const struct addr *address, struct err *err)
{
    sock_opt_listening(fd, address->u.any.sa_family, true);
    if (listen(fd, BACKLOG) != 0) {
        (void)fail(-1, address, "listen on", err);
        return false;
    }
    return true;
}

/* A socket file nobody answers on is left over from a crash and may be replaced. */
static void remove_stale_socket(const struct addr *address)
{
    struct stat info;
    if (stat(address->u.local.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, &address->u.any, address->len) != 0 && errno == ECONNREFUSED) {
        (void)unlink(address->u.local.sun_path);
    }
    (void)close(fd);
}

static void share(struct listener_bind *bind_set, int fd)
{
    bind_set->bound = bind_set->asked;
    bind_set->is_shared = true;
    for (uint32_t i = 0; i < bind_set->fd_count; i++) {
        bind_set->fds[i] = fd;
    }
}

/* Unix sockets have no SO_REUSEPORT: every worker watches the same one. */
static bool open_unix(struct listener_bind *bind_set, struct err *err)
{
    remove_stale_socket(&bind_set->asked);
    int fd = bind_one(&bind_set->asked, false, err);
    if (fd < 0) {
        return false;
    }
    share(bind_set, fd);
    return listen_on(fd, &bind_set->asked, err); /* else it is closed and removed with the set */
}

/* Alone first: a second daemon on this port must be refused and not silently get a share. Also
 * finds the port when any will do. */
static bool bind_alone(struct listener_bind *bind_set, struct err *err)
{
    int probe = bind_one(&bind_set->asked, false, err);
    if (probe < 0) {
        return false;
    }
    struct addr bound = bind_set->asked;
    bound.len = sizeof(bound.u);
    if (getsockname(probe, &bound.u.any, &bound.len) != 0) {
        (void)fail(probe, &bind_set->asked, "read the port of", err);
        return false;
    }
    (void)close(probe);
    bind_set->bound = bound;
    return true;
}

static bool open_inet(struct listener_bind *bind_set, bool beside, struct err *err)
{
    bind_set->bound = bind_set->asked;
    if (!beside && !bind_alone(bind_set, err)) {
        return false;
    }
    for (uint32_t i = 0; i < bind_set->fd_count; i++) {
        bind_set->fds[i] = bind_one(&bind_set->bound, true, err);
        if (bind_set->fds[i] < 0) {
            return false;
        }
    }
    /* Listening only when all are bound: a refused change has taken no connection. */
    for (uint32_t i = 0; i < bind_set->fd_count; i++) {
        if (!listen_on(bind_set->fds[i], &bind_set->bound, err)) {
            return false;
        }
    }
    return true;
}

static struct listener_bind *new_bind(const struct addr *address, uint32_t workers)
{
    struct listener_bind *bind_set = mem_zero(1, sizeof(*bind_set));
    atomic_init(&bind_set->refs, 1);
    bind_set->asked = *address;
    bind_set->fds = mem_alloc(workers * sizeof(int));
    bind_set->is_shut = mem_zero(workers, sizeof(bool));
    bind_set->fd_count = workers;
    for (uint32_t i = 0; i < workers; i++) {
        bind_set->fds[i] = -1;
    }
    return bind_set;
}

static struct listener_bind *open_bind(const struct addr *address, uint32_t workers, bool beside,
                                       struct err *err)
{
    struct listener_bind *bind_set = new_bind(address, workers);
    bool ok = address->u.any.sa_family == AF_UNIX ? open_unix(bind_set, err)
                                                  : open_inet(bind_set, beside, err);
    if (!ok) {
        listener_bind_unref(bind_set);
        return NULL;
    }
    return bind_set;
}

struct listener_bind *listener_bind_open(const struct addr *address, uint32_t workers,
                                         struct err *err)
{
    return open_bind(address, workers, false, err);
}

struct listener_bind *listener_bind_open_beside(const struct addr *address, uint32_t workers,
                                                struct err *err)
{
    return open_bind(address, workers, true, err);
}

struct listener_bind *listener_bind_adopt(const struct addr *address, int fd, uint32_t workers)
{
    struct listener_bind *bind_set = new_bind(address, workers);
    share(bind_set, fd);
    bind_set->is_inherited = true;
    sock_opt_listening(fd, address->u.any.sa_family, true);
    return bind_set;
}

struct listener_bind *listener_bind_ref(struct listener_bind *bind_set)
{
    (void)atomic_fetch_add_explicit(&bind_set->refs, 1, memory_order_relaxed);
    return bind_set;
}

/* -- drained for a while -- */

static bool is_unix(const struct listener_bind *bind_set)
{
    return bind_set->asked.u.any.sa_family == AF_UNIX;
}

void listener_bind_shut(struct listener_bind *bind_set, uint32_t worker)
{
    if (!bind_set->is_shared && !bind_set->is_shut[worker]) {
        bind_set->is_shut[worker] = shutdown(bind_set->fds[worker], SHUT_RD) == 0;
    }
}

bool listener_bind_listen(struct listener_bind *bind_set, uint32_t worker)
{
    if (bind_set->is_shut[worker]) {
        bind_set->is_shut[worker] = listen(bind_set->fds[worker], BACKLOG) != 0;
    }
    return !bind_set->is_shut[worker];
}

void listener_bind_server_first(struct listener_bind *bind_set, bool server_first)
{
    if (bind_set->server_first == server_first) {
        return;
    }
    bind_set->server_first = server_first;
    for (uint32_t i = 0; i < bind_set->fd_count; i++) {
        sock_opt_defer(bind_set->fds[i], bind_set->asked.u.any.sa_family, !server_first);
    }
}

static void hidden_path(const struct listener_bind *bind_set, char out[HIDDEN_PATH_MAX])
{
    (void)snprintf(out, HIDDEN_PATH_MAX, "%s.drained", bind_set->asked.u.local.sun_path);
}

bool listener_bind_hide(struct listener_bind *bind_set, bool is_hidden, struct err *err)
{
    char hidden[HIDDEN_PATH_MAX];
    const char *shown = bind_set->asked.u.local.sun_path;
    if (!is_unix(bind_set) || bind_set->is_inherited || bind_set->is_hidden == is_hidden) {
        return true;
    }
    hidden_path(bind_set, hidden);
    if (rename(is_hidden ? shown : hidden, is_hidden ? hidden : shown) != 0) {
        return err_set_at(err, ERR_SYSTEM, shown, "cannot rename the socket '%s' %s: %s", shown,
                          is_hidden ? "for its drain" : "back", strerror(errno));
    }
    bind_set->is_hidden = is_hidden;
    return true;
}

void listener_bind_unref(struct listener_bind *bind_set)
{
    if (bind_set == NULL ||
        atomic_fetch_sub_explicit(&bind_set->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < (bind_set->is_shared ? 1 : bind_set->fd_count); i++) {
        if (bind_set->fds[i] >= 0) {
            (void)close(bind_set->fds[i]);
        }
    }
    if (is_unix(bind_set) && bind_set->fds[0] >= 0 && !bind_set->is_inherited) {
        char hidden[HIDDEN_PATH_MAX];
        hidden_path(bind_set, hidden);
        (void)unlink(bind_set->is_hidden ? hidden : bind_set->asked.u.local.sun_path);
    }
    free(bind_set->fds);
    free(bind_set->is_shut);
    free(bind_set);
}
