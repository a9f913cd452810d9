/*
 * control_ocsp - what the authorities of our certificates say of them, fetched before clients ask.
 *
 *     every second: who is due? --upstream/http_call--> OCSP responder
 *         --> tls_cert_ocsp_set: shown to clients by the next handshake (stapling)
 *
 * An answer is fetched anew when half of its time is over, so that there are days left to try again
 * in: after 10 s, 20 s, ... at most an hour apart, a tenth more or less. What was good goes on
 * being shown until its time is over, also by the process after us.
 *
 * Limits: CONTROL_OCSP_MAX questions at once, 10 s for each. Memory: what is known hangs on the
 * registry's certificates; questions are ours. Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_OCSP_H
#define LBD_CONTROL_CONTROL_OCSP_H

#include <stdint.h>

#include "conf/conf.h"
#include "conf/conf_vault.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/random.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry_tls.h"

#define CONTROL_OCSP_MAX 8U

struct control_ocsp;

struct control_ocsp_options {
    struct loop *loop; /* borrowed, as the registry */
    struct registry_tls *registry;
    struct conf_vault *vault;      /* borrowed: where answers outlive us; NULL: nowhere */
    const struct slice *resolvers; /* "ip:port"; borrowed, lives on */
    uint32_t resolver_count;       /* 0: the system's */
    /* Whom the system trusts, for responders that are asked by https; NULL: *err. */
    struct tls_ca *(*system_ca)(void *arg, struct err *err);
    /* An authority says something else of it than before; *certificate knows what. */
    void (*changed)(struct registry_certificate *certificate, void *arg);
    void *arg;
};

LB_MUST_CHECK struct control_ocsp *control_ocsp_new(const struct control_ocsp_options *options);
/* What was asked is not answered any more. NULL is fine. */
void control_ocsp_free(struct control_ocsp *ocsp);
/* Asks about those of `conf` that are due; once a second. */
void control_ocsp_turn(struct control_ocsp *ocsp, const struct conf *conf);

/* Another certificate came into use: shows what was said of it before we started. */
void control_ocsp_remember(struct control_ocsp *ocsp, struct registry_certificate *certificate);

/* When to ask again, from now; `failures` in a row, `wait_us` until half of an answer's time is
 * over. For tests. */
uint64_t control_ocsp_pause_us(struct random *random, uint32_t failures, uint64_t wait_us);

#endif
