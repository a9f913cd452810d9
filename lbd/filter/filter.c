#include "lbd/filter/filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/filter/filter_access.h"
#include "lbd/filter/filter_bandwidth.h"
#include "lbd/filter/filter_basic_auth.h"
#include "lbd/filter/filter_body_size.h"
#include "lbd/filter/filter_compression.h"
#include "lbd/filter/filter_concurrency.h"
#include "lbd/filter/filter_cors.h"
#include "lbd/filter/filter_external_auth.h"
#include "lbd/filter/filter_headers.h"
#include "lbd/filter/filter_jwt.h"
#include "lbd/filter/filter_maintenance.h"
#include "lbd/filter/filter_rate_limit.h"
#include "lbd/filter/filter_security_headers.h"

static_assert(FILTER_FIELDS_MAX <= MESSAGE_EXTRAS_MAX - MESSAGE_EXTRAS_OURS, "an answer fits");
static_assert(MESSAGE_EXTRAS_MAX - MESSAGE_EXTRAS_OURS == CONF_HEADER_LINES_MAX,
              "what documents are told of");

const struct filter_ops *filter_ops_of(enum conf_policy_kind kind)
{
    static const struct filter_ops *const kinds[CONF_POLICY_KIND_COUNT] = {
        [CONF_POLICY_ACCESS] = &filter_access_ops,
        [CONF_POLICY_BANDWIDTH] = &filter_bandwidth_ops,
        [CONF_POLICY_COMPRESSION] = &filter_compression_ops,
        [CONF_POLICY_HEADERS] = &filter_headers_ops,
        [CONF_POLICY_CORS] = &filter_cors_ops,
        [CONF_POLICY_SECURITY_HEADERS] = &filter_security_headers_ops,
        [CONF_POLICY_MAINTENANCE] = &filter_maintenance_ops,
        [CONF_POLICY_RATE_LIMIT] = &filter_rate_limit_ops,
        [CONF_POLICY_CONCURRENCY] = &filter_concurrency_ops,
        [CONF_POLICY_BODY_SIZE] = &filter_body_size_ops,
        [CONF_POLICY_BASIC_AUTH] = &filter_basic_auth_ops,
        [CONF_POLICY_JWT] = &filter_jwt_ops,
        [CONF_POLICY_EXTERNAL_AUTH] = &filter_external_auth_ops,
    };
    return kinds[kind];
}

uint64_t filter_sets_version(const struct conf *document, const struct conf_policy *conf)
{
    const struct conf_policy_access *access = &conf->access;
    uint64_t sum = 1;
    if (conf->kind != CONF_POLICY_ACCESS) {
        return sum;
    }
    for (uint32_t i = 0; i < access->allow_set_count + access->deny_set_count; i++) {
        struct slice name = i < access->allow_set_count
                                ? access->allow_sets[i]
                                : access->deny_sets[i - access->allow_set_count];
        const struct conf_address_set *set = conf_address_set_find(document, name);
        if (set == NULL || set->version == 0) {
            return 0; /* nobody knows */
        }
        sum = hash_mix(sum ^ set->version);
    }
    return sum;
}

struct filter *filter_new(const struct conf *document, const struct conf_policy *conf, uint32_t id,
                          struct filter_state *state, struct tls_client *tls, struct slice material,
                          struct err *err)
{
    const struct filter_ops *ops = filter_ops_of(conf->kind);
    struct filter *self = mem_zero(1, ops->size);
    arena_init(&self->arena, NULL, 0);
    self->ops = ops;
    self->name = arena_copy(&self->arena, conf->name);
    atomic_init(&self->refs, 1);
    self->id = id;
    self->state = state != NULL ? filter_state_ref(state) : NULL;
    self->tls = tls != NULL ? tls_client_ref(tls) : NULL;
    self->version = conf->version;
    self->sets_version = filter_sets_version(document, conf);
    self->document = document;
    self->is_shadow = conf->mode == CONF_POLICY_SHADOW;
    self->material = material;
    if (ops->build != NULL && !ops->build(self, conf, err)) {
        filter_unref(self);
        return NULL;
    }
    self->material = SLICE_NONE;
    self->document = NULL;
    return self;
}

