#include "lbd/filter/filter_external_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/filter/filter_worker.h"

struct names {
    struct slice *list;
    uint32_t count;
};

struct filter_external_auth {
    struct filter filter;
    struct slice url;
    struct names sent; /* headers of the request that it is told */
    struct names told; /* headers of its answer that servers are told */
    uint32_t timeout_ms;
    uint32_t cache_ttl_ms;
    bool is_open; /* on_error */
    uint64_t build;
};

/* A question that is asked. It is gone with its answer or its request; in shadow mode it is the
 * worker's, holds what it needs by the lease, and is gone with its answer. */
struct question {
    struct http_call *call;
    struct filter_run *run; /* in shadow mode NULL once it has ended */
    void **kept;            /* of `run` */
    const struct filter_external_auth *auth;
    struct loop *loop;
    struct filter_memo_key key;
    /* in shadow mode only */
    struct filter_aside aside;
    struct counters_worker *counters;
    struct lease *lease;
};

/* How whoever is asked does, for who wants to know; written by all workers. */
struct service {
    struct filter_state state;
    char *url; /* whose state it is */
    _Atomic uint64_t answered_wall_us;
    _Atomic uint64_t failed_wall_us;
    _Atomic uint32_t failures; /* in a row */
    struct shared_text why;
};

static const struct filter_external_auth *auth_of(const struct filter *self)
{
    return (const struct filter_external_auth *)self; /* its first member */
}

static void free_service(struct filter_state *state)
{
    struct service *service = container_of(state, struct service, state);
    free(service->url);
    free(service);
}

static struct filter_state *make_state(const struct conf_policy *conf)
{
    struct service *service = mem_zero(1, sizeof(*service));
    atomic_init(&service->state.refs, 1);
    service->state.free = free_service;
    service->url = mem_slicedup(conf->external_auth.url);
    return &service->state;
}

static bool state_fits(const struct filter_state *state, const struct conf_policy *conf)
{
    const struct service *service = (const struct service *)state; /* its first member */
    return slice_eq(slice_from(service->url), conf->external_auth.url);
}

static struct names copy(struct arena *arena, const struct slice *names, uint32_t count)
{
    struct names to = {.list = arena_alloc(arena, count * sizeof(*to.list)), .count = count};
    for (uint32_t i = 0; i < count; i++) {
        to.list[i] = arena_copy(arena, names[i]);
    }
    return to;
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    static uint64_t builds; /* of control alone */
    struct filter_external_auth *auth = container_of(self, struct filter_external_auth, filter);
    const struct conf_policy_external_auth *of = &conf->external_auth;
    static struct slice always[] = {SLICE_INIT("Authorization"), SLICE_INIT("Cookie")};
    (void)err;
    auth->url = arena_copy(&self->arena, of->url);
    auth->sent = of->request_header_count != 0
                     ? copy(&self->arena, of->request_headers, of->request_header_count)
                     : (struct names){always, ARRAY_LEN(always)};
    auth->told = copy(&self->arena, of->response_headers, of->response_header_count);
    auth->timeout_ms = of->timeout_ms;
    auth->cache_ttl_ms = of->cache_ttl_ms;
    auth->is_open = of->on_error == CONF_POLICY_ERROR_ALLOW;
    auth->build = ++builds;
    return true;
}

/* -- the question -- */

static bool put(struct buf *out, struct slice name, struct slice value)
{
    return header_value_is_valid(value) && buf_append_slice(out, name) &&
           buf_append_text(out, ": ") && buf_append_slice(out, value) &&
           buf_append_text(out, "\r\n");
}

/* All fields of that name, as many as there are, as servers see them. */
static bool put_all(struct buf *out, const struct filter_run *run, struct slice name)
{
    const struct message *request = run->request;
    const struct headers *headers = &request->headers;
    bool ok = true;
    if (run->request_id.len != 0 && slice_eq_nocase(name, SLICE("x-request-id"))) {
        return put(out, name, run->request_id);
    }
    for (uint32_t i = 0; i < headers->count && ok; i++) {
        const struct header *header = &headers->list[i];
        if (!header->dropped && slice_eq_nocase(header_name(headers, header), name)) {
            ok = put(out, name, header_value(headers, header));
        }
    }
    for (uint32_t i = 0; i < request->extra_count && ok; i++) {
        if (slice_eq_nocase(request->extras[i].name, name)) {
            ok = put(out, name, request->extras[i].value);
        }
    }
    return ok;
}

