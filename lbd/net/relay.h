/*
 * relay - moves bytes between two connections without looking at them.
 *
 *   relay_count    exactly `length` bytes one way by splice(2), through a pipe: a large body
 *   relay_tunnel   both ways until both ends are done, half-close kept: Upgrade, TCP
 *
 * A tunnel copies through the worker's scratch; where both ends are plain sockets, a direction
 * whose bytes come in bulk (32 KB without a pause) takes a pipe for as long as it does not run dry.
 * An idle one owns no buffer and no pipe. The only brake is not reading: at most one scratch or one
 * pipe waits per direction.
 *
 * An end that fails takes nothing with it: what it had sent goes on to the other end first.
 * The last bytes of one that ended and the end itself are one segment, where both are known at
 * once.
 *
 * Takes over both connections' events while it runs and gives them back in `done`.
 *
 * Limits: 64 idle pipes kept per worker; a pipe's size is what the kernel grants (256 KiB asked). A
 * pipe that is not empty at the end is closed, never reused. Memory: embedded or from the caller;
 * pipes are the relay's. Threads: worker.
 */
#ifndef LBD_NET_RELAY_H
#define LBD_NET_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/net/conn.h"
#include "lbd/net/pace.h"

enum relay_end {
    RELAY_DONE,        /* count: all moved; tunnel: both ends closed */
    RELAY_FROM_LOST,   /* the source ended early or failed; tunnel: `a` did */
    RELAY_TO_LOST,     /* the destination failed; tunnel: `b` did */
    RELAY_FROM_ENDED,  /* tunnel, asked for: `a` ended, and `b` was not told */
    RELAY_TO_ENDED,    /* the same of `b` */
    RELAY_FROM_IDLE,   /* nothing came for idle_ms; tunnel: nothing either way */
    RELAY_FROM_SILENT, /* tunnel, asked for: `a` said nothing at first */
    RELAY_TO_IDLE,     /* nothing was taken for idle_ms */
    RELAY_FROM_SLOW,   /* count: the source brings less than its rate ... */
    RELAY_TO_SLOW,     /* ... the destination takes less */
    RELAY_TO_SPOKE, /* count, asked for: the destination sent something or ended; what was read is
                       passed on */
};

/* What a count asks of its two ends. */
struct relay_paces {
    struct pace_rule from_rule;
    struct pace_rule to_rule;
    struct pace from;
    struct pace_output to;
};

enum relay_stage {
    RELAY_WAY_OPEN,
    RELAY_WAY_ENDED, /* `from` sent its last byte */
    RELAY_WAY_SHUT,  /* ... and `to` was told */
    RELAY_WAY_LOST,  /* tunnel: `from` failed; what it sent before is still under way */
    RELAY_WAY_CUT,   /* tunnel: `to` failed; what it sent before is still read */
    RELAY_WAY_HELD,  /* tunnel: what `from` still says concerns nobody */
};

struct relay_way {
    struct conn *from;
    struct conn *to;
    uint64_t moved; /* taken by `to` */
    int pipe[2];    /* -1: none */
    uint32_t in_pipe;
    uint16_t burst; /* tunnel: taken since it ran dry, as far as it can count */
    bool bulk;      /* tunnel: worth a pipe */
    uint8_t stage;  /* enum relay_stage */
};

struct relay;

/* Of a tunnel. */
struct relay_ops {
    void (*done)(struct relay *relay, enum relay_end end);
    /* NULL, or: some bytes went through, so many since the last time. Once more before done() or in
     * relay_stop when some are left. */
    void (*on_moved)(struct relay *relay, uint64_t a_to_b, uint64_t b_to_a);
    /* NULL, or sees what `b` sends before it goes on; with bytes.ptr NULL: so many went by unseen.
     * How many of those that follow it need not see. */
    uint64_t (*look)(struct relay *relay, struct slice bytes);
    /* NULL, or sees what `a` sends before it goes on: how many of these bytes do. The others, few,
     * wait in a->in and are shown again with what comes behind them. */
    size_t (*pass)(struct relay *relay, struct slice bytes);
    /* NULL, or: `a` ended. True: `b` is not told, done(RELAY_FROM_ENDED). */
    bool (*keeps)(struct relay *relay);
    /* NULL, or: `b` ended and `a` had not. True: `a` is not told, done(RELAY_TO_ENDED). */
    bool (*loses)(struct relay *relay);
};

struct relay {
    union {
        struct relay_way ways[2];
        struct {
            struct relay_way only; /* of relay_count: ways[0] */
            void *users[2];        /* of its ends, before */
            void (*done)(struct relay *relay, enum relay_end end);
            struct relay_paces *paces;
            uint64_t left; /* to be read */
        } count;
    };
    const struct relay_ops *ops; /* NULL: a count */
    uint32_t told[2];            /* the low bits of each way's `moved` when the deadline was set */
    uint32_t unseen;             /* of `b`, that nobody must look at */
    uint32_t idle_ms;            /* of a tunnel */
    uint32_t first_ms;           /* for the first byte of ways[0].from; 0: it may be silent */
    /* of the bytes that are looked at */
    uint32_t dropped : 30;
    uint32_t is_paused : 1;            /* ways[0] */
    uint32_t stops_when_spoken_to : 1; /* a count */
};

_Static_assert(sizeof(struct relay) <= 112, "an idle tunnel is small");

/* What lies in from->in is not looked at: it must be empty. `paces` lives as long as the relay and
 * has its two rules; the rest is set. */
void relay_count(struct relay *relay, struct conn *from, struct conn *to, uint64_t length,
                 struct relay_paces *paces, void (*done)(struct relay *relay, enum relay_end end));
/* Before relay_count's first turn: an early answer of the destination ends it (RELAY_TO_SPOKE). */
static inline void relay_stop_when_spoken_to(struct relay *relay)
{
    relay->stops_when_spoken_to = true;
}
/* After relay_tunnel, in the same turn: `a` must say something within this time. */
void relay_expect_first(struct relay *relay, uint32_t first_ms);
/* Bytes in a->in and b->in go first. */
void relay_tunnel(struct relay *relay, struct conn *a, struct conn *b, uint32_t idle_ms,
                  const struct relay_ops *ops);
/* In `pass`: nothing more of `a` goes to `b`; `a` still gets what `b` says. */
void relay_hold(struct relay *relay);
/* In `pass`: nothing is read of `a` for a while; what is kept back waits. Later, not in a hook: on
 * with what was kept. */
void relay_pause(struct relay *relay);
void relay_resume(struct relay *relay);
/* In `look`: these bytes, from the first one shown, do not go on to `a`. */
void relay_drop(struct relay *relay, size_t len);
/* Stops without calling done; the connections' events belong to the caller. */
void relay_stop(struct relay *relay);
/* What conn->user was when relay_count took the connection over. */
void *relay_user_before(const struct conn *conn);
static inline uint64_t relay_moved(const struct relay *relay, int way)
{
    return relay->ways[way].moved;
}

#endif
