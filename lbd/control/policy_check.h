/*
 * policy_check - what the files that policies name are worth: can they be read, and is in them what
 * should be? And the users that stand in the document.
 *
 *     lbd -t, control (prepare) --policy_check--> errors with their pointers
 *
 * A policy that runs as it is passes: when its file is no good any more, what was in it before goes
 * on, and no other change is held up by that.
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_POLICY_CHECK_H
#define LBD_CONTROL_POLICY_CHECK_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/conf_errors.h"
#include "lbd/base/compiler.h"
#include "lbd/snapshot/snapshot.h"

/* `newest`: what runs; NULL: nothing does. False: *errors says what cannot be used. */
LB_MUST_CHECK bool policy_check(const struct snapshot *newest, const struct conf *conf,
                                struct conf_errors *errors);

#endif
