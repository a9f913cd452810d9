/*
 * sd_notify - tells the service manager how we are (sd_notify(3)), without its library.
 *
 * Does nothing when $NOTIFY_SOCKET is not set. Abstract names ("@...") work.
 * Threads: control.
 */
#ifndef LBD_BASE_SD_NOTIFY_H
#define LBD_BASE_SD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

/* Does a manager listen? */
bool sd_notify_is_wanted(void);
/* Sends one datagram, e.g. "READY=1\nSTATUS=rev 42". Returns false when it was not sent; never
 * waits. */
bool sd_notify_send(const char *fmt, ...) LB_PRINTF(1, 2);
/* Half of $WATCHDOG_USEC in ms when it is meant for this process, else 0. */
uint64_t sd_notify_watchdog_ms(void);

#endif
