/*
 * cmd_token - `lbctl token create|list|revoke`: who else is let in.
 *
 * The secret of a new token is all that goes to stdout, so that it can go into a file; the rest is
 * said on stderr.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_TOKEN_H
#define CTL_CMD_TOKEN_H

#include "ctl/ctl.h"

enum ctl_exit cmd_token_create(struct ctl *ctl);
enum ctl_exit cmd_token_list(struct ctl *ctl);
enum ctl_exit cmd_token_revoke(struct ctl *ctl);

#endif
