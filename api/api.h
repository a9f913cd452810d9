/*
 * api - HTTP for people and machines that operate lbd: libmicrohttpd on the control loop, no
 * threads.
 *
 *     socket -> libmicrohttpd -> api_call --> api_head: what is wrong with the form or the role
 *                                        '--> api_table: row -> handler -> control
 *
 * One door per listening socket. An `observe` door has /metrics, /healthz and /readyz and nothing
 * else. A request whose answer must wait (a change that workers adopt) is suspended until then.
 *
 * Limits: 256 connections per door, 30 s without a byte, 32 KiB of head, bodies as in api_table.
 * Memory: api_new to api_free. Threads: control.
 */
#ifndef API_API_H
#define API_API_H

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/control/control.h"
#include "lbd/net/inherit.h"
#include "lbd/net/loop.h"

struct api;

struct api_options {
    struct loop *loop;                /* borrowed */
    struct control *control;          /* borrowed */
    const struct conf_daemon *daemon; /* borrowed */
    struct inherit *inherit;          /* borrowed; NULL: no sockets were passed */
};

/* Opens the sockets that the file names, or the usual one. Those that the service manager passed as
 * "api" or "observe" are taken over; one that the file does not name is ERR_INVALID. */
LB_MUST_CHECK struct api *api_new(const struct api_options *options, struct err *err);
/* Are the files that daemon.api names fit to be used? For `lbd -t`. */
LB_MUST_CHECK bool api_check(const struct conf_daemon *daemon, struct err *err);
/* SIGHUP: tokens, groups and certificates again. */
void api_reload(struct api *api);
/* SIGUSR1: the audit file again. */
void api_reopen_logs(struct api *api);
/* The loop has ended: takes nobody new from sockets of the service manager, which the next lbd will
 * have, and answers whom it took, within a moment. Before api_end_streams. NULL is fine. */
void api_leave(struct api *api);
/* Ends the answers that are still being made (they may look at control); before control_stop. NULL
 * is fine. */
void api_end_streams(struct api *api);
/* No request may wait for control any more (control_stop has ended them). NULL is fine. */
void api_free(struct api *api);

#endif
