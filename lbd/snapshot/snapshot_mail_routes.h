/*
 * snapshot_mail_routes - where users of mail go: maps and callbacks of the document, and what each
 * mail listener asks of them.
 *
 * Patterns are compiled here, or shared with the newest snapshot where the map is the same.
 *
 * Memory: the snapshot's arena and counted parts. Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_MAIL_ROUTES_H
#define LBD_SNAPSHOT_SNAPSHOT_MAIL_ROUTES_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/snapshot_build.h"

/* Maps and callbacks of the document. Before the plans, after the pools. False: *err, with its
 * place: the CAs of a callback cannot be read. */
LB_MUST_CHECK bool snapshot_mail_routes_build(struct snapshot *snapshot,
                                              const struct snapshot_build *build, struct err *err);
/* plan->mail_routes, of a listener that speaks mail: plan->mail is there. */
void snapshot_mail_routes_add(struct snapshot *snapshot, const struct conf_listener *conf,
                              struct plan *plan);
/* Drops what snapshot_mail_routes_build holds. */
void snapshot_mail_routes_fini(struct snapshot *snapshot);

#endif
