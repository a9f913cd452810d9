/*
 * cmd_config - a configuration file in the hand: `lbctl config validate | fmt | schema`, `reload`.
 *
 * validate asks lbd, which knows what is right; fmt needs nobody.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_CONFIG_H
#define CTL_CMD_CONFIG_H

#include "ctl/ctl.h"

enum ctl_exit cmd_config_validate(struct ctl *ctl);
enum ctl_exit cmd_config_fmt(struct ctl *ctl);
enum ctl_exit cmd_config_schema(struct ctl *ctl);
enum ctl_exit cmd_config_reload(struct ctl *ctl);

#endif
