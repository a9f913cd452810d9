/*
 * completion - what may come next on lbctl's command line, for shells.
 *
 * `lbctl completion bash|zsh` prints a small script that never changes; with each tab it asks
 * `lbctl __complete WORDS... CURRENT`, which answers from the table of commands and, for names of
 * servers and pools, from lbd. Silence is the answer to everything that goes wrong.
 *
 * Limits: lbd has COMPLETION_TIMEOUT_MS to answer. Threads: one.
 */
#ifndef CTL_COMPLETION_H
#define CTL_COMPLETION_H

#include "ctl/ctl.h"

enum { COMPLETION_TIMEOUT_MS = 300 };

/* `lbctl completion bash|zsh` */
enum ctl_exit completion_script(struct ctl *ctl);
/* `words` are those after "lbctl __complete", the last one is being typed. One candidate a line. */
enum ctl_exit completion_complete(struct ctl *ctl, int count, char *const words[]);

#endif
