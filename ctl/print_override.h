/*
 * print_override - what was set by hand over the configuration, one line each.
 *
 *       demo/bert state drain, since 11:25:01 by unix uid=0 pid=7: new kernel
 *
 * Threads: one.
 */
#ifndef CTL_PRINT_OVERRIDE_H
#define CTL_PRINT_OVERRIDE_H

#include "conf/json/json.h"
#include "ctl/ctl.h"

/* One entry of GET /v1/overrides, without the end of the line. */
void print_override(struct ctl *ctl, const struct json *override);
/* The command that takes it back: "lbctl enable demo/bert". */
void print_override_remedy(struct ctl *ctl, const struct json *override);

#endif
