/*
 * websocket_frames - where frames of WebSocket begin and end (RFC 6455 5.2), and nothing more.
 *
 * Follows what a server sends through a tunnel, so that lbd knows when it may add a frame of its
 * own: when it drains, a client is told "going away" (1001) between two frames instead of in the
 * middle of one. Only heads are looked at; payloads are skipped by their length.
 *
 *     bytes --websocket_frames_follow--> between two frames?   payload that may go by unseen?
 *
 * A byte that no frame begins with, or a masked frame (servers send none), ends the following for
 * good: this is something else, and nothing is added to it.
 *
 * Sans-I/O, split anywhere. Memory: 16 bytes. Threads: any.
 */
#ifndef LBD_HTTP_WEBSOCKET_FRAMES_H
#define LBD_HTTP_WEBSOCKET_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

struct websocket_frames {
    uint64_t left;     /* of the payload, or of its length while that is read */
    uint8_t stage;     /* private */
    uint8_t remaining; /* bytes of the length still to come */
    bool is_close;     /* the frame is the server's own close */
};

void websocket_frames_init(struct websocket_frames *frames);
/* The next bytes from the server. */
void websocket_frames_follow(struct websocket_frames *frames, struct slice bytes);
/* How many bytes from here on belong to one payload; UINT64_MAX when it is not WebSocket. */
uint64_t websocket_frames_unseen(const struct websocket_frames *frames);
/* So many of those went by. */
void websocket_frames_skip(struct websocket_frames *frames, uint64_t count);
/* May a frame be added here? Not after the server's own close frame. */
bool websocket_frames_between(const struct websocket_frames *frames);

/* Close, 1001: "going away" (RFC 6455 7.4.1), as servers send it. */
#define WEBSOCKET_GOING_AWAY SLICE("\x88\x02\x03\xe9")

#endif
