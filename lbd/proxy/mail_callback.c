#include "lbd/proxy/mail_callback.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

struct mail_callback {
    _Atomic uint32_t refs;
    _Atomic uint32_t first; /* the URL that answered last */
    uint64_t version;
    char *name;
    struct slice key; /* of kept answers: name and version; in `key_text` */
    char key_text[96];
    enum conf_mail_callback_format format;
    char **urls;
    uint32_t url_count;
    struct buf fields; /* the static header lines */
    struct tls_client *tls;
    uint32_t timeout_ms;
    struct mail_answers_terms terms;
    enum conf_mail_callback_error on_error;
};

struct mail_callback *mail_callback_new(const struct conf_mail_callback *conf,
                                        struct tls_client *tls)
{
    struct mail_callback *callback = mem_zero(1, sizeof(*callback));
    atomic_init(&callback->refs, 1);
    callback->version = conf->version;
    callback->name = mem_slicedup(conf->name);
    int len = snprintf(callback->key_text, sizeof(callback->key_text), "%.*s/%llu",
                       SLICE_ARG(conf->name), (unsigned long long)conf->version);
    callback->key = slice_of(callback->key_text, (size_t)len);
    callback->format = conf->format;
    callback->urls = mem_zero(conf->url_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < conf->url_count; i++) {
        callback->urls[i] = mem_slicedup(conf->urls[i]);
    }
    callback->url_count = conf->url_count;
    buf_init(&callback->fields, MAIL_ASK_BYTES_MAX);
    for (uint32_t i = 0; i < conf->header_count; i++) {
        (void)buf_printf(&callback->fields, "%.*s: %.*s\r\n", SLICE_ARG(conf->headers[i].name),
                         SLICE_ARG(conf->headers[i].value));
    }
    callback->tls = tls != NULL ? tls_client_ref(tls) : NULL;
    callback->timeout_ms = conf->timeout_ms;
    callback->terms = (struct mail_answers_terms){
        .ttl_ms = conf->cache_ttl_ms,
        .negative_ttl_ms = conf->negative_ttl_ms,
        .stale_ttl_ms = conf->on_error == CONF_MAIL_CALLBACK_STALE ? conf->stale_ttl_ms : 0,
    };
    callback->on_error = conf->on_error;
    return callback;
}

struct mail_callback *mail_callback_ref(struct mail_callback *callback)
{
    (void)atomic_fetch_add_explicit(&callback->refs, 1, memory_order_relaxed);
    return callback;
}

