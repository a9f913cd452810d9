/*
 * cmd_history - the revisions of the configuration: `lbctl history`, `rollback`, `confirm`,
 * `reject`.
 *
 * A rollback is a change like any other: it makes a new revision, says what it changed, asks when
 * much would go, and can be rolled back.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_HISTORY_H
#define CTL_CMD_HISTORY_H

#include "ctl/ctl.h"

enum ctl_exit cmd_history(struct ctl *ctl);
enum ctl_exit cmd_history_rollback(struct ctl *ctl);
enum ctl_exit cmd_history_confirm(struct ctl *ctl);
enum ctl_exit cmd_history_reject(struct ctl *ctl);

#endif
