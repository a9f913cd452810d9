/*
 * confirm - asks before traffic drops, and only then.
 *
 *     --yes              go on
 *     a terminal         "... Go on? [y/N]" on stderr, the answer from stdin
 *     neither            a mistake of the command line: --yes is needed
 *
 * Threads: one.
 */
#ifndef CTL_CONFIRM_H
#define CTL_CONFIRM_H

#include "ctl/ctl.h"

/* CTL_OK: go on. CTL_NO: the person said no, and was told that nothing was changed. CTL_USAGE:
 * nobody could be asked. The text is a sentence without its full stop. */
enum ctl_exit confirm_ask(struct ctl *ctl, const char *fmt, ...) LB_PRINTF(2, 3);

#endif
