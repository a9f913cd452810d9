/*
 * snapshot_build - a document becomes what workers read; touches nothing that runs.
 *
 *     struct conf + registry + the newest snapshot --snapshot_build--> the next snapshot
 *                                                  --snapshot_bind---> its listening sockets
 *
 * Pools are shared with the newest snapshot when neither their part of the document nor an address
 * or the usability of a member is different; so a change of one server costs one pool. Plans and
 * routes are made anew each time: they point to pools.
 *
 * Memory: the snapshot owns its arena and references: document, pools, listeners, binds. Names that
 * are new in the document get objects in the registry, which registry_sweep takes back. Threads:
 * control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_BUILD_H
#define LBD_SNAPSHOT_SNAPSHOT_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/registry.h"
#include "lbd/snapshot/snapshot.h"

struct snapshot_build {
    struct conf_document *document; /* borrowed; the snapshot takes a reference of its own */
    struct registry *registry;
    const struct snapshot *newest; /* to share pools with; NULL: none */
    uint64_t revision;
    uint64_t generation;
    uint32_t workers;
    struct slice zone; /* daemon.zone */
};

/* NULL and *err (place = pointer) when the document cannot be compiled. Binds are not there yet. */
LB_MUST_CHECK struct snapshot *snapshot_build(const struct snapshot_build *build, struct err *err);

/* What these words of a pool stand for. */
enum proxy_header_version snapshot_send_proxy(enum conf_send_proxy word);
enum pool_http snapshot_http(const struct conf_pool *conf);

/* Gives every plan its listening sockets: those its listener has, those another of our listeners
 * gives up for it, those that are just being let go; the others are opened. On failure *err has the
 * place, and snapshot_free closes what was opened. */
LB_MUST_CHECK bool snapshot_bind(struct snapshot *snapshot, struct registry *registry,
                                 struct err *err);
/* The sockets of the snapshot become those of the listeners; others are retired. After
 * registry_commit. */
void snapshot_bind_commit(struct snapshot *snapshot, struct registry *registry);

/* When weights rise by a slow start the next time, monotonic; 0: they do not. */
uint64_t snapshot_due_ms(const struct snapshot *snapshot);
/* Are addresses, usability and weights of all members still as they were when it was built? */
bool snapshot_is_current(const struct snapshot *snapshot, const struct registry *registry);

/* NULL: it has none of that name, or is NULL. */
struct pool *snapshot_pool(const struct snapshot *snapshot, struct slice name);

#endif
