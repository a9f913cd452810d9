#include "lbd/filter/filter_concurrency.h"

#include "lbd/filter/filter_key.h"
#include "lbd/filter/filter_keyed.h"

struct filter_concurrency {
    struct filter filter;
    struct filter_key key;
    uint32_t requests;
    uint16_t status;
};

/* A slot's number: how many there are, and behind that how often it changed hands. */
#define ONE (UINT64_C(1) << 32)

static const struct filter_concurrency *concurrency_of(const struct filter *self)
{
    return (const struct filter_concurrency *)self; /* its first member */
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    struct filter_concurrency *concurrency = container_of(self, struct filter_concurrency, filter);
    (void)err;
    filter_key_build(&concurrency->key, &self->arena, &conf->concurrency.key);
    concurrency->requests = conf->concurrency.requests;
    concurrency->status = (uint16_t)conf->concurrency.status;
    return true;
}

static struct filter_state *make_state(const struct conf_policy *conf)
{
    return filter_keyed_new(conf->concurrency.keys);
}

static bool state_fits(const struct filter_state *state, const struct conf_policy *conf)
{
    return filter_keyed_fits(state, conf->concurrency.keys);
}

static bool one_more(void *arg, uint64_t from, uint64_t *to)
{
    const uint32_t *requests = arg;
    *to = from + ONE;
    return from / ONE < *requests;
}

static bool the_first(void *arg, uint64_t from, uint64_t *to)
{
    (void)arg;
    *to = ONE | (uint32_t)(from + 1);
    return from < ONE;
}

/* Three of four, and not just one. */
static void note_if_many(struct filter_run *run, const struct filter_concurrency *concurrency,
                         const struct key_table_slot *slot, uint64_t key)
{
    uint64_t used = atomic_load_explicit(&slot->value, memory_order_relaxed) / ONE;
    if (used > 1 && used * 4 >= (uint64_t)concurrency->requests * 3) {
        filter_keyed_note(run, &concurrency->filter, &concurrency->key, key);
    }
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    static const struct key_table_rule rule = {.own = one_more, .take = the_first, .joins = true};
    const struct filter_concurrency *concurrency = concurrency_of(self);
    uint32_t requests = concurrency->requests;
    enum key_table_change change;
    uint64_t key = 0;
    if (!filter_key_find(&concurrency->key, run, &key)) {
        return FILTER_GO_ON;
    }
    *kept = key_table_update(filter_keyed_table(self->state), key, &rule, &requests, &change);
    filter_keyed_count(run, self, change, false);
    if (*kept != NULL) {
        note_if_many(run, concurrency, *kept, key);
        return FILTER_GO_ON;
    }
    filter_keyed_note(run, self, &concurrency->key, key);
    filter_keyed_refused(run, self, key);
    (void)filter_refuse(run, CLOSE_CONCURRENCY_LIMIT);
    run->answer.status = concurrency->status;
    filter_answer_add(run, SLICE("Retry-After"), SLICE("1"));
    return FILTER_ANSWERED;
}

static bool hold(const struct filter *self, void **kept, struct filter_hold *hold)
{
    struct key_table_slot *slot = *kept;
    (void)self;
    if (slot == NULL) {
        return false;
    }
    hold->value = &slot->value;
    hold->part = ONE;
    *kept = NULL;
    return true;
}

static void end(struct filter_run *run, const struct filter *self, void **kept)
{
    struct key_table_slot *slot = *kept;
    (void)run;
    (void)self;
    if (slot != NULL) {
        (void)atomic_fetch_sub_explicit(&slot->value, ONE, memory_order_release);
    }
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    struct filter_facts_keyed *keyed = &facts->keyed;
    (void)now_us;
    filter_keyed_facts(self, ONE, facts);
    keyed->limit = concurrency_of(self)->requests;
    for (uint32_t i = 0; i < keyed->full_count; i++) {
        keyed->full[i].used = keyed->full[i].row.value / ONE;
        keyed->full[i].is_full = keyed->full[i].used >= keyed->limit;
    }
}

const struct filter_ops filter_concurrency_ops = {
    .size = sizeof(struct filter_concurrency),
    .build = build,
    .make_state = make_state,
    .state_fits = state_fits,
    .request = request,
    .hold = hold,
    .end = end,
    .facts = facts,
};
