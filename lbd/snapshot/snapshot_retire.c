#include "lbd/snapshot/snapshot_retire.h"

#include <stdlib.h>

#include "lbd/snapshot/snapshot_filter.h"
#include "lbd/snapshot/snapshot_mail_routes.h"
#include "lbd/snapshot/snapshot_subset.h"

void snapshot_retire_binds(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        struct plan *plan = snapshot->plans[i];
        for (uint32_t b = 0; b < plan->bind_count; b++) {
            listener_bind_unref(plan->binds[b]);
        }
        plan->bind_count = 0;
    }
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    snapshot_retire_binds(snapshot);
    for (uint32_t i = 0; i < snapshot->plan_count; i++) {
        listener_unref(snapshot->plans[i]->listener);
        tls_front_unref(snapshot->plans[i]->tls);
    }
    snapshot_subset_fini(snapshot);
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        pool_unref(snapshot->pools[i]);
    }
    snapshot_mail_routes_fini(snapshot);
    snapshot_filter_fini(snapshot);
    for (uint32_t i = 0; i < snapshot->body_count; i++) {
        body_file_unref(snapshot->bodies[i]);
    }
    conf_document_unref(snapshot->document);
    free(snapshot->leases);
    arena_fini(&snapshot->arena);
    free(snapshot);
}

void snapshot_retire(struct snapshot *snapshot, uint64_t now_us, struct snapshot_retired *retired)
{
    uint64_t took_us = now_us - snapshot->published_us;
    retired->count++;
    retired->last_us = took_us;
    if (took_us > retired->max_us) {
        retired->max_us = took_us;
    }
    snapshot_free(snapshot);
}
