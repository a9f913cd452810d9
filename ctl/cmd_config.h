/*
 * cmd_config - `lbctl apply`: make the configuration what a file says.
 *
 *     read file -> JSON? -> without "daemon" -> GET what runs -> PUT dry (all errors, all changes)
 *         -> keep what ran -> PUT, if it is still what ran -> say what changed and how to undo it
 *
 * Limits: json_limits_document. Threads: one.
 */
#ifndef CTL_CMD_CONFIG_H
#define CTL_CMD_CONFIG_H

#include "ctl/ctl.h"

enum ctl_exit cmd_config_apply(struct ctl *ctl);

#endif
