/*
 * cmd_get - `lbctl get KIND [NAME]`: what is configured, beside how it is.
 *
 * Each kind is a row of columns. Tables show values in effect (defaults included) next to the
 * status; -o json and jsonl show the resource as the API has it, with only what was set. With
 * --watch it stays, and after every event shows again what is not as it was.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_GET_H
#define CTL_CMD_GET_H

#include "ctl/ctl.h"

enum ctl_exit cmd_get(struct ctl *ctl);

#endif
