/*
 * cmd_server - `lbctl drain`, `enable`, `maint`: take a server out of its pool and put it back.
 *
 * Asks how the server is, so that it can say what changed and how to undo it, then puts the
 * administrative state. Doing the same twice is no error.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_SERVER_H
#define CTL_CMD_SERVER_H

#include "ctl/ctl.h"

enum ctl_exit cmd_server_drain(struct ctl *ctl);
enum ctl_exit cmd_server_enable(struct ctl *ctl);
enum ctl_exit cmd_server_maint(struct ctl *ctl);

#endif
