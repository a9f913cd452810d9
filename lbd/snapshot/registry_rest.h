/*
 * registry_rest - what was removed and may come back: objects by name, the oldest forgotten first.
 *
 * A server that leaves a document and returns is the same server to whoever watches its counters:
 * while it rests it keeps its block, so that its numbers go on where they were.
 *
 * Memory: holds pointers; what they point to belongs to who put them. Threads: control.
 */
#ifndef LBD_SNAPSHOT_REGISTRY_REST_H
#define LBD_SNAPSHOT_REGISTRY_REST_H

#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/list.h"
#include "lbd/base/map.h"
#include "lbd/base/slice.h"

struct registry_rest {
    struct map objects;     /* key -> struct registry_resting */
    struct list_node order; /* the oldest first */
    uint32_t max;
};

void registry_rest_init(struct registry_rest *rest, uint32_t max);
/* Nothing rests any more. */
void registry_rest_fini(struct registry_rest *rest);
/* Returns what must be forgotten for it, or NULL: the oldest, or one of the same key. */
LB_MUST_CHECK void *registry_rest_put(struct registry_rest *rest, struct slice key, void *object);
/* Takes it out; NULL: it does not rest here. */
void *registry_rest_take(struct registry_rest *rest, struct slice key);
/* Takes the oldest out; NULL: none is left. */
void *registry_rest_pop(struct registry_rest *rest);

#endif
