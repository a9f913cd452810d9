/*
 * cmd_conns - the connections of clients, as they are now: `lbctl conns`, `lbctl conns kill`.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_CONNS_H
#define CTL_CMD_CONNS_H

#include "ctl/ctl.h"

enum ctl_exit cmd_conns(struct ctl *ctl);
enum ctl_exit cmd_conns_kill(struct ctl *ctl);

#endif
