/*
 * cmd_explain - `lbctl explain`: what a setting means; `lbctl explain route`: where a request would
 * go, and why.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_EXPLAIN_H
#define CTL_CMD_EXPLAIN_H

#include "ctl/ctl.h"

enum ctl_exit cmd_explain(struct ctl *ctl);
enum ctl_exit cmd_explain_route(struct ctl *ctl);

#endif
