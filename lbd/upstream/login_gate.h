/*
 * login_gate - how many logins may be under way at one server at once, over all workers; the rest
 * waits its turn.
 *
 * When a server of mail dies or restarts, all its users come back in the same second, and each
 * login costs it far more than a session that is open. Without a gate the storm keeps it down.
 *
 *     enter --> IN ------------------------------> leave
 *        '----> WAITS --fn: in--> ... -----------> leave
 *                  '--cancel (the caller's deadline, or its client went)
 *
 * The count is the server's, an atomic. Each worker has a queue per server, first come first
 * served; whoever leaves lets the next of its own queue in, and every 10 ms queues that are not
 * empty are looked at, for places that another worker gave back.
 *
 * Memory: waiters are embedded in the callers' objects. Threads: worker.
 */
#ifndef LBD_UPSTREAM_LOGIN_GATE_H
#define LBD_UPSTREAM_LOGIN_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/list.h"
#include "lbd/upstream/upstream_worker.h"

struct login_gate_waiter {
    struct list_node link; /* zeroed: waits for nothing */
    uint32_t limit;
    /* It is in now. */
    void (*fn)(struct login_gate_waiter *waiter);
};

/* True: it is in, and leaves later. False: waiter->fn comes. `limit` 0: none. */
LB_MUST_CHECK bool login_gate_enter(struct upstream_worker *upstream, struct server *server,
                                    uint32_t limit, struct login_gate_waiter *waiter);
void login_gate_leave(struct upstream_worker *upstream, struct server *server);
/* Waits no more. Nothing happens when it did not. */
void login_gate_cancel(struct login_gate_waiter *waiter);

#endif
