#include "lbd/filter/filter_rate_limit.h"

#include "lbd/base/num.h"
#include "lbd/filter/filter_key.h"
#include "lbd/filter/filter_keyed.h"
#include "lbd/filter/rate_buckets.h"

struct filter_rate_limit {
    struct filter filter;
    struct filter_key key;
    struct rate rate;
    struct slice limit; /* what RateLimit-Limit says; empty: no such fields */
};

static const struct filter_rate_limit *rate_limit_of(const struct filter *self)
{
    return (const struct filter_rate_limit *)self; /* its first member */
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    static const uint32_t periods_ms[] = {
        [CONF_PER_SECOND] = 1000, [CONF_PER_MINUTE] = 60000, [CONF_PER_HOUR] = 3600000};
    const struct conf_policy_rate_limit *rate = &conf->rate_limit;
    struct filter_rate_limit *limit = container_of(self, struct filter_rate_limit, filter);
    uint32_t burst = rate->burst != 0 ? rate->burst : rate->requests;
    (void)err;
    filter_key_build(&limit->key, &self->arena, &rate->key);
    rate_init(&limit->rate, rate->requests, periods_ms[rate->per], burst);
    limit->rate.epochs =
        filter_keyed_begin(self->state, limit->rate.interval_ns, limit->rate.burst_ns);
    if (rate->response_headers != 0) {
        limit->limit = arena_printf(&self->arena, "%u", burst);
    }
    return true;
}

static struct filter_state *make_state(const struct conf_policy *conf)
{
    return filter_keyed_new(conf->rate_limit.keys);
}

static bool state_fits(const struct filter_state *state, const struct conf_policy *conf)
{
    return filter_keyed_fits(state, conf->rate_limit.keys);
}

static struct slice write_seconds(struct filter_run *run, uint64_t ns)
{
    return arena_printf(run->arena, "%llu", (unsigned long long)((ns + 999999999U) / 1000000000U));
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_rate_limit *limit = rate_limit_of(self);
    uint64_t key = 0;
    if (!filter_key_find(&limit->key, run, &key)) {
        return FILTER_GO_ON;
    }
    struct rate_taken taken;
    bool is_let_in = rate_take(filter_keyed_table(self->state), &limit->rate, key,
                               loop_now_us(run->loop) * 1000U, &taken);
    filter_keyed_count(run, self, taken.change, taken.is_eviction);
    if (limit->limit.len != 0) {
        struct rate_taken *copy = arena_alloc(run->arena, sizeof(*copy));
        *copy = taken;
        *kept = copy;
    }
    if (!is_let_in || (taken.left == 0 && limit->rate.burst_ns != limit->rate.interval_ns)) {
        filter_keyed_note(run, self, &limit->key, key); /* one of which one is all says little */
    }
    if (is_let_in) {
        return FILTER_GO_ON;
    }
    filter_keyed_refused(run, self, key);
    (void)filter_refuse(run, CLOSE_RATE_LIMITED);
    filter_answer_add(run, SLICE("Retry-After"), write_seconds(run, taken.wait_ns));
    return FILTER_ANSWERED;
}

/* draft-ietf-httpapi-ratelimit-headers-06: the three fields that clients know. */
static void response(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer)
{
    const struct filter_rate_limit *limit = rate_limit_of(self);
    const struct rate_taken *taken = *kept;
    if (taken != NULL) {
        (void)filter_field_add(answer, SLICE("RateLimit-Limit"), limit->limit);
        (void)filter_field_add(answer, SLICE("RateLimit-Remaining"),
                               arena_printf(run->arena, "%u", taken->left));
        (void)filter_field_add(answer, SLICE("RateLimit-Reset"),
                               write_seconds(run, taken->full_ns));
    }
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    const struct filter_rate_limit *limit = rate_limit_of(self);
    struct filter_facts_keyed *keyed = &facts->keyed;
    uint64_t now_ns = now_us * 1000U;
    filter_keyed_facts(self, now_ns + 1, facts);
    keyed->limit = limit->rate.burst_ns / limit->rate.interval_ns;
    uint32_t count = 0;
    for (uint32_t i = 0; i < keyed->full_count; i++) {
        struct filter_facts_full full = keyed->full[i];
        full.used = rate_used(&limit->rate, full.row.value, now_ns, &full.is_full);
        if (full.used != 0) { /* else it was full at a slower rate */
            keyed->full[count++] = full;
        }
    }
    keyed->full_count = count;
}

const struct filter_ops filter_rate_limit_ops = {
    .size = sizeof(struct filter_rate_limit),
    .build = build,
    .make_state = make_state,
    .state_fits = state_fits,
    .request = request,
    .response = response,
    .facts = facts,
};
