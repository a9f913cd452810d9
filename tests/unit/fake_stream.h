/*
 * fake_stream - a client's stream of some protocol that is not HTTP/1: no framing to pass on, no
 * connection to lend. What the seam (http/stream.h) promises is all there is.
 *
 *     struct fake_client   a session with a connection that has any number of such streams
 *     struct fake_stream   what it was asked is written down, what it gives is scripted
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_FAKE_STREAM_H
#define TESTS_UNIT_FAKE_STREAM_H

#include "lbd/http/h1_head.h"
#include "lbd/http/http_conn.h"
#include "lbd/proxy/session.h"
#include "tests/unit/proxy_stand.h"

struct fake_client {
    struct session session;
    struct http_conn http;
    unsigned drained; /* times it was asked to */
    unsigned left;
    unsigned aborted;
};

struct fake_stream {
    struct stream stream;
    char log[4096];
    const char *body; /* of the request, still to be pulled; NULL: all was */
    size_t piece;     /* bytes a pull gives */
    bool stays_open;  /* more of the body may come: a pull never says that it was the last */
    bool is_over;     /* reset, left, or ended by the test */
    bool is_blocked;
    bool refuses; /* sends fail */
    bool is_bad;  /* the next pull is */
};

void fake_client_init(struct fake_client *client, struct proxy_stand *stand);
void fake_stream_init(struct fake_stream *fake);
/* Its request, written as an HTTP/1 head; `edit` may make of it what HTTP/2 would say. */
void fake_stream_start(struct fake_stream *fake, struct fake_client *client, const char *head_text,
                       void (*edit)(struct message *message));
/* Body bytes came. */
void fake_stream_body(struct fake_stream *fake, const char *body);
/* The stream's end comes once, after the last byte was taken. */
void fake_stream_finish(struct fake_stream *fake, enum close_reason reason);

#endif
