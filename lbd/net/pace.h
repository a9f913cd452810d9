/*
 * pace - does a peer keep up a least rate while it is the one we wait for? Pure; time is passed in.
 *
 *     pace          bytes that we want: of a request's body, or windows that let bytes go
 *     pace_output   bytes that wait for the peer: silent (PACE_IDLE) or a trickle (PACE_SLOW)?
 *
 * Waiting puts a peer behind, bytes bring it forward: each as far as the rate says. One that is
 * behind by more than the grace is too slow. It is judged when bytes move; who says nothing at all
 * is a matter of the idle limit. So that a pause within that limit is forgiven to those who were
 * quick before, a peer may be ahead by as much as the idle limit, and not more.
 *
 *     behind:   -idle .......... 0 .......... grace | too slow
 *                 <-- bytes / rate    waiting -->
 *
 * Time in which the peer waits for us does not count: nobody calls pace_wait then.
 *
 * Threads: any; plain data.
 */
#ifndef LBD_NET_PACE_H
#define LBD_NET_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

struct pace_rule {
    uint32_t bytes_per_s; /* 0: no least rate */
    uint32_t grace_ms;
    uint32_t idle_ms; /* silence ends it */
};

/* Zeroed is a fresh one, not waiting. */
struct pace {
    int64_t behind_us;
    uint64_t since_us; /* the waiting is counted up to here; 0: not waiting */
};

/* From now on we wait for the peer, if we did not before. */
static inline void pace_wait(struct pace *pace, uint64_t now_us)
{
    if (pace->since_us == 0) {
        pace->since_us = now_us;
    }
}

/* We do not wait (any more). */
static inline void pace_rest(struct pace *pace)
{
    pace->since_us = 0;
}

/* Bytes moved. False: the peer is too slow. When it waited, waiting goes on from now. */
LB_MUST_CHECK bool pace_note(struct pace *pace, const struct pace_rule *rule, uint64_t now_us,
                             uint64_t bytes);

/* Zeroed is a fresh one, with nothing that waits. */
struct pace_output {
    struct pace pace;
    uint64_t moved_us; /* when the peer last took something, or the waiting began */
    uint64_t taken;    /* of all that was ever sent, when it was looked at last */
    size_t waiting;    /* that was here then */
    bool is_known;     /* `taken` is of this waiting */
};

enum pace_verdict { PACE_GO_ON, PACE_IDLE, PACE_SLOW };

/* So long a waiting is not worth a look. */
#define PACE_SHORT_US 100000U

static inline bool pace_output_waits(const struct pace_output *output)
{
    return output->pace.since_us != 0;
}

/* `waiting` bytes are not taken; after pace_output_waits said no. */
void pace_output_wait(struct pace_output *output, uint64_t now_us, size_t waiting);
/* The deadline passed, or there was room: `waiting` bytes are left here, and the peer has taken
 * `taken` of all (conn_taken). */
LB_MUST_CHECK enum pace_verdict pace_output_look(struct pace_output *output,
                                                 const struct pace_rule *rule, uint64_t now_us,
                                                 size_t waiting, uint64_t taken);
/* There was room. False: the waiting was short, nobody needs to look. */
static inline bool pace_output_is_long(const struct pace_output *output, uint64_t now_us)
{
    return pace_output_waits(output) && now_us - output->pace.since_us >= PACE_SHORT_US;
}
static inline void pace_output_rest(struct pace_output *output)
{
    pace_rest(&output->pace);
}
/* When to look next. */
uint32_t pace_output_delay_ms(const struct pace_output *output, const struct pace_rule *rule,
                              uint64_t now_us);

#endif
