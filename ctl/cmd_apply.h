/*
 * cmd_apply - `lbctl apply -f FILE`: the whole document, all of it or nothing.
 *
 * Rehearses first, so that all errors and all changes are shown; asks when more than half of the
 * servers would go, or everything; then sends the same again. With --owner the file holds the
 * resources of one owner, and only those are replaced.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_APPLY_H
#define CTL_CMD_APPLY_H

#include "ctl/ctl.h"

enum ctl_exit cmd_apply(struct ctl *ctl);

/* CTL_OK, or what confirm_ask says: does `after` take away so much of `before` that a person should
 * be asked? With `owner` only what it manages in `before` counts. */
enum ctl_exit cmd_apply_confirm(struct ctl *ctl, const struct json *before,
                                const struct json *after, const char *owner);

#endif
