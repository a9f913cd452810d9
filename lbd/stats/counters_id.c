/* counters_id - see counters_id.h. */
#include "lbd/stats/counters_id.h"

#include <stdlib.h>

#include "lbd/base/mem.h"

struct counters_id *counters_id_new(enum counters_kind kind)
{
    struct counters_id *self = mem_zero(1, sizeof(*self));
    atomic_init(&self->refs, 1);
    self->kind = kind;
    self->id = counters_acquire(kind);
    return self;
}

struct counters_id *counters_id_ref(struct counters_id *self)
{
    (void)atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

void counters_id_unref(struct counters_id *self)
{
    if (self != NULL && atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) == 1) {
        counters_release(self->kind, self->id);
        free(self);
    }
}