void mail_callback_unref(struct mail_callback *callback)
{
    if (callback == NULL ||
        atomic_fetch_sub_explicit(&callback->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < callback->url_count; i++) {
        free(callback->urls[i]);
    }
    free(callback->urls);
    buf_fini(&callback->fields);
    tls_client_unref(callback->tls);
    free(callback->name);
    free(callback);
}

bool mail_callback_is_of(const struct mail_callback *callback,
                         const struct conf_mail_callback *conf, const struct tls_client *tls)
{
    return conf->version != 0 && callback->version == conf->version && callback->tls == tls;
}

struct slice mail_callback_name(const struct mail_callback *callback)
{
    return slice_from(callback->name);
}

enum conf_mail_callback_error mail_callback_on_error(const struct mail_callback *callback)
{
    return callback->on_error;
}

const struct tls_client *mail_callback_tls(const struct mail_callback *callback)
{
    return callback->tls;
}

/* -- a worker -- */

void mail_callback_worker_init(struct mail_callback_worker *worker, struct loop *loop,
                               struct mail_answers *answers, const struct slice *resolvers,
                               uint32_t resolver_count)
{
    *worker = (struct mail_callback_worker){.loop = loop, .answers = answers};
    http_client_init(&worker->client, loop, resolvers, resolver_count);
}

void mail_callback_worker_fini(struct mail_callback_worker *worker)
{
    http_client_fini(&worker->client);
}

/* -- a call -- */

struct mail_callback_call {
    struct mail_callback_worker *worker;
    struct mail_callback *callback; /* referenced */
    const struct mail_ask *ask;
    struct http_call *http;
    struct loop_ready ready; /* what is known at once is told later */
    uint32_t url;            /* that is asked now */
    uint32_t tried;
    bool may_keep;
    struct mail_answers_key key;
    mail_callback_fn *fn;
    void *arg;
    char why[HTTP_CALL_WHY_MAX + 128];
};

static void release(struct mail_callback_call *call)
{
    loop_ready_remove(&call->ready);
    http_call_cancel(call->http);
    mail_callback_unref(call->callback);
    free(call);
}

void mail_callback_cancel(struct mail_callback_call *call)
{
    if (call != NULL) {
        release(call);
    }
}

static uint64_t now_ms(const struct mail_callback_worker *worker)
{
    return loop_now_us(worker->loop) / 1000;
}

static void tell(struct mail_callback_call *call, struct mail_ask_answer *answer)
{
    char why[sizeof(call->why)];
    mail_callback_fn *fn = call->fn;
    void *arg = call->arg;
    memcpy(why, call->why, sizeof(why));
    if (answer->verdict == MAIL_ASK_BAD) {
        call->worker->failed++;
    }
    release(call);
    fn(answer, why, arg);
    mail_ask_answer_wipe(answer);
}

/* Nobody has answered: what was kept, or nothing. */
static void give_up(struct mail_callback_call *call)
{
    struct mail_ask_answer answer;
    const struct mail_callback *callback = call->callback;
    if (call->may_keep && mail_answers_find(call->worker->answers, &call->key, &callback->terms,
                                            now_ms(call->worker), &answer) != MAIL_ANSWERS_NONE) {
        call->worker->kept++;
        tell(call, &answer);
        return;
    }
    memset(&answer, 0, sizeof(answer));
    answer.verdict = MAIL_ASK_BAD;
    answer.problem = "";
    tell(call, &answer);
}

static void on_ready(struct loop_ready *ready)
{
    give_up(container_of(ready, struct mail_callback_call, ready));
}

static void ask_url(struct mail_callback_call *call);

static void try_next(struct mail_callback_call *call, const char *why)
{
    const struct mail_callback *callback = call->callback;
    (void)snprintf(call->why, sizeof(call->why), "callback '%s': %s", callback->name, why);
    call->tried++;
    if (call->tried < callback->url_count) {
        call->url = (call->url + 1) % callback->url_count;
        ask_url(call);
        return;
    }
    give_up(call);
}

/* Refusals that are of no use fill no table: whoever guesses passwords makes many. But what was
 * kept before must not let in, when nobody answers, whom the callback refused last. */
static void keep(const struct mail_callback_call *call, const struct mail_ask_answer *answer)
{
    struct mail_answers *answers = call->worker->answers;
    if (!call->may_keep) {
        return;
    }
    if (answer->verdict == MAIL_ASK_REFUSED && call->callback->terms.negative_ttl_ms == 0) {
        mail_answers_drop(answers, &call->key);
    } else {
        mail_answers_put(answers, &call->key, call->ask, answer, now_ms(call->worker));
    }
}

static void on_answer(const struct http_call_answer *http, void *arg)
{
    struct mail_callback_call *call = arg;
    struct mail_callback *callback = call->callback;
    struct mail_ask_answer answer;
    call->http = NULL;
    if (http->status == 0) {
        try_next(call, http->why);
        return;
    }
    if (callback->format == CONF_MAIL_CALLBACK_NGINX) {
        mail_ask_read_nginx(&answer, http->headers, call->ask);
    } else {
        mail_ask_read_json(&answer, http->body, call->ask);
    }
    if (answer.verdict == MAIL_ASK_BAD && http->status >= 500) { /* of something before it */
        char why[64];
        (void)snprintf(why, sizeof(why), "status %u", http->status);
        try_next(call, why);
        return;
    }
    if (answer.verdict == MAIL_ASK_BAD) {
        (void)snprintf(call->why, sizeof(call->why), "callback '%s': %s (status %u)",
                       callback->name, answer.problem, http->status);
    }
    atomic_store_explicit(&callback->first, call->url, memory_order_relaxed);
    keep(call, &answer);
    tell(call, &answer);
}

static void ask_url(struct mail_callback_call *call)
{
    struct mail_callback_worker *worker = call->worker;
    const struct mail_callback *callback = call->callback;
    const char *url = callback->urls[call->url];
    bool is_json = callback->format == CONF_MAIL_CALLBACK_JSON;
    struct buf body;
    struct buf fields;
    buf_init(&body, MAIL_ASK_BYTES_MAX);
    buf_init(&fields, MAIL_ASK_BYTES_MAX);
    /* no growing: that leaves copies of a password behind */
    (void)buf_reserve(is_json ? &body : &fields,
                      4096 + 3 * (call->ask->login.len + call->ask->secret.len) +
                          callback->fields.len);
    bool fits =
        is_json ? mail_ask_write_json(call->ask, &body) : mail_ask_write_nginx(call->ask, &fields);
    fits = buf_append_slice(&fields, buf_slice(&callback->fields)) && fits;
    const struct http_call_request request = {
        .url = slice_from(url),
        .body = buf_slice(&body),
        .content_type = is_json ? SLICE("application/json") : SLICE_NONE,
        .accept = is_json ? SLICE("application/json") : SLICE_NONE,
        .fields = buf_slice(&fields),
        .tls = callback->tls,
        .timeout_ms = callback->timeout_ms,
        .answer_max = MAIL_CALLBACK_ANSWER_MAX,
    };
    if (fits) {
        worker->asked++;
        call->http = http_client_call(&worker->client, &request, on_answer, call);
    } else {
        (void)snprintf(call->why, sizeof(call->why), "callback '%s': the question is too long",
                       callback->name);
        loop_ready_put(worker->loop, &call->ready, on_ready);
    }
    mem_wipe(body.data, body.capacity);
    mem_wipe(fields.data, fields.capacity);
    buf_fini(&body);
    buf_fini(&fields);
}

enum mail_callback_state mail_callback_ask(struct mail_callback_worker *worker,
                                           const struct mail_callback *callback,
                                           const struct mail_ask *ask, bool may_keep,
                                           struct mail_ask_answer *answer,
                                           struct mail_callback_call **call, mail_callback_fn *fn,
                                           void *arg)
{
    struct mail_answers_key key = {{0}};
    bool keeps = may_keep && (callback->terms.ttl_ms != 0 || callback->terms.negative_ttl_ms != 0 ||
                              callback->terms.stale_ttl_ms != 0);
    *call = NULL;
    if (keeps) {
        mail_answers_key(worker->answers, callback->key, ask, &key);
        if (mail_answers_find(worker->answers, &key, &callback->terms, now_ms(worker), answer) ==
            MAIL_ANSWERS_FRESH) {
            worker->kept++;
            return MAIL_CALLBACK_READY;
        }
    }
    struct mail_callback_call *self = mem_zero(1, sizeof(*self));
    self->worker = worker;
    /* the count alone changes: a frozen plan has it as const */
    self->callback = mail_callback_ref((struct mail_callback *)(uintptr_t)callback);
    self->ask = ask;
    self->may_keep = keeps;
    self->key = key;
    self->fn = fn;
    self->arg = arg;
    self->url = atomic_load_explicit(&callback->first, memory_order_relaxed) % callback->url_count;
    *call = self;
    ask_url(self);
    return MAIL_CALLBACK_PENDING;
}
