/*
 * exchange_trace - what led to the end of a request that failed or was slow, kept for those who ask
 * why: what policies said, its tries, and when no server was to be had, which there were and what
 * was wrong with each.
 *
 * What goes well and fast pays exchange_is_notable and nothing else. Tries that fail are noted as
 * they do.
 *
 * Threads: worker.
 */
#include "lbd/proxy/cause.h"
#include "lbd/proxy/exchange.h"
#include "lbd/stats/recent.h"

void exchange_trace_try(struct exchange *x, enum close_reason reason, uint16_t status)
{
    if (x->head == NULL) {
        return; /* the answer is on its way: there is no other try */
    }
    struct exchange_try *failed = arena_alloc(&x->head->arena, sizeof(*failed));
    *failed = (struct exchange_try){
        .before = x->failed,
        .server = x->server,
        .ended_us = loop_now_us(x->proxy->loop),
        .status = status,
        .reason = (uint8_t)reason,
        .reused = x->reused,
    };
    x->failed = failed;
}

/* The first ones that failed and, if there was another, the last. Returns how many there are. */
static uint32_t collect_tries(const struct exchange *x, struct recent_try tries[RECENT_TRIES])
{
    const struct exchange_try *failed[RECENT_TRIES];
    uint32_t count = 0;
    for (const struct exchange_try *one = x->failed; one != NULL; one = one->before) {
        count++;
    }
    bool has_last = x->tries > count; /* one that did not fail as a try */
    uint32_t kept = count < RECENT_TRIES - 1 ? count : RECENT_TRIES - 1;
    for (const struct exchange_try *one = x->failed; one != NULL; one = one->before) {
        if (--count < kept) {
            failed[count] = one;
        }
    }
    uint64_t began_us = x->start_us;
    for (uint32_t i = 0; i < kept; i++) {
        tries[i] = (struct recent_try){
            .server = slice_from(failed[i]->server->name),
            .reason = (enum close_reason)failed[i]->reason,
            .status = failed[i]->status,
            .reused = failed[i]->reused,
            .began_us = began_us - x->start_us,
            .took_us = failed[i]->ended_us - began_us,
        };
        began_us = failed[i]->ended_us;
    }
    if (has_last) {
        tries[kept++] = (struct recent_try){
            .server = slice_from(x->pool->members[x->member].server->name),
            .reason = (enum close_reason)x->reason,
            .reused = x->reused,
            .began_us = began_us - x->start_us,
            .took_us = loop_now_us(x->proxy->loop) - began_us,
        };
    }
    return kept;
}

static const char *state_of(const struct pool *pool, enum balancer_fitness fitness, uint32_t index)
{
    const struct server *server = pool->members[index].server;
    switch (pool_candidate(pool, fitness, index)) {
    case POOL_CANDIDATE:
        return "usable";
    case POOL_NO_ADDRESS:
        return "no_address";
    case POOL_FULL:
        return "full";
    case POOL_STANDS_BY:
        return "stands_by";
    case POOL_NOT_FIT:
        break;
    }
    switch (server_admin_now(server)) {
    case SERVER_DRAIN:
        return "drain";
    case SERVER_MAINT:
        return "maint";
    case SERVER_READY:
        break;
    }
    return server_is_usable(server) ? "passed_over" : "down";
}

/* Which servers there are now, at the end of a request that got none. */
static uint32_t collect_candidates(const struct pool *pool,
                                   struct recent_candidate candidates[RECENT_CANDIDATES])
{
    enum balancer_fitness fitness = pool_fitness(pool);
    uint32_t count = pool->count < RECENT_CANDIDATES ? pool->count : RECENT_CANDIDATES;
    for (uint32_t i = 0; i < count; i++) {
        candidates[i] = (struct recent_candidate){
            .server = slice_from(pool->members[i].server->name),
            .state = state_of(pool, fitness, i),
        };
    }
    return count;
}

/* Which were asked, and what each said. */
static uint32_t collect_policies(const struct exchange *x,
                                 struct recent_policy policies[RECENT_POLICIES])
{
    const struct filter_run *run = x->head != NULL ? x->head->filters : NULL;
    uint32_t count = 0;
    for (; run != NULL && count < run->asked && count < RECENT_POLICIES; count++) {
        const struct filter *filter = run->chain->list[count];
        policies[count] = (struct recent_policy){
            .name = filter->name,
            .decision = filter == run->decided    ? "refused"
                        : filter == run->shadowed ? "would_refuse"
                                                  : "passed",
        };
    }
    return count;
}

void exchange_trace_keep(const struct exchange *x)
{
    struct recent_try tries[RECENT_TRIES];
    struct recent_candidate candidates[RECENT_CANDIDATES];
    struct recent_policy policies[RECENT_POLICIES];
    struct recent_entry entry = {.tries = tries, .candidates = candidates, .policies = policies};
    struct cause cause;
    exchange_fill_record(x, &entry.record, &cause);
    entry.policy_count = collect_policies(x, policies);
    if (x->pool != NULL) {
        entry.try_count = collect_tries(x, tries);
        bool was_served = x->first_byte_us != 0 && !x->failed;
        entry.candidate_total = x->pool->count;
        entry.candidate_count = was_served ? 0 : collect_candidates(x->pool, candidates);
    }
    recent_put(&x->proxy->recent, &entry);
}
