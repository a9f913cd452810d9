/*
 * snapshot_mail - what of mail a snapshot holds: a listener's mail_plan, a pool's terms for its
 * servers with the master user's password from its file, and what all of these servers can.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_MAIL_H
#define LBD_SNAPSHOT_SNAPSHOT_MAIL_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/mail/mail_keywords.h"
#include "lbd/proxy/mail_plan.h"
#include "lbd/snapshot/registry_tls.h"
#include "lbd/upstream/pool.h"

/* `conf` is of a protocol of mail and lives as long as the arena. */
struct mail_plan *snapshot_mail_plan(struct arena *arena, const struct conf_listener *conf);
/* The master user's password; empty: there is none. Until the next commit or sweep. False: *err. */
LB_MUST_CHECK bool snapshot_mail_password(struct registry_tls *tls, const struct conf_pool *conf,
                                          struct slice *password, struct err *err);
/* Into pool->mail. */
void snapshot_mail_terms(struct pool *pool, const struct conf_pool *conf, struct slice password);
/* What its members have in common: into pool->keywords, before anybody sees it. */
void snapshot_mail_keywords(struct pool *pool, const struct conf *document,
                            const struct conf_pool *conf);
/* In what form checks of `type` learn what a server can; false: they do not ask. */
bool snapshot_mail_form(enum conf_check_type type, enum mail_keywords_form *form);

#endif