static bool write_question(const struct filter_run *run, const struct filter_external_auth *auth,
                           struct buf *out)
{
    const struct message *request = run->request;
    char ip[ADDR_TEXT_MAX];
    size_t len = addr_small_write_ip(run->client, ip);
    struct slice uri =
        arena_printf(run->arena, "%.*s%.*s", SLICE_ARG(request->path), SLICE_ARG(request->query));
    bool ok = put(out, SLICE("X-Forwarded-Method"), message_method(request)) &&
              put(out, SLICE("X-Forwarded-Proto"), run->proto) &&
              put(out, SLICE("X-Forwarded-Host"), run->host) &&
              put(out, SLICE("X-Forwarded-Uri"), uri) &&
              put(out, SLICE("X-Forwarded-For"), slice_of(ip, len));
    for (uint32_t i = 0; i < auth->sent.count && ok; i++) {
        ok = put_all(out, run, auth->sent.list[i]);
    }
    return ok;
}

/* -- the answer -- */

/* Servers are told what the lines say, one header each; names that they do not hold are dropped. */
static enum filter_verdict let_in(struct filter_run *run, const struct filter_external_auth *auth,
                                  struct slice lines)
{
    for (uint32_t i = 0; i < auth->told.count; i++) {
        size_t end = lines.len > 0 ? slice_find(lines, '\n') : 0;
        struct slice line = slice_of(lines.ptr, end);
        lines = slice_from_at(lines, end + (lines.len > 0 ? 1 : 0));
        if (!filter_tell(run, auth->told.list[i], line)) {
            return filter_refuse(run, CLOSE_NO_HEADER_ROOM);
        }
    }
    return FILTER_GO_ON;
}

/* The headers of a yes that count: a line for each name, empty when there is none. */
static struct slice lines_of(const struct filter_run *run, const struct filter_external_auth *auth,
                             const struct headers *headers)
{
    struct slice lines = SLICE_NONE;
    for (uint32_t i = 0; i < auth->told.count; i++) {
        const struct header *found = headers_find_name(headers, auth->told.list[i]);
        struct slice value = found != NULL ? header_value(headers, found) : SLICE_NONE;
        lines = arena_printf(run->arena, "%.*s%.*s\n", SLICE_ARG(lines), SLICE_ARG(value));
    }
    return lines;
}

/* What a client gets of the head of a no, the most needed first. */
static const struct passed {
    struct slice name;
    uint32_t max;
} passed[] = {{SLICE_INIT("Location"), 1},
              {SLICE_INIT("WWW-Authenticate"), 4},
              {SLICE_INIT("Cache-Control"), 4},
              {SLICE_INIT("Set-Cookie"), 16}};

static void pass_fields(struct filter_run *run, const struct headers *headers,
                        const struct passed *what)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < headers->count && count < what->max; i++) {
        const struct header *header = &headers->list[i];
        if (slice_eq_nocase(header_name(headers, header), what->name)) {
            filter_answer_add(run, what->name,
                              arena_copy(run->arena, header_value(headers, header)));
            count++;
        }
    }
}

/* The status is the verdict, also when what should follow it did not come whole. */
static enum filter_verdict pass_on(struct filter_run *run, const struct http_call_answer *answer)
{
    (void)filter_refuse(run, CLOSE_EXTERNAL_DENIED);
    run->answer.status = answer->status_line;
    if (answer->status != 0) { /* of what came in part, only lbd's own words */
        run->answer.body = arena_copy(run->arena, answer->body);
        run->answer.type = answer->content_type.len > 0
                               ? arena_copy(run->arena, answer->content_type)
                               : SLICE("text/plain");
    }
    for (size_t i = 0; answer->headers != NULL && i < ARRAY_LEN(passed); i++) {
        pass_fields(run, answer->headers, &passed[i]);
    }
    return FILTER_ANSWERED;
}

/* The service has not spoken. A client that could bring that about must not pass for it: what it
 * could, a question that is too large or one that the service refuses, does not come here. */
static enum filter_verdict failed(struct filter_run *run, const struct filter_external_auth *auth)
{
    return auth->is_open ? let_in(run, auth, SLICE_NONE)
                         : filter_refuse(run, CLOSE_EXTERNAL_FAILED);
}

static void remember(const struct question *question, struct slice lines)
{
    const struct filter_external_auth *auth = question->auth;
    uint64_t now_us = loop_now_us(question->loop);
    if (auth->cache_ttl_ms != 0) {
        filter_memo_put(filter_worker_memo(filter_worker_of(question->loop)), &question->key,
                        now_us, now_us + auth->cache_ttl_ms * UINT64_C(1000), mem_slicedup(lines));
    }
}

