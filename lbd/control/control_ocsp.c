#include "lbd/control/control_ocsp.h"

#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/net/resolve.h"
#include "lbd/upstream/http_call.h"

#define SECOND_US      UINT64_C(1000000)
#define FIRST_RETRY_US (10U * SECOND_US)
#define HOUR_US        (3600U * SECOND_US)
#define PAUSE_MIN_US   (60U * SECOND_US) /* between two good answers, whatever their time */
#define PAUSE_MAX_US   (24U * HOUR_US)   /* what is revoked must not be learnt a week late */
#define TIMEOUT_MS     10000U

struct control_ocsp {
    struct control_ocsp_options options;
    struct random random;
    struct resolve *resolve; /* NULL: names cannot be resolved */
    struct tls_client *tls;  /* held; NULL: nobody was asked by https */
    struct list_node questions;
    uint32_t count;
};

struct question {
    struct list_node link;
    struct control_ocsp *ocsp;
    char *name;            /* of the certificate */
    struct tls_cert *cert; /* held */
    struct http_call *call;
};

uint64_t control_ocsp_pause_us(struct random *random, uint32_t failures, uint64_t wait_us)
{
    uint64_t pause = wait_us;
    if (failures != 0) {
        pause = failures > 9 ? HOUR_US : FIRST_RETRY_US << (failures - 1);
        pause = pause > HOUR_US ? HOUR_US : pause;
    } else {
        pause = pause < PAUSE_MIN_US ? PAUSE_MIN_US : pause;
        pause = pause > PAUSE_MAX_US ? PAUSE_MAX_US : pause;
    }
    return pause - pause / 10 +
           random_below(random, (uint32_t)(pause / SECOND_US / 5) + 1) * SECOND_US;
}

struct control_ocsp *control_ocsp_new(const struct control_ocsp_options *options)
{
    struct control_ocsp *ocsp = mem_zero(1, sizeof(*ocsp));
    ocsp->options = *options;
    random_seed(&ocsp->random);
    list_init(&ocsp->questions);
    return ocsp;
}

static void free_question(struct question *question)
{
    list_remove(&question->link);
    question->ocsp->count--;
    tls_cert_unref(question->cert);
    free(question->name);
    free(question);
}

void control_ocsp_free(struct control_ocsp *ocsp)
{
    struct list_node *node = NULL;
    if (ocsp == NULL) {
        return;
    }
    while ((node = list_first(&ocsp->questions)) != NULL) {
        struct question *question = container_of(node, struct question, link);
        http_call_cancel(question->call);
        free_question(question);
    }
    resolve_free(ocsp->resolve);
    tls_client_unref(ocsp->tls);
    free(ocsp);
}

/* -- answers -- */

static void note_failure(struct control_ocsp *ocsp, struct registry_certificate *live,
                         const char *why)
{
    bool is_news = live->ocsp.failure[0] == '\0';
    live->ocsp.failures++;
    live->ocsp.next_us = now_us() + control_ocsp_pause_us(&ocsp->random, live->ocsp.failures, 0);
    (void)snprintf(live->ocsp.failure, sizeof(live->ocsp.failure), "%s", why);
    if (is_news) {
        log_warn("ocsp.failed", "certificate=%s url=%.*s why=\"%s\"", live->material.name,
                 SLICE_ARG(tls_cert_facts(live->material.object)->ocsp_url), why);
    }
}

/* Half of the time that the answer has left. */
static uint64_t wait_of(const struct tls_ocsp_facts *facts, uint64_t now)
{
    return facts->next_update_us > now ? (facts->next_update_us - now) / 2 : HOUR_US;
}

static void note_answer(struct control_ocsp *ocsp, struct registry_certificate *live,
                        const struct tls_ocsp_facts *facts)
{
    bool is_news = !live->ocsp.has_answer || live->ocsp.status != (uint32_t)facts->status;
    live->ocsp.failures = 0;
    live->ocsp.failure[0] = '\0';
    live->ocsp.has_answer = true;
    live->ocsp.status = (uint32_t)facts->status;
    live->ocsp.this_update_us = facts->this_update_us;
    live->ocsp.next_update_us = facts->next_update_us;
    live->ocsp.next_us =
        now_us() + control_ocsp_pause_us(&ocsp->random, 0, wait_of(facts, now_wall_us()));
    if (facts->status == TLS_OCSP_REVOKED) {
        tls_cert_ocsp_clear(live->material.object);
    }
    if (is_news) {
        ocsp->options.changed(live, ocsp->options.arg);
    }
}

void control_ocsp_remember(struct control_ocsp *ocsp, struct registry_certificate *live)
{
    const char *fingerprint = tls_cert_facts(live->material.object)->sha256;
    struct tls_ocsp_facts facts;
    struct err ignored;
    struct buf answer;
    if (ocsp->options.vault == NULL || tls_cert_facts(live->material.object)->ocsp_url.len == 0) {
        return;
    }
    buf_init(&answer, TLS_CERT_OCSP_MAX);
    if (conf_vault_read_answer(ocsp->options.vault, fingerprint, &answer) &&
        tls_cert_ocsp_set(live->material.object, buf_slice(&answer), now_wall_us(), &facts,
                          &ignored)) {
        note_answer(ocsp, live, &facts);
    }
    buf_fini(&answer);
}

