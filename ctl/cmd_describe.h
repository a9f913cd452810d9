/*
 * cmd_describe - `lbctl describe KIND NAME`: all about one thing on one page.
 *
 *     what is configured, how it is, what was changed by hand, what happened last
 *
 * Threads: one.
 */
#ifndef CTL_CMD_DESCRIBE_H
#define CTL_CMD_DESCRIBE_H

#include "ctl/ctl.h"
#include "ctl/kind.h"

enum ctl_exit cmd_describe(struct ctl *ctl);
/* The same for something that was found already. */
enum ctl_exit cmd_describe_target(struct ctl *ctl, const struct kind_target *target);

#endif
