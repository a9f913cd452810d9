/*
 * mail_callback - a service of the site is asked where a user goes, and whether (mail_ask says in
 * what words).
 *
 *     mail_callback_ask -> kept answer, fresh? -----------------------------> READY
 *                     '-> the URL that answered last -> the next one ... -> fn
 *                           no answer of any: a stale one, or BAD
 *
 * A URL that does not answer (refused, timed out, 5xx without an answer in it) is passed over; the
 * one that answers is asked first from then on, by all workers. What answers, but not as it should,
 * is not passed over: its answer is BAD.
 *
 * Limits: MAIL_CALLBACK_ANSWER_MAX bytes of an answer, mail_callbacks.timeout for each URL. Memory:
 * a callback is counted: one snapshot after the other shares it while it is the same. Threads: made
 * on control; asked by workers, each with its own connections (http_client).
 */
#ifndef LBD_PROXY_MAIL_CALLBACK_H
#define LBD_PROXY_MAIL_CALLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/mail/mail_ask.h"
#include "lbd/net/loop.h"
#include "lbd/proxy/mail_answers.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/http_client.h"

#define MAIL_CALLBACK_ANSWER_MAX 65536U

struct mail_callback;

/* Texts are copied. `tls` is referenced: for https; NULL: no URL is one. refs = 1. */
struct mail_callback *mail_callback_new(const struct conf_mail_callback *conf,
                                        struct tls_client *tls);
struct mail_callback *mail_callback_ref(struct mail_callback *callback);
void mail_callback_unref(struct mail_callback *callback); /* NULL is fine */
/* Was it made of the same? */
bool mail_callback_is_of(const struct mail_callback *callback,
                         const struct conf_mail_callback *conf, const struct tls_client *tls);
struct slice mail_callback_name(const struct mail_callback *callback);
enum conf_mail_callback_error mail_callback_on_error(const struct mail_callback *callback);
const struct tls_client *mail_callback_tls(const struct mail_callback *callback);

/* What a worker has for all of them. */
struct mail_callback_worker {
    struct loop *loop;
    struct mail_answers *answers;
    struct http_client client;
    uint64_t asked;  /* questions that were sent */
    uint64_t kept;   /* answered by what was kept */
    uint64_t failed; /* nobody answered, or not as it should */
};

/* `resolvers` are borrowed for its life: "ip:port"; none: the system's. */
void mail_callback_worker_init(struct mail_callback_worker *worker, struct loop *loop,
                               struct mail_answers *answers, const struct slice *resolvers,
                               uint32_t resolver_count);
/* Every call has ended. Also one that is zeroed. */
void mail_callback_worker_fini(struct mail_callback_worker *worker);

enum mail_callback_state { MAIL_CALLBACK_READY, MAIL_CALLBACK_PENDING };
struct mail_callback_call;
/* The answer is wiped after this. `why`: in words, when it is BAD. The call is gone. */
typedef void mail_callback_fn(struct mail_ask_answer *answer, const char *why, void *arg);

/* READY: *answer is there, fn does not come. PENDING: *call until fn or mail_callback_cancel.
 * `ask` and its texts are borrowed until then. `may_keep`: answers may be kept and used again. */
enum mail_callback_state mail_callback_ask(struct mail_callback_worker *worker,
                                           const struct mail_callback *callback,
                                           const struct mail_ask *ask, bool may_keep,
                                           struct mail_ask_answer *answer,
                                           struct mail_callback_call **call, mail_callback_fn *fn,
                                           void *arg);
/* NULL is fine. */
void mail_callback_cancel(struct mail_callback_call *call);

#endif
