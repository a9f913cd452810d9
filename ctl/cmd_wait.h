/*
 * cmd_wait - `lbctl wait`: ask until something is true.
 *
 *     every 50 ms, then less often, up to 500 ms:  GET /v1/pools/POOL/status  -->  true? late?
 *
 * Ends with CTL_OK when it is true, CTL_TIMED_OUT when it did not become so in time, and, with
 * --timeout 0, CTL_NO when it is not true now.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_WAIT_H
#define CTL_CMD_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/admin_target.h"
#include "ctl/ctl.h"
#include "ctl/server_name.h"
#include "lbd/base/buf.h"

enum cmd_wait_for { CMD_WAIT_READY, CMD_WAIT_DRAINED, CMD_WAIT_SERVERS };

struct cmd_wait_goal {
    enum cmd_wait_for what;
    uint64_t count; /* CMD_WAIT_SERVERS: this many at least */
};

/* `lbctl wait POOL[/SERVER] --for ...` */
enum ctl_exit cmd_wait(struct ctl *ctl);
/* Waits until the drain of `target` has ended, within --timeout, or its deadline and a little more;
 * says on stderr how it goes. CTL_NO when connections were kept at the deadline. */
enum ctl_exit cmd_wait_for_drain(struct ctl *ctl, const struct admin_target *target);
/* Likewise until the users of `target` are moved off, whose path is that of its mail-drain. CTL_NO:
 * some cannot be, or the drain was cancelled. */
enum ctl_exit cmd_wait_for_flush(struct ctl *ctl, const struct admin_target *target);
/* "ready", "drained" or "servers=N". */
bool cmd_wait_read_goal(const char *text, struct cmd_wait_goal *goal);
/* Is it true in this status document of the pool? Says in `text` how things are. `server` is NULL
 * for the whole pool. */
bool cmd_wait_is_true(const struct json *status, const char *server,
                      const struct cmd_wait_goal *goal, struct buf *text);

#endif
