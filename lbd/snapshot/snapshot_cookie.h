/*
 * snapshot_cookie - a cookie that lbd sets, from the document: what its values are made with, and
 * what stands behind them.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_COOKIE_H
#define LBD_SNAPSHOT_SNAPSHOT_COOKIE_H

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/base/err.h"
#include "lbd/snapshot/registry_tls.h"

/* Of its key_file; a known one when it has none. False: *err, without a place. */
LB_MUST_CHECK bool snapshot_cookie_key(struct registry_tls *tls, const struct conf_cookie *conf,
                                       uint64_t key[2], struct err *err);
/* "; Path=/; ..." (RFC 6265 4.1 and its SameSite), in `arena`. */
struct slice snapshot_cookie_attributes(struct arena *arena, const struct conf_cookie *conf,
                                        bool over_tls);

#endif
