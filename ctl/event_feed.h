/*
 * event_feed - what happens in lbd, event after event, for as long as it takes.
 *
 *     GET /v1/watch --> sse --> on_event, on_event, ...
 *          ^                        |
 *          +--- lbd went away: again every second, behind the last event seen (Last-Event-ID)
 *
 * When events were lost, because too many came meanwhile or lbd began a new life, that is said on
 * stderr and the feed goes on with what comes now.
 *
 * Memory: borrows its texts. Threads: one.
 */
#ifndef CTL_EVENT_FEED_H
#define CTL_EVENT_FEED_H

#include "ctl/ctl.h"

enum { EVENT_FEED_SILENCE_MS = 40 * 1000, EVENT_FEED_PAUSE_MS = 1000 };

/* False: enough. */
typedef bool event_feed_fn(void *user, const struct json *event);

struct event_feed {
    struct ctl *ctl;
    const char *types; /* "a,b"; NULL: all */
    const char *name;  /* "web" or "web/anna"; NULL: all */
    event_feed_fn *on_event;
    void *user;
};

/* Returns when on_event had enough (CTL_OK), or when there is no hope (printed why). */
enum ctl_exit event_feed_run(const struct event_feed *feed);

#endif
