#include "tests/unit/balance_field.h"

#include <stdio.h>
#include <stdlib.h>

#include "lbd/balance/rendezvous.h"
#include "lbd/base/mem.h"

void balance_field_init(struct balance_field *field, enum balancer_kind kind,
                        const uint32_t *weights, uint32_t count)
{
    *field = (struct balance_field){.count = count};
    arena_init(&field->arena, NULL, 0);
    random_seed_with(&field->random, 42);
    field->loads = mem_zero_aligned((count + 1) * sizeof(*field->loads));
    field->targets = arena_zero(&field->arena, count * sizeof(*field->targets));
    for (uint32_t i = 0; i < count; i++) {
        field->targets[i].load = &field->loads[i];
        field->targets[i].weight = weights != NULL ? weights[i] : 100;
        balance_field_set_usable(field, i, true);
        balance_field_set_ready(field, i, true);
    }
    balance_field_build(field, kind);
}

void balance_field_fini(struct balance_field *field)
{
    arena_fini(&field->arena);
    free(field->loads);
}

uint64_t *balance_field_seeds(uint32_t count)
{
    uint64_t *seeds = mem_zero((size_t)count + 1, sizeof(*seeds));
    for (uint32_t i = 0; i < count; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "server-%u", i);
        seeds[i] = rendezvous_key(slice_from(name));
    }
    return seeds;
}

void balance_field_build(struct balance_field *field, enum balancer_kind kind)
{
    if (!balancer_is_hash(kind)) {
        balancer_build(&field->balancer, kind, field->targets, field->count, &field->arena);
        return;
    }
    uint64_t *seeds = balance_field_seeds(field->count);
    balancer_build_hash(&field->balancer, kind, field->targets, seeds, field->count, 125,
                        &field->arena);
    free(seeds);
}

void balance_field_set_usable(struct balance_field *field, uint32_t index, bool usable)
{
    atomic_store(&field->loads[index].usable, usable ? 1 : 0);
}

void balance_field_set_ready(struct balance_field *field, uint32_t index, bool ready)
{
    atomic_store(&field->loads[index].ready, ready ? 1 : 0);
}

void balance_field_add(struct balance_field *field, uint32_t index, int by)
{
    (void)atomic_fetch_add(&field->loads[index].in_flight, (uint32_t)by);
}

uint32_t balance_field_in_flight(const struct balance_field *field, uint32_t index)
{
    return atomic_load(&field->loads[index].in_flight);
}
