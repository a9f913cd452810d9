/*
 * websocket_key - the handshake of WebSocket's opening (RFC 6455 4): the key a client sends, and
 * the answer that shows a server has understood it.
 *
 * For requests that come by HTTP/2, where there is no such key (RFC 8441 5), and go to a server by
 * HTTP/1.1, where lbd is the client.
 *
 * Sans-I/O. Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_WEBSOCKET_KEY_H
#define LBD_HTTP_WEBSOCKET_KEY_H

#include <stdint.h>

#include "lbd/base/slice.h"

#define WEBSOCKET_KEY_BYTES  24 /* of text */
#define WEBSOCKET_ACCEPT_MAX 29 /* with the NUL */

/* A key from 16 bytes that need not be secret, only different each time. */
void websocket_key_write(uint64_t first, uint64_t second, char out[WEBSOCKET_KEY_BYTES + 1]);
/* What Sec-WebSocket-Accept must say to it. */
void websocket_key_accept(struct slice key, char out[WEBSOCKET_ACCEPT_MAX]);

#endif
