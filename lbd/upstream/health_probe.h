/*
 * health_probe - one question to one server: fresh connection, at most one exchange, a verdict in
 * words.
 *
 *     health_probe_start -> connect -> kind->connected -> [send] -> kind->received ... -> done()
 *              '----------------- timeout, refused, lost ----------------------------------^
 *
 * What is said after connecting is the kind's (health_tcp, health_http, ...); connecting, TLS as
 * the pool has it, sending and receiving are talk's; the time limit and the end are here. lbd's own
 * shortages (descriptors, ports, memory) are no verdict.
 *
 * Limits: check.timeout in all, 64 KiB of answer. Memory: a plan is counted and shared by all
 * probes of a check; a probe lives until done() or its cancelling. Threads: the loop's owner
 * (control).
 */
#ifndef LBD_UPSTREAM_HEALTH_PROBE_H
#define LBD_UPSTREAM_HEALTH_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/http/h1_body.h"
#include "lbd/http/h1_head.h"
#include "lbd/net/loop.h"
#include "lbd/upstream/h2_ask.h"
#include "lbd/upstream/pool.h"
#include "lbd/upstream/talk.h"

#define HEALTH_PROBE_ANSWER_MAX 65536U
#define HEALTH_PROBE_TEXT_MAX   160
#define HEALTH_PROBE_SAID_MAX   256U

struct health_probe;

enum health_probe_step { HEALTH_PROBE_WAIT, HEALTH_PROBE_PASS, HEALTH_PROBE_FAIL };

/* What a kind of check does once the connection stands. Both may health_probe_say() and append to
 * probe->talk.out. */
struct health_probe_kind {
    enum health_probe_step (*connected)(struct health_probe *probe);
    /* More lies in probe->talk.in, or the server has shut its side (`ended`). */
    enum health_probe_step (*received)(struct health_probe *probe, bool ended);
    /* The probe ends: gives back what it has. NULL: nothing to give. */
    void (*ended)(struct health_probe *probe);
};

/* A check's definition, copied so that it outlives its document. */
struct health_probe_plan {
    struct arena arena;
    uint32_t refs;
    const struct health_probe_kind *kind;
    /* all bytes in the arena; meta is empty; `send` and `receive` without escapes */
    struct conf_health_check check;
    struct slice key; /* equal keys: equal checks */
};

struct health_probe_plan *health_probe_plan_new(const struct conf_health_check *check);
struct health_probe_plan *health_probe_plan_ref(struct health_probe_plan *plan);
void health_probe_plan_unref(struct health_probe_plan *plan); /* NULL is fine */
/* Would a plan of `check` be the same? */
bool health_probe_plan_is(const struct health_probe_plan *plan,
                          const struct conf_health_check *check);

enum health_probe_verdict { HEALTH_PROBE_PASSED, HEALTH_PROBE_FAILED, HEALTH_PROBE_NOT_RUN };

struct health_probe_result {
    enum health_probe_verdict verdict;
    uint64_t duration_us;
    /* "connected in 0.3 ms", "HTTP 503, expected 2xx", "connection refused", "timed out after 1s"
     */
    const char *text;
    bool is_degraded;          /* passed, but not all is well: `text` says what */
    struct slice said;         /* tcp that passed: what came, in part; as long as the call */
    bool was_reached;          /* the connection stood, */
    bool was_understood;       /* and the server spoke what was expected, whatever it said */
    struct slice capabilities; /* of a mail server that passed; empty: not known */
};

/* The probe is gone when this is called. */
typedef void health_probe_fn(const struct health_probe_result *result, void *arg);

struct health_probe {
    struct talk talk;               /* its `out` and `in` are the kind's */
    struct health_probe_plan *plan; /* referenced */
    char *authority;                /* owned: the server's address as text */
    struct tls_client *tls;         /* referenced; NULL: clear */
    char *tls_name;                 /* owned: for a handshake that comes later; or NULL */
    struct h2_ask *ask;             /* owned; NULL: nothing was asked over HTTP/2 */
    struct health_mail *mail;       /* owned by health_mail; NULL: no check of mail */
    enum pool_http http;
    bool is_http2; /* what HTTP is spoken in, from connected on */
    bool is_fit;   /* it has passed, and only the farewell is left: how that goes is no matter */
    bool is_silent_fit; /* what still comes may speak against it; silence does not */
    bool handshake_only;
    bool is_degraded;
    bool is_understood; /* the kind's: it speaks what is asked */
    bool starttls;      /* TLS is the kind's to begin: health_probe_secure */
    struct loop_timer timer;
    uint64_t started_us;
    uint32_t parsed;     /* the kind's: bytes of `in` that are done */
    struct h1_head head; /* the kind's: how far the head after them is parsed */
    bool has_head;       /* health_http: it was good, and the body is being read: */
    uint16_t status;
    const struct conf_header *lacks; /* of expect.headers; NULL: nothing */
    struct h1_body framing;
    struct buf body; /* what was read of it */
    char text[HEALTH_PROBE_TEXT_MAX];
    health_probe_fn *fn;
    void *arg;
};

/* Whom to ask, and how its pool reaches it. Borrowed for the call. */
struct health_probe_server {
    const struct addr *address;
    struct slice authority; /* "host:port" as configured, for the Host header */
    struct tls_client *tls; /* NULL: clear */
    const char *tls_name;
    enum proxy_header_version proxy;
    enum pool_http http;
    bool starttls;       /* of mail: TLS begins after some words */
    bool handshake_only; /* of tls: what the server thinks of us is no matter */
    struct dial_sources sources;
    uint32_t turn; /* of them */
};

/* fn comes later from the loop, once. */
struct health_probe *health_probe_start(struct loop *loop, struct health_probe_plan *plan,
                                        const struct health_probe_server *server,
                                        health_probe_fn *fn, void *arg);
/* fn will not come. NULL is fine. */
void health_probe_cancel(struct health_probe *probe);
/* For kinds: can a request line carry it? */
bool health_probe_is_plain(struct slice text);
/* For kinds: the host that is asked, for Host and :authority. */
struct slice health_probe_host(const struct health_probe *probe);
/* For kinds: the conversation over HTTP/2, made at first. */
struct h2_ask *health_probe_ask(struct health_probe *probe);
/* For kinds: it has passed unless something that speaks against it comes within so many ms. */
void health_probe_grace(struct health_probe *probe, uint32_t ms);
/* For kinds: TLS begins now, as talk_secure has it; connected comes again. */
LB_MUST_CHECK bool health_probe_secure(struct health_probe *probe);
/* For kinds: the words of the verdict. */
void health_probe_say(struct health_probe *probe, const char *fmt, ...) LB_PRINTF(2, 3);
/* For kinds: does `said` have `wanted` in it? */
bool health_probe_heard(struct slice said, struct slice wanted);
/* For kinds: the beginning of what came, for people; what cannot be printed is a dot. */
#define HEALTH_PROBE_SHOWN_MAX 48
void health_probe_print(struct slice said, char out[HEALTH_PROBE_SHOWN_MAX]);
/* Where a check of the server at `server` asks. */
void health_probe_address(const struct health_probe_plan *plan, const struct addr *server,
                          struct addr *out);
/* For kinds: "0.3 ms", from the start until now. */
void health_probe_elapsed(const struct health_probe *probe, char out[32]);
uint64_t health_probe_elapsed_us(const struct health_probe *probe);

#endif
