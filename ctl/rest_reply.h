/*
 * rest_reply - one HTTP/1.1 answer, read strictly, without a socket.
 *
 * rest_client feeds it what arrives; how the bytes are cut makes no difference. Interim (1xx)
 * answers are skipped. What follows the answer is an error: we ask once per connection.
 *
 *     STATUS --> HEADERS --+--> LENGTH ------------------------------------+--> DONE
 *                          +--> CHUNK_SIZE --> CHUNK --> CHUNK_END --> ... |
 *                          |        +--> TRAILERS -------------------------+
 *                          +--> UNTIL_CLOSE -------------------------------+
 *
 * Limits: REST_REPLY_LINE_MAX a line, REST_REPLY_HEADERS_MAX header lines, REST_REPLY_BODY_MAX of
 * body that is kept. Memory: the reply owns its texts. Threads: the only one of lbctl.
 */
#ifndef CTL_REST_REPLY_H
#define CTL_REST_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

enum {
    REST_REPLY_LINE_MAX = 16 * 1024,
    REST_REPLY_HEADERS_MAX = 100,
    REST_REPLY_BODY_MAX = 64 * 1024 * 1024,
    REST_REPLY_ETAG_MAX = 128,
};

enum rest_verdict { REST_MORE, REST_DONE, REST_BAD };

enum rest_state {
    REST_STATUS,
    REST_HEADERS,
    REST_LENGTH,
    REST_CHUNK_SIZE,
    REST_CHUNK,
    REST_CHUNK_END,
    REST_TRAILERS,
    REST_UNTIL_CLOSE,
    REST_COMPLETE
};

/* Takes bytes of a body as they come; false ends it. */
typedef bool rest_take_fn(void *user, struct slice bytes);

struct rest_reply {
    /* what was said; complete once REST_DONE */
    uint32_t status;
    bool is_json;      /* application/json or application/...+json */
    bool is_taken;     /* `take` wanted no more */
    bool is_changed;   /* not told that nothing changed (Lbd-Changed: false) */
    uint64_t revision; /* Lbd-Revision; 0: not said */
    uint64_t retry_s;  /* Retry-After in seconds; 0: not said */
    char etag[REST_REPLY_ETAG_MAX];
    struct buf body; /* empty when `take` took it */

    /* who takes the body of a 200 while it comes; NULL: `body` keeps it */
    rest_take_fn *take;
    void *user;

    /* where we are */
    enum rest_state state;
    bool has_length;
    bool is_chunked;
    uint64_t left; /* bytes of the body or chunk still to come */
    uint32_t header_count;
    struct buf line; /* the part of a line that has arrived */
};

void rest_reply_init(struct rest_reply *reply);
void rest_reply_fini(struct rest_reply *reply);
/* Forgets everything but who takes the body, for the next answer. */
void rest_reply_clear(struct rest_reply *reply);
/* Takes bytes. REST_BAD fills *err. */
LB_MUST_CHECK enum rest_verdict rest_reply_feed(struct rest_reply *reply, struct slice bytes,
                                                struct err *err);
/* The server has closed. REST_DONE when the answer is complete without further bytes. */
LB_MUST_CHECK enum rest_verdict rest_reply_end(struct rest_reply *reply, struct err *err);

#endif
