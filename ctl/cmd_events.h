/*
 * cmd_events - what happened, and what happens: `lbctl events`, `lbctl watch`.
 *
 *     11:25:01  server.health  web/anna  up -> down: connection refused
 *
 * Threads: one.
 */
#ifndef CTL_CMD_EVENTS_H
#define CTL_CMD_EVENTS_H

#include "conf/json/json.h"
#include "ctl/ctl.h"

enum ctl_exit cmd_events(struct ctl *ctl);
enum ctl_exit cmd_events_watch(struct ctl *ctl);

/* The types of events, for completion; ends with NULL. */
extern const char *const cmd_events_types[];
/* One event on a line. */
void cmd_events_print(struct ctl *ctl, const struct json *event);

#endif
