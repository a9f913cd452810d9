/*
 * cmd_top - `lbctl top`: who does how much, every second.
 *
 *     /v1/stats, once a second --> top_model --> top_view --> screen
 *                                      ^                         |
 *                                      +-------- keys -----------+
 *
 * A server can be described, drained and enabled from here; the last two ask first. With --once, or
 * when stdout is no terminal, it counts for a second, prints a table and ends.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_TOP_H
#define CTL_CMD_TOP_H

#include "ctl/ctl.h"

enum { CMD_TOP_INTERVAL_MS = 1000 };

enum ctl_exit cmd_top(struct ctl *ctl);

#endif
