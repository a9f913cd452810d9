/*
 * signals - TERM, INT, HUP and USR1 as events of the control loop.
 *
 * They are blocked for all threads before the first one starts and read from a signalfd, so no code
 * runs in signal context. SIGPIPE is ignored: a write to a closed socket says EPIPE.
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_SIGNALS_H
#define LBD_CONTROL_SIGNALS_H

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/net/loop.h"

struct signals;

/* Before any thread is started. */
void signals_block(void);
/* fn(number) is called on the loop for each that arrives. */
LB_MUST_CHECK struct signals *signals_new(struct loop *loop, void (*fn)(int number, void *arg),
                                          void *arg, struct err *err);
void signals_free(struct signals *signals);

#endif