/* Once a second at most: all workers write it. */
static void note_answer(struct service *service, uint64_t now)
{
    uint64_t last = atomic_load_explicit(&service->answered_wall_us, memory_order_relaxed);
    if (now >= last + 1000000U) {
        atomic_store_explicit(&service->answered_wall_us, now, memory_order_relaxed);
    }
    if (LB_UNLIKELY(atomic_load_explicit(&service->failures, memory_order_relaxed) != 0)) {
        atomic_store_explicit(&service->failures, 0, memory_order_relaxed);
    }
}

/* An answer that says neither yes nor no, or none. */
static void note_failure(struct service *service, uint64_t now,
                         const struct http_call_answer *answer)
{
    char words[64];
    (void)snprintf(words, sizeof(words), "it answers with HTTP status %u", answer->status);
    (void)shared_text_write(&service->why, slice_from(answer->status == 0 ? answer->why : words));
    atomic_store_explicit(&service->failed_wall_us, now, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&service->failures, 1, memory_order_relaxed);
}

/* NEITHER: it has spoken, and there is nothing for on_error to be open for. */
enum said { SAID_YES, SAID_NO, SAID_NEITHER, SAID_NOTHING };

/* What the service says, noted for who asks how it does. */
static enum said hear(const struct question *question, const struct http_call_answer *answer)
{
    struct service *service = container_of(question->auth->filter.state, struct service, state);
    uint64_t now = loop_wall_us(question->loop);
    uint16_t status = answer->status_line;
    enum said said = SAID_NOTHING;
    if (status >= 200 && status < 300 && answer->headers != NULL) { /* its body says nothing */
        said = SAID_YES;
    } else if ((status >= 300 && status < 400 && status != 304) || status == 401 || status == 403) {
        said = SAID_NO;
    } else if (status >= 200 && status < 500) {
        said = SAID_NEITHER;
    }
    if (said == SAID_YES || said == SAID_NO) {
        note_answer(service, now);
    } else {
        note_failure(service, now, answer);
    }
    return said;
}

static void on_answer(const struct http_call_answer *answer, void *arg)
{
    struct question *question = arg;
    struct filter_run *run = question->run;
    const struct filter_external_auth *auth = question->auth;
    enum filter_verdict verdict = FILTER_GO_ON;
    switch (hear(question, answer)) {
    case SAID_YES: {
        struct slice lines = lines_of(run, auth, answer->headers);
        remember(question, lines);
        verdict = let_in(run, auth, lines);
        break;
    }
    case SAID_NO:
        verdict = pass_on(run, answer);
        break;
    case SAID_NEITHER:
        verdict = filter_refuse(run, CLOSE_EXTERNAL_FAILED);
        break;
    case SAID_NOTHING:
        verdict = failed(run, auth);
        break;
    }
    *question->kept = NULL;
    free(question);
    filter_run_resume(run, verdict);
}

/* It never answers within this call. */
static void ask(struct question *question, struct slice fields, http_call_fn *fn)
{
    const struct filter_external_auth *auth = question->auth;
    const struct http_call_request request = {
        .url = auth->url,
        .fields = fields,
        .tls = auth->filter.tls,
        .timeout_ms = auth->timeout_ms,
        .answer_max = FILTER_EXTERNAL_AUTH_ANSWER_MAX,
    };
    *question->kept = question;
    question->call =
        http_client_call(&filter_worker_of(question->loop)->client, &request, fn, question);
}

static struct question *new_question(struct filter_run *run, const struct filter *self,
                                     const struct filter_memo_key *key, void **kept)
{
    struct question *question = mem_zero(1, sizeof(*question));
    question->run = run;
    question->kept = kept;
    question->auth = auth_of(self);
    question->loop = run->loop;
    question->key = *key;
    return question;
}

static bool recall(const struct filter_run *run, const struct filter *self, struct slice fields,
                   struct filter_memo_key *key, void **known)
{
    const struct filter_external_auth *auth = auth_of(self);
    const struct slice parts[] = {
        SLICE("external"), slice_of((const char *)&auth->build, sizeof(auth->build)), fields};
    *key = (struct filter_memo_key){{0}};
    if (auth->cache_ttl_ms == 0) {
        return false;
    }
    filter_memo_key(filter_worker_memo(filter_worker_of(run->loop)), parts, ARRAY_LEN(parts), key);
    return filter_worker_recall(run, self, key, known);
}