struct filter *filter_ref(struct filter *filter)
{
    atomic_fetch_add_explicit(&filter->refs, 1, memory_order_relaxed);
    return filter;
}

void filter_unref(struct filter *filter)
{
    if (filter == NULL || atomic_fetch_sub_explicit(&filter->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (filter->ops->fini != NULL) {
        filter->ops->fini(filter);
    }
    filter_state_unref(filter->state);
    tls_client_unref(filter->tls);
    arena_fini(&filter->arena);
    free(filter->refused_why);
    free(filter);
}

struct filter_state *filter_state_ref(struct filter_state *state)
{
    atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
    return state;
}

void filter_state_unref(struct filter_state *state)
{
    if (state != NULL && atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) == 1) {
        state->free(state);
    }
}

/* -- a request -- */

static void count_decision(struct counters_worker *counters, const struct filter *filter,
                           enum counters_decision decision)
{
    counter_add(&counters_of_policy(counters, filter->id)->decisions[decision], 1);
}

static void count(struct filter_run *run, const struct filter *filter,
                  enum counters_decision decision)
{
    count_decision(run->counters, filter, decision);
}

static void note_shadow(struct filter_run *run, const struct filter *filter)
{
    count(run, filter, COUNTERS_DECISION_SHADOW);
    run->shadowed = run->shadowed != NULL ? run->shadowed : filter;
}

/* Has it let the request in, and may yet find its body too large? */
static bool is_undecided(const struct filter_run *run, uint32_t i)
{
    const struct message *request = run->request;
    return run->chain->list[i]->ops->body_max != NULL && run->kept[i] == NULL &&
           !request->has_length && request->framing == FRAMING_CHUNKED;
}

/* The next one whom the request's body may become too large for. */
static void find_body_limit(struct filter_run *run)
{
    run->body_max = UINT64_MAX;
    for (uint32_t i = 0; i < run->asked; i++) {
        const struct filter *filter = run->chain->list[i];
        if (filter->ops->body_max != NULL && run->kept[i] == NULL &&
            filter->ops->body_max(filter) < run->body_max) {
            run->body_max = filter->ops->body_max(filter);
            run->body_limit = i;
        }
    }
}

/* What the verdict of the filter that was asked last means for the request. */
static enum filter_verdict weigh(struct filter_run *run, enum filter_verdict verdict)
{
    const struct filter *filter = run->chain->list[run->asked - 1];
    switch (verdict) {
    case FILTER_GO_ON:
        if (!is_undecided(run, run->asked - 1)) { /* else by filter_run_end */
            count(run, filter, COUNTERS_DECISION_ALLOW);
        }
        return FILTER_GO_ON;
    case FILTER_WAIT:
        count(run, filter, COUNTERS_DECISION_WAIT);
        return FILTER_WAIT;
    case FILTER_ANSWERED:
        break;
    }
    if (filter->is_shadow) {
        run->answer = (struct filter_answer){.reason = CLOSE_OK};
        note_shadow(run, filter);
        return FILTER_GO_ON;
    }
    bool is_service = close_reason_is_good(run->answer.reason);
    count(run, filter, is_service ? COUNTERS_DECISION_ALLOW : COUNTERS_DECISION_DENY);
    run->decided = filter;
    return FILTER_ANSWERED;
}

static enum filter_verdict go_on(struct filter_run *run)
{
    while (run->asked < run->chain->count) {
        const struct filter *filter = run->chain->list[run->asked];
        void **kept = &run->kept[run->asked++];
        enum filter_verdict verdict = FILTER_GO_ON;
        if (filter->is_shadow && filter->ops->is_edit) {
            count(run, filter, COUNTERS_DECISION_SHADOW);
            continue;
        }
        if (filter->is_shadow && filter->ops->aside != NULL) {
            filter->ops->aside(run, filter, kept);
            continue;
        }
        if (filter->ops->request != NULL) {
            verdict = filter->ops->request(run, filter, kept);
        }
        verdict = weigh(run, verdict);
        if (verdict != FILTER_GO_ON) {
            return verdict;
        }
    }
    find_body_limit(run);
    return FILTER_GO_ON;
}

enum filter_verdict filter_run_go(struct filter_run *run)
{
    run->kept = arena_zero(run->arena, run->chain->count * sizeof(*run->kept));
    run->body_max = UINT64_MAX;
    return go_on(run);
}

void filter_run_resume(struct filter_run *run, enum filter_verdict verdict)
{
    assert(verdict != FILTER_WAIT);
    verdict = weigh(run, verdict);
    if (verdict == FILTER_GO_ON) {
        verdict = go_on(run);
    }
    if (verdict != FILTER_WAIT) {
        run->resume(run, verdict);
    }
}

bool filter_run_body_fits(struct filter_run *run, uint64_t bytes)
{
    while (bytes > run->body_max) {
        const struct filter *filter = run->chain->list[run->body_limit];
        if (!filter->is_shadow) {
            run->decided = filter;
            run->kept[run->body_limit] = run; /* it has spoken */
            count(run, filter, COUNTERS_DECISION_DENY);
            return false;
        }
        note_shadow(run, filter);
        run->kept[run->body_limit] = run;
        find_body_limit(run);
    }
    return true;
}

void filter_run_response(struct filter_run *run, struct message *answer)
{
    uint32_t theirs = run->answer.field_count; /* when it is a policy that answers */
    answer->extra_ours = answer->extra_count > theirs ? answer->extra_count - theirs : 0;
    assert(answer->extra_ours <=
           MESSAGE_EXTRAS_OURS); /* they take nothing of the policies' lines */
    for (uint32_t i = run->asked; i-- > 0;) {
        const struct filter *filter = run->chain->list[i];
        if (filter->ops->response != NULL && !filter->is_shadow) {
            filter->ops->response(run, filter, &run->kept[i], answer);
        }
    }
}

uint64_t filter_run_sent(struct filter_run *run, uint64_t bytes)
{
    uint64_t wait_ms = 0;
    for (uint32_t i = 0; i < run->asked; i++) {
        const struct filter *filter = run->chain->list[i];
        if (filter->ops->sent != NULL && !filter->is_shadow) {
            uint64_t own_ms = filter->ops->sent(run, filter, &run->kept[i], bytes);
            wait_ms = own_ms > wait_ms ? own_ms : wait_ms;
        }
    }
    return wait_ms;
}

struct filter_hold *filter_run_hold(struct filter_run *run)
{
    struct filter_hold *holds = NULL;
    for (uint32_t i = 0; run != NULL && i < run->asked; i++) {
        const struct filter *filter = run->chain->list[i];
        struct filter_hold hold = {.next = holds, .state = filter->state};
        if (filter->ops->hold != NULL && filter->ops->hold(filter, &run->kept[i], &hold)) {
            (void)filter_state_ref(hold.state);
            holds = mem_alloc(sizeof(*holds));
            *holds = hold;
        }
    }
    return holds;
}

void filter_hold_end(struct filter_hold *hold)
{
    while (hold != NULL) {
        struct filter_hold *next = hold->next;
        (void)atomic_fetch_sub_explicit(hold->value, hold->part, memory_order_release);
        filter_state_unref(hold->state);
        free(hold);
        hold = next;
    }
}

void filter_run_take_body(struct filter_run *run, void **kept)
{
    assert(run->is_body_free && run->coder == 0);
    run->coder = (uint32_t)(kept - run->kept) + 1;
}

bool filter_run_code(struct filter_run *run, struct filter_piece *piece)
{
    uint32_t i = run->coder - 1;
    const struct filter *filter = run->chain->list[i];
    return filter->ops->code(run, filter, &run->kept[i], piece);
}

void filter_run_end(struct filter_run *run)
{
    while (run->asked > 0) {
        uint32_t i = --run->asked;
        const struct filter *filter = run->chain->list[i];
        if (LB_UNLIKELY(is_undecided(run, i))) {
            count(run, filter, COUNTERS_DECISION_ALLOW);
        }
        if (filter->ops->end != NULL) {
            filter->ops->end(run, filter, &run->kept[i]);
        }
    }
}

const struct filter *filter_chain_refuses(const struct filter_chain *chain,
                                          const struct addr_small *client,
                                          struct counters_worker *counters)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct filter *filter = chain->list[i];
        assert(filter->ops->admits != NULL); /* conf_check */
        if (filter->ops->admits(filter, client)) {
            count_decision(counters, filter, COUNTERS_DECISION_ALLOW);
        } else if (filter->is_shadow) {
            count_decision(counters, filter, COUNTERS_DECISION_SHADOW);
        } else {
            count_decision(counters, filter, COUNTERS_DECISION_DENY);
            return filter;
        }
    }
    return NULL;
}

