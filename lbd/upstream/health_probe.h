/*
 * health_probe - one question to one server: fresh connection, at most one exchange, a verdict in
 * words.
 *
 *     health_probe_start -> connect -> kind->connected -> [send] -> kind->received ... -> done()
 *              '----------------- timeout, refused, lost ----------------------------------^
 *
 * What is said after connecting is the kind's (health_tcp, health_http); connecting, sending,
 * receiving, the time limit and the end are here. lbd's own shortages (descriptors, ports, memory)
 * are no verdict.
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
#include "lbd/http/h1_head.h"
#include "lbd/net/loop.h"

#define HEALTH_PROBE_ANSWER_MAX 65536U
#define HEALTH_PROBE_TEXT_MAX   160

struct health_probe;

enum health_probe_step { HEALTH_PROBE_WAIT, HEALTH_PROBE_PASS, HEALTH_PROBE_FAIL };

/* What a kind of check does once the connection stands. Both may health_probe_say() and append to
 * probe->out. */
struct health_probe_kind {
    enum health_probe_step (*connected)(struct health_probe *probe);
    /* More lies in probe->in, or the server has shut its side (`ended`). */
    enum health_probe_step (*received)(struct health_probe *probe, bool ended);
};

/* A check's definition, copied so that it outlives its document. */
struct health_probe_plan {
    struct arena arena;
    uint32_t refs;
    const struct health_probe_kind *kind;
    struct conf_health_check check; /* all bytes in the arena; meta is empty */
    struct slice key;               /* equal keys: equal checks */
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
};

/* The probe is gone when this is called. */
typedef void health_probe_fn(const struct health_probe_result *result, void *arg);

struct health_probe {
    struct loop *loop;
    struct health_probe_plan *plan; /* referenced */
    char *authority;                /* owned: the server's address as text */
    int fd;
    bool is_connected;
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_ready ready; /* ends that are known at once are told later */
    uint64_t started_us;
    struct buf out; /* not sent yet */
    struct buf in;
    uint32_t parsed;     /* the kind's: bytes of `in` that are done */
    struct h1_head head; /* the kind's: how far the head after them is parsed */
    enum health_probe_verdict verdict;
    char text[HEALTH_PROBE_TEXT_MAX];
    health_probe_fn *fn;
    void *arg;
};

/* `authority`: "host:port" as configured, for the Host header. fn comes later from the loop, once.
 */
struct health_probe *health_probe_start(struct loop *loop, struct health_probe_plan *plan,
                                        const struct addr *address, struct slice authority,
                                        health_probe_fn *fn, void *arg);
/* fn will not come. NULL is fine. */
void health_probe_cancel(struct health_probe *probe);
/* For kinds: the words of the verdict. */
void health_probe_say(struct health_probe *probe, const char *fmt, ...) LB_PRINTF(2, 3);
/* For kinds: "0.3 ms", from the start until now. */
void health_probe_elapsed(const struct health_probe *probe, char out[32]);

#endif
