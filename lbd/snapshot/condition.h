/*
 * condition - since when something is true, or not.
 *
 * Each live object remembers its own; lbd/control/control_conditions says what is true, notes it
 * here when it changes, and gives it words. Times do not move when the same is found again.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_CONDITION_H
#define LBD_SNAPSHOT_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

struct condition {
    uint64_t since_wall_us; /* 0: nothing was noted yet */
    bool status;
};

/* What listeners, routes, pools and servers have. Zeroed is right for a new object. */
struct conditions {
    struct condition accepted;   /* it stands in a valid document */
    struct condition programmed; /* every worker knows it */
    struct condition resolved;   /* what it refers to is there */
    struct condition ready;      /* it does its work */
    struct condition alike;      /* of a pool: its mail servers can the same */
};

/* Returns true when that is a change. */
static inline bool condition_note(struct condition *condition, bool status, uint64_t now_wall_us)
{
    if (condition->since_wall_us != 0 && condition->status == status) {
        return false;
    }
    condition->since_wall_us = now_wall_us;
    condition->status = status;
    return true;
}

#endif