const struct filter *filter_chain_shadows(const struct filter_chain *chain,
                                          const struct addr_small *client, const struct filter *end)
{
    for (uint32_t i = 0; i < chain->count && chain->list[i] != end; i++) {
        const struct filter *filter = chain->list[i];
        if (filter->is_shadow && !filter->ops->admits(filter, client)) {
            return filter;
        }
    }
    return NULL;
}

/* -- for kinds -- */

enum filter_verdict filter_refuse(struct filter_run *run, enum close_reason reason)
{
    run->answer = (struct filter_answer){.reason = reason};
    return FILTER_ANSWERED;
}

void filter_note_aside(struct filter_run *run, struct counters_worker *counters,
                       const struct filter *filter, bool refuses)
{
    count_decision(counters, filter, refuses ? COUNTERS_DECISION_SHADOW : COUNTERS_DECISION_ALLOW);
    if (refuses && run != NULL && run->shadowed == NULL) {
        run->shadowed = filter;
    }
}

void filter_answer_add(struct filter_run *run, struct slice name, struct slice value)
{
    struct filter_answer *answer = &run->answer;
    uint32_t count = answer->field_count;
    if (count == FILTER_FIELDS_MAX) {
        return;
    }
    if ((count & (count - 1)) == 0) { /* full: it has room for 1, 2, 4, ... */
        size_t room = count == 0 ? 1 : 2 * (size_t)count;
        struct header_extra *fields = arena_alloc(run->arena, room * sizeof(*fields));
        if (count != 0) {
            memcpy(fields, answer->fields, count * sizeof(*fields));
        }
        answer->fields = fields;
    }
    answer->fields[answer->field_count++] = (struct header_extra){name, value};
}

bool filter_field_add(struct message *message, struct slice name, struct slice value)
{
    if (!message_has_room(message) || !header_value_is_valid(value)) {
        return false;
    }
    message_add(message, name, value);
    return true;
}

void filter_field_drop(struct message *message, struct slice name)
{
    uint32_t kept = 0;
    message_drop_name(message, name);
    for (uint32_t i = 0; i < message->extra_count; i++) {
        if (!slice_eq_nocase(message->extras[i].name, name)) {
            message->extras[kept++] = message->extras[i];
        }
    }
    message->extra_count = kept;
}

void **filter_run_kept(struct filter_run *run)
{
    return &run->kept[run->asked - 1];
}

const struct header *filter_only_header(const struct filter_run *run, enum header_id id)
{
    const struct headers *headers = &run->request->headers;
    const struct header *found = NULL;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->id == id && !header->dropped) {
            if (found != NULL) {
                return NULL;
            }
            found = header;
        }
    }
    return found;
}

bool filter_tell(struct filter_run *run, struct slice name, struct slice value)
{
    run->drops_trailers = true;
    filter_field_drop(run->request, name);
    return value.len == 0 || filter_field_add(run->request, name, value);
}
