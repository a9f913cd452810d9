/*
 * sse - Server-Sent Events, read without a socket (the event stream format of the HTML standard).
 *
 * Fed with bytes however they are cut; hands out each event when its empty line came. The id of the
 * last event is kept, for Last-Event-ID.
 *
 * Limits: SSE_LINE_MAX a line, SSE_DATA_MAX the data of an event, SSE_WORD_MAX type and id. What is
 * larger ends the stream. Memory: owns its texts; those of an event are lent for the call. Threads:
 * one.
 */
#ifndef CTL_SSE_H
#define CTL_SSE_H

#include <stdbool.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

enum { SSE_LINE_MAX = 1024 * 1024, SSE_DATA_MAX = 1024 * 1024, SSE_WORD_MAX = 128 };

struct sse_event {
    struct slice type; /* "message" when none was said */
    struct slice data;
};

/* False: enough. */
typedef bool sse_event_fn(void *user, const struct sse_event *event);

struct sse {
    sse_event_fn *on_event;
    void *user;
    char id[SSE_WORD_MAX + 1]; /* of the last event that is complete; "": none had one */

    struct buf line; /* the part that has arrived */
    struct buf data;
    char type[SSE_WORD_MAX + 1];
    char next_id[SSE_WORD_MAX + 1]; /* of the one that is coming */
    bool has_data;
    bool skip_newline; /* the last line ended in CR */
    bool has_begun;    /* the first line was seen: no byte order mark any more */
    bool is_broken;    /* over a limit */
};

void sse_init(struct sse *sse, sse_event_fn *on_event, void *user);
void sse_fini(struct sse *sse);
/* Forgets half an event, for a new connection; the id stays. */
void sse_reset(struct sse *sse);
/* False: enough was said, or it is broken. */
LB_MUST_CHECK bool sse_feed(struct sse *sse, struct slice bytes);

#endif
