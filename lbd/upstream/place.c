#include "lbd/upstream/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/base/mem.h"

struct place *place_new(struct slice group, struct slice name)
{
    struct place *place = mem_zero(1, sizeof(*place) + group.len + name.len);
    atomic_init(&place->refs, 1);
    place->seed = rendezvous_key(name);
    place->group = slice_of(place->text, group.len);
    place->name = slice_of(place->text + group.len, name.len);
    if (group.len != 0) {
        memcpy(place->text, group.ptr, group.len);
    }
    if (name.len != 0) {
        memcpy(place->text + group.len, name.ptr, name.len);
    }
    return place;
}

struct place *place_ref(struct place *place)
{
    (void)atomic_fetch_add_explicit(&place->refs, 1, memory_order_relaxed);
    return place;
}

void place_unref(struct place *place)
{
    if (place == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&place->refs, 1, memory_order_acq_rel);
    assert(before != 0);
    if (before == 1) {
        free(place);
    }
}
