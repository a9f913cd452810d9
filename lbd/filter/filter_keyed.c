#include "lbd/filter/filter_keyed.h"

#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

struct keyed {
    struct filter_state state;
    struct key_table table;
    struct key_top top;
    struct rate_epochs epochs; /* control */
};

static void free_keyed(struct filter_state *state)
{
    struct keyed *keyed = container_of(state, struct keyed, state);
    key_table_fini(&keyed->table);
    free(keyed);
}

struct filter_state *filter_keyed_new(uint32_t keys)
{
    struct keyed *keyed = mem_zero(1, sizeof(*keyed));
    atomic_init(&keyed->state.refs, 1);
    keyed->state.free = free_keyed;
    key_table_init(&keyed->table, keys);
    return &keyed->state;
}

bool filter_keyed_fits(const struct filter_state *state, uint32_t keys)
{
    return ((const struct keyed *)state)->table.keys == keys; /* its first member */
}

struct key_table *filter_keyed_table(struct filter_state *state)
{
    return &container_of(state, struct keyed, state)->table;
}

struct rate_epochs filter_keyed_begin(struct filter_state *state, uint64_t unit_ns,
                                      uint64_t most_ns)
{
    struct keyed *keyed = container_of(state, struct keyed, state);
    rate_epochs_begin(&keyed->epochs, unit_ns, most_ns, now_us() * 1000U);
    return keyed->epochs;
}

void filter_keyed_count(struct filter_run *run, const struct filter *filter,
                        enum key_table_change change, bool is_eviction)
{
    struct counters_policy *counters = counters_of_policy(run->counters, filter->id);
    if (change == KEY_TABLE_ADDED) {
        counter_add(&counters->keys, 1);
    }
    if (is_eviction) {
        counter_add(&counters->key_evictions, 1);
    }
}

void filter_keyed_note(struct filter_run *run, const struct filter *filter,
                       const struct filter_key *key, uint64_t found)
{
    struct keyed *keyed = container_of(filter->state, struct keyed, state);
    char name[FILTER_KEY_NAME_MAX];
    if (!key_top_has(&keyed->top, found)) {
        size_t len = filter_key_name(key, run, found, name);
        key_top_note(&keyed->top, &keyed->table, found, key_table_value(&keyed->table, found),
                     slice_of(name, len));
    }
}

void filter_keyed_refused(struct filter_run *run, const struct filter *filter, uint64_t found)
{
    char id[16];
    if (!filter->is_shadow || run->keyed_by == NULL) {
        num_write_hex16(id, found);
        run->keyed_by = filter;
        run->key_id = arena_copy(run->arena, slice_of(id, sizeof(id)));
    }
}

void filter_keyed_facts(const struct filter *filter, uint64_t least, struct filter_facts *facts)
{
    const struct keyed *keyed = container_of(filter->state, struct keyed, state);
    struct filter_facts_keyed *out = &facts->keyed;
    struct key_top_row rows[FILTER_FACTS_FULL_MAX];
    facts->is_keyed = true;
    out->keys_max = key_table_slots(&keyed->table);
    out->full_count = key_top_list(&keyed->top, &keyed->table, least, rows, FILTER_FACTS_FULL_MAX);
    for (uint32_t i = 0; i < out->full_count; i++) {
        out->full[i].row = rows[i];
    }
}
