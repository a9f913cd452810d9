/*
 * mail_plan - what a listener of mail is compiled to: the mail part of its plan.
 *
 * Memory: its snapshot's arena; `conf` lies in the snapshot's document. Threads: built on control;
 * read on any worker.
 */
#ifndef LBD_PROXY_MAIL_PLAN_H
#define LBD_PROXY_MAIL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/cidr.h"
#include "lbd/mail/mail_client.h"

struct mail_plan {
    struct mail_offer offer;
    const struct conf_listener_mail *conf;
    struct cidr_set trusted;       /* who may say who is behind it */
    struct cidr_set cache_clients; /* whose logins may use the cache */
    uint32_t idle_ms;              /* silence after the login */
    bool starttls;                 /* TLS by STARTTLS and not at once */
    bool tracks;                   /* IMAP: what passes after the login is followed */
};

#endif
