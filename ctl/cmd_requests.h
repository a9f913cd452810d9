/*
 * cmd_requests - the last requests that failed or were slow, and the story of one of them.
 *
 *     lbctl requests [--ended REASON] [--status 5xx] [-p POOL/SERVER] [--route NAME] [--slower 1s]
 *     lbctl explain request ID
 *
 * Threads: one.
 */
#ifndef CTL_CMD_REQUESTS_H
#define CTL_CMD_REQUESTS_H

#include "ctl/ctl.h"

/* The words of --ended; ends with NULL. */
extern const char *const cmd_requests_reasons[];

enum ctl_exit cmd_requests(struct ctl *ctl);
enum ctl_exit cmd_requests_explain(struct ctl *ctl);

#endif
