#include "lbd/filter/filter_bandwidth.h"

#include "lbd/filter/filter_key.h"
#include "lbd/filter/filter_keyed.h"

/* By which rates are compared: at the fastest it still takes long enough to be told exactly. */
#define UNIT_BYTES (1U << 30)

struct filter_bandwidth {
    struct filter filter;
    struct filter_key key;
    uint32_t request_bytes_per_s; /* 0: any */
    uint32_t key_bytes_per_s;     /* 0: any */
    uint32_t burst_bytes;
    struct rate_epochs epochs; /* of the keys' table */
};

/* An answer. Buckets are kept as the time at which they are empty, as in rate_buckets. */
struct flow {
    struct loop_timer timer; /* while the request waits for its key's bucket */
    struct filter_run *run;
    const struct filter_bandwidth *bandwidth;
    uint64_t key; /* 0: none */
    uint64_t empty_at_ns;
};

struct pour {
    const struct rate_epochs *epochs;
    uint64_t now_ns;
    uint64_t cost_ns;
    uint64_t empty_at_ns; /* afterwards */
    bool was_anothers;    /* which had something left in it */
};

static const struct filter_bandwidth *bandwidth_of(const struct filter *self)
{
    return (const struct filter_bandwidth *)self; /* its first member */
}

static uint64_t ns_for(uint64_t bytes, uint32_t bytes_per_s)
{
    return bytes * 1000000000U / bytes_per_s;
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    const struct conf_policy_bandwidth *from = &conf->bandwidth;
    struct filter_bandwidth *bandwidth = container_of(self, struct filter_bandwidth, filter);
    (void)err;
    filter_key_build(&bandwidth->key, &self->arena, &from->key);
    bandwidth->request_bytes_per_s = from->per_request_bytes;
    bandwidth->key_bytes_per_s = from->per_key_bytes;
    bandwidth->burst_bytes = from->burst_bytes;
    if (from->per_key_bytes != 0) { /* what is owed beyond the burst stays owed */
        bandwidth->epochs = filter_keyed_begin(self->state, ns_for(UNIT_BYTES, from->per_key_bytes),
                                               UINT64_MAX / 2);
    }
    return true;
}

static struct filter_state *make_state(const struct conf_policy *conf)
{
    return filter_keyed_new(conf->bandwidth.keys);
}

static bool state_fits(const struct filter_state *state, const struct conf_policy *conf)
{
    return filter_keyed_fits(state, conf->bandwidth.keys);
}

static uint64_t pour_into(const struct pour *pour, uint64_t empty_at_ns)
{
    return (empty_at_ns > pour->now_ns ? empty_at_ns : pour->now_ns) + pour->cost_ns;
}

static bool pour_own(void *arg, uint64_t value, uint64_t *to)
{
    struct pour *pour = arg;
    pour->empty_at_ns = pour_into(pour, rate_epochs_read(pour->epochs, value));
    *to = rate_epochs_write(pour->epochs, pour->empty_at_ns);
    return true;
}

static bool pour_place(void *arg, uint64_t value, uint64_t *to)
{
    struct pour *pour = arg;
    pour->was_anothers = rate_epochs_read(pour->epochs, value) > pour->now_ns;
    return pour_own(arg, value, to);
}

/* How long until the key's bucket has room, with `bytes` more in it. */
static uint64_t key_wait_ns(const struct flow *flow, uint64_t now_ns, uint64_t bytes)
{
    static const struct key_table_rule rule = {.own = pour_own, .take = pour_place};
    const struct filter_bandwidth *bandwidth = flow->bandwidth;
    struct pour pour = {.epochs = &bandwidth->epochs,
                        .now_ns = now_ns,
                        /* at least 1: a place that changes hands has another number */
                        .cost_ns = ns_for(bytes, bandwidth->key_bytes_per_s) + 1};
    uint64_t most_ns = now_ns + ns_for(bandwidth->burst_bytes, bandwidth->key_bytes_per_s);
    enum key_table_change change;
    (void)key_table_update(filter_keyed_table(bandwidth->filter.state), flow->key, &rule, &pour,
                           &change);
    filter_keyed_count(flow->run, &bandwidth->filter, change,
                       pour.was_anothers && change == KEY_TABLE_REPLACED);
    return pour.empty_at_ns > most_ns ? pour.empty_at_ns - most_ns : 0;
}

static uint64_t ms_of(uint64_t ns)
{
    return (ns + 999999U) / 1000000U;
}

/* Its turn may have come: others may have been faster. */
static void on_turn(struct loop_timer *timer)
{
    struct flow *flow = container_of(timer, struct flow, timer);
    uint64_t wait_ns = key_wait_ns(flow, loop_now_us(flow->run->loop) * 1000U, 0);
    if (wait_ns != 0) {
        loop_timer_set(flow->run->loop, timer, ms_of(wait_ns), on_turn);
        return;
    }
    filter_run_resume(flow->run, FILTER_GO_ON);
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_bandwidth *bandwidth = bandwidth_of(self);
    struct flow *flow = arena_zero(run->arena, sizeof(*flow));
    flow->run = run;
    flow->bandwidth = bandwidth;
    *kept = flow;
    run->is_paced = true;
    if (bandwidth->key_bytes_per_s == 0 || !filter_key_find(&bandwidth->key, run, &flow->key)) {
        flow->key = 0;
        return FILTER_GO_ON;
    }
    uint64_t wait_ns = key_wait_ns(flow, loop_now_us(run->loop) * 1000U, 0);
    if (wait_ns == 0) {
        return FILTER_GO_ON;
    }
    loop_timer_set(run->loop, &flow->timer, ms_of(wait_ns), on_turn);
    return FILTER_WAIT;
}

static uint64_t sent(struct filter_run *run, const struct filter *self, void **kept, uint64_t bytes)
{
    const struct filter_bandwidth *bandwidth = bandwidth_of(self);
    struct flow *flow = *kept;
    uint64_t now_ns = loop_now_us(run->loop) * 1000U;
    uint64_t wait_ns = flow->key != 0 ? key_wait_ns(flow, now_ns, bytes) : 0;
    if (bandwidth->request_bytes_per_s != 0) {
        struct pour pour = {.now_ns = now_ns,
                            .cost_ns = ns_for(bytes, bandwidth->request_bytes_per_s)};
        uint64_t most_ns = now_ns + ns_for(bandwidth->burst_bytes, bandwidth->request_bytes_per_s);
        flow->empty_at_ns = pour_into(&pour, flow->empty_at_ns);
        uint64_t own_ns = flow->empty_at_ns > most_ns ? flow->empty_at_ns - most_ns : 0;
        wait_ns = own_ns > wait_ns ? own_ns : wait_ns;
    }
    return ms_of(wait_ns);
}

static void end(struct filter_run *run, const struct filter *self, void **kept)
{
    struct flow *flow = *kept;
    (void)run;
    (void)self;
    if (flow != NULL) {
        loop_timer_stop(&flow->timer);
    }
}

const struct filter_ops filter_bandwidth_ops = {
    .size = sizeof(struct filter_bandwidth),
    .is_edit = true,
    .build = build,
    .make_state = make_state,
    .state_fits = state_fits,
    .request = request,
    .sent = sent,
    .end = end,
};
