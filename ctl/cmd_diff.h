/*
 * cmd_diff - `lbctl diff`: what is different, and whether anything is.
 *
 *     -f FILE       the file against what runs: what `apply` would change
 *     --rev A       revision A against what runs
 *     --rev A..B    revision A against revision B
 *     --seed        the file that lbd was started with against what runs
 *
 * Ends with 0 when they are the same and 1 when not, as diff(1) does; above 1 it could not tell.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_DIFF_H
#define CTL_CMD_DIFF_H

#include "ctl/ctl.h"

enum ctl_exit cmd_diff(struct ctl *ctl);

/* "42", "41..42" or "41..": the second number is 0 when it is not there. */
bool cmd_diff_read_range(const char *text, uint64_t *from, uint64_t *to);

#endif