/* NULL: another one, or none, has its name by now. */
static struct registry_certificate *asked_about(const struct question *question)
{
    struct registry_certificate *live =
        registry_find_certificate(question->ocsp->options.registry, slice_from(question->name));
    if (live == NULL || live->ocsp.question != question) {
        return NULL;
    }
    live->ocsp.question = NULL;
    return live->material.object == question->cert ? live : NULL;
}

static void on_answer(const struct http_call_answer *answer, void *arg)
{
    struct question *question = arg;
    struct control_ocsp *ocsp = question->ocsp;
    struct registry_certificate *live = asked_about(question);
    struct tls_ocsp_facts facts;
    struct err err = {0};
    if (live == NULL) {
        free_question(question);
        return;
    }
    if (answer->status == 0) {
        note_failure(ocsp, live, answer->why);
    } else if (answer->status != 200) {
        (void)err_set(&err, ERR_INVALID, "the responder answers with HTTP status %u",
                      answer->status);
        note_failure(ocsp, live, err.text);
    } else if (tls_cert_ocsp_set(question->cert, answer->body, now_wall_us(), &facts, &err)) {
        note_answer(ocsp, live, &facts);
        if (ocsp->options.vault != NULL) {
            conf_vault_put_answer(ocsp->options.vault, tls_cert_facts(question->cert)->sha256,
                                  answer->body);
        }
    } else {
        note_failure(ocsp, live, err.text);
    }
    free_question(question);
}

/* -- questions -- */

/* Made when the first name is to be found: most certificates of a test, and of many sites, name no
 * responder. */
static struct resolve *resolve_of(struct control_ocsp *ocsp)
{
    struct err err = {0};
    if (ocsp->resolve == NULL) {
        ocsp->resolve = resolve_new(ocsp->options.loop, ocsp->options.resolvers,
                                    ocsp->options.resolver_count, &err);
        if (ocsp->resolve == NULL) {
            log_warn("ocsp.no_names", "why=\"%s\"", err.text);
        }
    }
    return ocsp->resolve;
}

/* Likewise, when the first is to be asked by https. */
static struct tls_client *tls_of(struct control_ocsp *ocsp, struct slice url)
{
    struct err err = {0};
    if (ocsp->tls == NULL && slice_starts(url, SLICE("https://"))) {
        struct tls_client_options options = {
            .verify = TLS_VERIFY_FULL, .ca = ocsp->options.system_ca(ocsp->options.arg, &err)};
        ocsp->tls = options.ca != NULL ? tls_client_new(&options, &err) : NULL;
        if (ocsp->tls == NULL) {
            log_warn("ocsp.no_https", "why=\"%s\"", err.text);
        }
    }
    return ocsp->tls;
}

static void ask(struct control_ocsp *ocsp, struct registry_certificate *live)
{
    struct tls_cert *cert = live->material.object;
    struct err err = {0};
    uint8_t *body = NULL;
    size_t len = 0;
    if (!tls_cert_ocsp_request(cert, &body, &len, &err)) {
        note_failure(ocsp, live, err.text);
        return;
    }
    struct question *question = mem_zero(1, sizeof(*question));
    question->ocsp = ocsp;
    question->name = mem_strdup(live->material.name);
    question->cert = tls_cert_ref(cert);
    list_push_back(&ocsp->questions, &question->link);
    ocsp->count++;
    live->ocsp.question = question;
    const struct http_call_request request = {
        .url = tls_cert_facts(cert)->ocsp_url,
        .method = SLICE("POST"),
        .body = slice_of((const char *)body, len),
        .content_type = SLICE("application/ocsp-request"),
        .accept = SLICE("application/ocsp-response"),
        .resolve = resolve_of(ocsp),
        .tls = tls_of(ocsp, tls_cert_facts(cert)->ocsp_url),
        .timeout_ms = TIMEOUT_MS,
        .answer_max = TLS_CERT_OCSP_MAX,
    };
    question->call = http_call_start(ocsp->options.loop, &request, on_answer, question);
    free(body);
}

/* Nobody is to be asked about it any more. */
static void forget(struct registry_certificate *live)
{
    if (live->ocsp.has_answer) {
        tls_cert_ocsp_clear(live->material.object);
        live->ocsp.has_answer = false;
        live->ocsp.next_us = 0;
    }
}

/* An answer whose time is over says nothing any more. */
static void drop_old(struct registry_certificate *live)
{
    uint64_t until = tls_cert_ocsp_until_us(live->material.object);
    uint64_t now = now_wall_us();
    if (until != 0 && until <= now) {
        tls_cert_ocsp_clear(live->material.object);
    }
    if (live->ocsp.has_answer && live->ocsp.next_update_us != 0 &&
        live->ocsp.next_update_us <= now) {
        live->ocsp.has_answer = false;
    }
}

void control_ocsp_turn(struct control_ocsp *ocsp, const struct conf *conf)
{
    uint64_t now = now_us();
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        struct registry_certificate *live =
            registry_find_certificate(ocsp->options.registry, conf->certificates[i].name);
        if (live == NULL || tls_cert_facts(live->material.object)->ocsp_url.len == 0) {
            continue;
        }
        if (conf->certificates[i].ocsp == 0) {
            forget(live);
            continue;
        }
        drop_old(live);
        if (live->ocsp.question == NULL && live->ocsp.next_us <= now &&
            ocsp->count < CONTROL_OCSP_MAX) {
            ask(ocsp, live);
        }
    }
}
