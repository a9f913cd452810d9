/*
 * service - what the service manager (systemd, sd_notify(3)) is told: ready, reloading, stopping,
 * alive, and one line that says how it goes.
 *
 *     rev 42, 3 listeners, 40/40 servers up        while it runs
 *     draining, 17 connections left                while it stops, with 15 s more each second
 *
 * The line is looked at once a second and sent when it is a different one; servers are counted only
 * when something was published since. What the manager does not take is told again a second later.
 * We are called alive while every worker turns.
 *
 * Does nothing when no manager listens. Memory: borrows loop and control. Threads: control.
 */
#ifndef LBD_CONTROL_SERVICE_H
#define LBD_CONTROL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/control/control.h"
#include "lbd/net/loop.h"

/* A stop that makes no step for so long is ended by the manager. */
#define SERVICE_EXTEND_MS 15000
#define SERVICE_TICK_MS   1000
#define SERVICE_LINE_MAX  200

struct service {
    struct loop *loop;       /* borrowed; NULL: nobody listens */
    struct control *control; /* borrowed */
    struct loop_timer tick;
    struct loop_timer watchdog;
    uint64_t watchdog_ms;
    uint64_t counted_generation; /* of the counts in the line; 0: it must be made anew */
    uint64_t told_unconfirmed;   /* what the line says of it */
    const char *owed;            /* static: a word that the manager must have; NULL: none */
    bool is_ready;
    bool is_stopping;
    char line[SERVICE_LINE_MAX]; /* sent last */
};

/* `control` has started. */
void service_start(struct service *service, struct loop *loop, struct control *control);
/* The first document runs, or a reload has ended. */
void service_ready(struct service *service);
void service_reloading(struct service *service);
/* From now on the manager is asked for time as long as connections end. */
void service_stopping(struct service *service);
void service_stop(struct service *service); /* once more is fine, and before _start too */

/* The line of this moment. */
void service_write_line(const struct control *control, bool is_stopping,
                        char out[SERVICE_LINE_MAX]);

#endif
