/*
 * listener - the listening sockets of one configured listener, and its life through changes.
 *
 * One SO_REUSEPORT socket per address and worker, opened in one place on the control thread
 * (prepare), identified by (listener name, address, worker). Found again by name: a change of plan
 * never touches the sockets of addresses that stay.
 *
 * A listener that is drained keeps its ports: a worker empties its socket's queue and then shuts it
 * for reading, which on Linux ends listening and nothing else; clients are refused at once, nobody
 * else can take the port, and listening again needs no rights. A unix socket goes on listening
 * under another name ("PATH.drained") that no client asks for. A socket that the service manager
 * opened is its own too and stays as it is: who connects waits in its queue until the listener is
 * back.
 *
 * A socket that the service manager passed is one for all workers, like a unix socket; it listens
 * on there whatever we do, so that while its listener is drained clients wait in its queue.
 *
 * prepare: first binds a plain socket without SO_REUSEPORT, so that another daemon on the port is
 * refused and not silently shared, closes it, then binds the set.
 *
 * Memory: counted (snapshots' plans, connections). Threads: open/close on control; a worker uses
 * its own sockets.
 */
#ifndef LBD_NET_LISTENER_H
#define LBD_NET_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define LISTENER_BINDS_MAX 32

/* The sockets of one address. */
struct listener_bind {
    struct addr asked; /* as configured, port 0 possible */
    struct addr bound; /* with the real port */
    int *fds;          /* one per worker; the same for all when it is shared */
    bool *is_shut;     /* one per worker, its own: listening has ended for a while */
    uint32_t fd_count;
    _Atomic uint32_t refs;
    bool is_shared;    /* one socket for all workers */
    bool is_inherited; /* it is the service manager's and stays open there (inherit.h) */
    bool is_hidden;    /* control only: a unix socket under its other name */
    bool server_first; /* control only: servers may speak first, clients come at once */
};

struct listener {
    _Atomic uint32_t refs;
    _Atomic uint32_t connections; /* open now, over all workers (connections limit) */
    uint32_t id;                  /* dense; counters block and per-worker front */
    char *name;                   /* owned */
    /* control only */
    struct listener_bind *binds[LISTENER_BINDS_MAX];
    uint32_t bind_count;
    bool is_drained; /* takes no new connections */
};

struct listener *listener_new(struct slice name, uint32_t id);
struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener);
void listener_on_free(void (*fn)(uint32_t id));

/* Opens (binds, listens) one address for `workers` workers. NULL and *err (place = address) on
 * failure: ERR_CONFLICT when in use, ERR_DENIED without permission, ERR_INVALID when it is no
 * literal address. */
LB_MUST_CHECK struct listener_bind *listener_bind_open(const struct addr *address, uint32_t workers,
                                                       struct err *err);
/* The same for a port of which this process holds another address: the kernel cannot tell then
 * whether a stranger has it too, so that is not asked. */
LB_MUST_CHECK struct listener_bind *listener_bind_open_beside(const struct addr *address,
                                                              uint32_t workers, struct err *err);
/* A socket that listens there already, for all workers; keeps `fd`. */
struct listener_bind *listener_bind_adopt(const struct addr *address, int fd, uint32_t workers);
struct listener_bind *listener_bind_ref(struct listener_bind *bind);
/* A worker's own socket of this address refuses, and listens again (false: the kernel refuses).
 * Nothing happens when it does so already, and with sockets that are shared. */
void listener_bind_shut(struct listener_bind *bind, uint32_t worker);
LB_MUST_CHECK bool listener_bind_listen(struct listener_bind *bind, uint32_t worker);
static inline bool listener_bind_is_shut(const struct listener_bind *bind, uint32_t worker)
{
    return bind->is_shut[worker];
}
/* Where servers may speak first, a connection is taken before its client's first byte (when it is
 * opened it is not). Control. */
void listener_bind_server_first(struct listener_bind *bind, bool server_first);
/* A unix socket of ours is taken out of sight or shown again; others are left as they are. Control.
 */
LB_MUST_CHECK bool listener_bind_hide(struct listener_bind *bind, bool is_hidden, struct err *err);
/* Closes the sockets at the last one. */
void listener_bind_unref(struct listener_bind *bind);

#endif
