/*
 * cmd_server - servers, listeners and the process by hand: `lbctl drain`, `enable`, `maint`,
 * `weight`, `check`.
 *
 * None of these touches the configuration: they are overrides, kept with who, why and until when.
 * Each says how many connections are left, where that matters, and how to go back to what was.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_SERVER_H
#define CTL_CMD_SERVER_H

#include "ctl/ctl.h"

enum ctl_exit cmd_server_drain(struct ctl *ctl);
enum ctl_exit cmd_server_enable(struct ctl *ctl);
enum ctl_exit cmd_server_maint(struct ctl *ctl);
enum ctl_exit cmd_server_weight(struct ctl *ctl);
enum ctl_exit cmd_server_check(struct ctl *ctl);

#endif
