/*
 * loop_stand - a loop with buffers and connected pairs of sockets, for tests of what lives on one.
 *
 * The test plays the peers by hand: it writes and reads the other ends, without blocking, and turns
 * the loop in between. Nothing waits for long: a condition that does not come true fails the test.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_LOOP_STAND_H
#define TESTS_UNIT_LOOP_STAND_H

#include <stdbool.h>
#include <stddef.h>

#include <check.h>

#include "lbd/net/flow.h"
#include "lbd/net/loop.h"

struct loop_stand {
    struct loop *loop;
    struct net_worker net;
};

void loop_stand_open(struct loop_stand *stand);
/* Everything on it has ended; the graves are emptied here. */
void loop_stand_close(struct loop_stand *stand);

/* One pass that waits for at most a millisecond. */
void loop_stand_turn(struct loop_stand *stand);
/* Some passes that do not wait: what is there now is done afterwards. */
void loop_stand_settle(struct loop_stand *stand);

/* Turns the loop until the condition holds, a bounded number of times: more than a minute of them,
 * for TCP has timers of its own, and a busy machine makes it use them. */
#define LOOP_STAND_TURNS 40000
#define loop_stand_until(stand, condition)                                                         \
    do {                                                                                           \
        bool holds_ = (condition);                                                                 \
        for (int turn_ = 0; turn_ < LOOP_STAND_TURNS && !holds_; turn_++) {                        \
            loop_stand_turn(stand);                                                                \
            holds_ = (condition);                                                                  \
        }                                                                                          \
        ck_assert_msg(holds_, "never: %s", #condition);                                            \
    } while (0)

/* Connected and non-blocking: TCP over loopback, or a pair of unix sockets. */
void loop_stand_tcp_pair(int *ours, int *theirs);
void loop_stand_unix_pair(int *ours, int *theirs);
/* Small kernel buffers, so that little fills them. */
void loop_stand_small_buffers(int fd);

/* -- the peer's end -- */

/* Writes what the kernel takes; returns how much. */
size_t peer_write(int fd, const void *bytes, size_t len);
/* Writes all of a text; it must fit. */
void peer_say(int fd, const char *text);
/* Appends what there is to `out`, at most `max` bytes; returns how much. */
size_t peer_read(int fd, void *out, size_t max);
/* True when the next read says "end of stream". */
bool peer_sees_end(int fd);
/* True when the next read fails: reset. */
bool peer_sees_reset(int fd);
/* Closes with a reset instead of an end. */
void peer_reset(int fd);

/* A long text without a period: byte i of stream `seed`. */
void pattern_fill(char *out, size_t len, size_t from, unsigned seed);
/* The first place where `bytes` is not the pattern, or SIZE_MAX. */
size_t pattern_differs(const char *bytes, size_t len, size_t from, unsigned seed);

#endif
