/*
 * relay - moves bytes between two connections without looking at them.
 *
 *   relay_count    exactly `length` bytes one way by splice(2), through a pipe: a large body
 *   relay_tunnel   both ways until both ends are done, half-close kept: Upgrade
 *
 * A tunnel copies through the worker's scratch, so an idle one owns no buffer and no pipe; a
 * direction that has moved 256 KB goes over to splice. The only brake is not reading: at most one
 * scratch or one pipe waits per direction.
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

enum relay_end {
    RELAY_DONE,      /* count: all moved; tunnel: both ends closed */
    RELAY_FROM_LOST, /* the source ended early or failed; tunnel: `a` did */
    RELAY_TO_LOST,   /* the destination failed; tunnel: `b` did */
    RELAY_FROM_IDLE, /* nothing came for idle_ms; tunnel: nothing either way */
    RELAY_TO_IDLE,   /* nothing was taken for idle_ms */
    RELAY_TO_SPOKE,  /* count, asked for: the destination sent something or ended; what was read is
                        passed on */
};

struct relay_way {
    struct conn *from;
    struct conn *to;
    uint64_t left;  /* to be read; UINT64_MAX: until the end */
    uint64_t moved; /* taken by `to` */
    size_t in_pipe;
    int pipe[2]; /* -1: none */
    bool ended;  /* `from` sent its last byte */
    bool shut;   /* ... and `to` was told */
};

struct relay {
    struct relay_way ways[2]; /* one for relay_count */
    int way_count;
    uint32_t from_idle_ms;
    uint32_t to_idle_ms;
    uint64_t moved_at_deadline;
    void *users[2]; /* of ways[0].from and .to, before */
    bool stops_when_spoken_to;
    void (*done)(struct relay *relay, enum relay_end end);
};

/* What lies in from->in is not looked at: it must be empty. */
void relay_count(struct relay *relay, struct conn *from, struct conn *to, uint64_t length,
                 uint32_t from_idle_ms, uint32_t to_idle_ms,
                 void (*done)(struct relay *relay, enum relay_end end));
/* Before relay_count's first turn: an early answer of the destination ends it (RELAY_TO_SPOKE). */
static inline void relay_stop_when_spoken_to(struct relay *relay)
{
    relay->stops_when_spoken_to = true;
}
/* Bytes in a->in and b->in go first. */
void relay_tunnel(struct relay *relay, struct conn *a, struct conn *b, uint32_t idle_ms,
                  void (*done)(struct relay *relay, enum relay_end end));
/* Stops without calling done; the connections' events belong to the caller. */
void relay_stop(struct relay *relay);
/* What conn->user was when this relay took the connection over. */
void *relay_user_before(const struct conn *conn);
static inline uint64_t relay_moved(const struct relay *relay, int way)
{
    return relay->ways[way].moved;
}

#endif