static void wipe(struct buf *fields)
{
    if (fields->data != NULL) {
        mem_wipe(fields->data, fields->len);
    }
    buf_fini(fields);
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_external_auth *auth = auth_of(self);
    struct filter_memo_key key;
    struct buf fields;
    void *known;
    enum filter_verdict verdict = FILTER_WAIT;
    buf_init(&fields, FILTER_EXTERNAL_AUTH_QUESTION_MAX);
    if (!write_question(run, auth, &fields)) {
        verdict = filter_refuse(run, CLOSE_EXTERNAL_TOO_LARGE);
    } else if (recall(run, self, buf_slice(&fields), &key, &known)) {
        verdict = let_in(run, auth, arena_copy(run->arena, slice_from(known)));
    } else {
        ask(new_question(run, self, &key, kept), buf_slice(&fields), on_answer);
    }
    wipe(&fields);
    return verdict;
}

/* -- in shadow mode: nobody waits for the answer, which may come after the request has ended -- */

/* The run, if there is one, knows nothing of it any more. */
static void free_aside(struct question *question)
{
    if (question->run != NULL) {
        *question->kept = NULL;
    }
    filter_worker_end_aside(filter_worker_of(question->loop), &question->aside);
    lease_drop(question->lease); /* with it the policy may go */
    free(question);
}

static void cancel_aside(struct filter_aside *aside)
{
    struct question *question = container_of(aside, struct question, aside);
    http_call_cancel(question->call);
    free_aside(question);
}

static void on_answer_aside(const struct http_call_answer *answer, void *arg)
{
    struct question *question = arg;
    const struct filter_external_auth *auth = question->auth;
    enum said said = hear(question, answer);
    bool refuses = said != SAID_YES && !(said == SAID_NOTHING && auth->is_open);
    if (said == SAID_YES) {
        remember(question, SLICE_NONE); /* nobody is told of its headers */
    }
    filter_note_aside(question->run, question->counters, &auth->filter, refuses);
    free_aside(question);
}

static void begin_aside(struct filter_run *run, const struct filter *self,
                        const struct filter_memo_key *key, struct slice fields, void **kept)
{
    struct question *question = new_question(run, self, key, kept);
    if (!filter_worker_begin_aside(filter_worker_of(run->loop), &question->aside)) {
        free(question);
        return;
    }
    question->aside.cancel = cancel_aside;
    question->counters = run->counters;
    question->lease = run->lease;
    lease_hold(question->lease);
    ask(question, fields, on_answer_aside);
}

static void aside(struct filter_run *run, const struct filter *self, void **kept)
{
    struct filter_memo_key key;
    struct buf fields;
    void *known;
    buf_init(&fields, FILTER_EXTERNAL_AUTH_QUESTION_MAX);
    if (!write_question(run, auth_of(self), &fields)) {
        filter_note_aside(run, run->counters, self, true);
    } else if (recall(run, self, buf_slice(&fields), &key, &known)) {
        filter_note_aside(run, run->counters, self, false);
    } else {
        begin_aside(run, self, &key, buf_slice(&fields), kept);
    }
    wipe(&fields);
}

static void end(struct filter_run *run, const struct filter *self, void **kept)
{
    struct question *question = *kept;
    (void)run;
    if (question == NULL) {
        return;
    }
    if (self->is_shadow) {
        question->run = NULL; /* it goes on by itself */
    } else {
        http_call_cancel(question->call);
        free(question);
    }
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    struct service *service = container_of(self->state, struct service, state);
    struct filter_facts_endpoint *endpoint = &facts->endpoint;
    (void)now_us;
    facts->has_endpoint = true;
    facts->remembers = auth_of(self)->cache_ttl_ms != 0;
    endpoint->answered_wall_us =
        atomic_load_explicit(&service->answered_wall_us, memory_order_relaxed);
    endpoint->failed_wall_us = atomic_load_explicit(&service->failed_wall_us, memory_order_relaxed);
    endpoint->failures = atomic_load_explicit(&service->failures, memory_order_relaxed);
    endpoint->why_len = shared_text_read(&service->why, endpoint->why);
}

const struct filter_ops filter_external_auth_ops = {
    .size = sizeof(struct filter_external_auth),
    .build = build,
    .make_state = make_state,
    .state_fits = state_fits,
    .request = request,
    .aside = aside,
    .end = end,
    .facts = facts,
};
