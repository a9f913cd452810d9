#include "lbd/snapshot/registry_rest.h"

#include <stdlib.h>

#include "lbd/base/mem.h"

struct registry_resting {
    struct list_node link;
    char *key; /* owned */
    void *object;
};

void registry_rest_init(struct registry_rest *rest, uint32_t max)
{
    map_init(&rest->objects);
    list_init(&rest->order);
    rest->max = max;
}

void registry_rest_fini(struct registry_rest *rest)
{
    assert(list_is_empty(&rest->order));
    map_fini(&rest->objects);
}

static void *forget(struct registry_rest *rest, struct registry_resting *resting)
{
    void *object = resting->object;
    (void)map_remove(&rest->objects, slice_from(resting->key));
    list_remove(&resting->link);
    free(resting->key);
    free(resting);
    return object;
}

void *registry_rest_take(struct registry_rest *rest, struct slice key)
{
    struct registry_resting *resting = map_get(&rest->objects, key);
    return resting != NULL ? forget(rest, resting) : NULL;
}

void *registry_rest_pop(struct registry_rest *rest)
{
    struct list_node *oldest = list_first(&rest->order);
    return oldest != NULL ? forget(rest, list_entry(oldest, struct registry_resting, link)) : NULL;
}

void *registry_rest_put(struct registry_rest *rest, struct slice key, void *object)
{
    void *forgotten = registry_rest_take(rest, key);
    if (forgotten == NULL && rest->objects.count >= rest->max) {
        forgotten = registry_rest_pop(rest);
    }
    struct registry_resting *resting = mem_zero(1, sizeof(*resting));
    resting->key = mem_slicedup(key);
    resting->object = object;
    list_push_back(&rest->order, &resting->link);
    (void)map_put(&rest->objects, key, resting);
    return forgotten;
}
