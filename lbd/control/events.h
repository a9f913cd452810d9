/*
 * events - what happened, in order, for whoever watches: a ring with sequence numbers.
 *
 *     control, api --events_post--> ring of 4,096 --> GET /v1/events, GET /v1/watch
 *                                     '--notify--> subscribers: something new is there
 *
 * A reader holds the sequence number it wants next. What it has missed because the ring went round
 * is not to be had any more, and it is told so (events_holds). The first number is the wall clock
 * of the start in microseconds, so that numbers of another life of the process lie outside of what
 * is held: a restart is noticed as a gap. All numbers are exact in a JSON number (below 2^53).
 *
 * Names: "pool/server", "listener/web", "certificate/shop", "process", "config", or a name of the
 * type's own kind.
 *
 * Limits: 4,096 events; of each 127 bytes of name, 511 of message, 2 KiB of data (else it is left
 * out).
 * Memory: owns copies of all texts. Threads: control.
 */
#ifndef LBD_CONTROL_EVENTS_H
#define LBD_CONTROL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/json/json_write.h"
#include "lbd/base/compiler.h"
#include "lbd/base/list.h"
#include "lbd/base/slice.h"

#define EVENTS_HELD_MAX    4096
#define EVENTS_NAME_MAX    127
#define EVENTS_MESSAGE_MAX 511
#define EVENTS_DATA_MAX    2048

struct events;

struct events_item {
    uint64_t sequence;
    uint64_t wall_us;
    const char *type; /* static */
    const char *name;
    const char *message;
    const char *data; /* a JSON object, strict and compact; NULL: none */
};

/* Is told that something was posted; must not post, subscribe or unsubscribe in its call. */
struct events_subscriber {
    struct list_node link;
    void (*notify)(struct events_subscriber *subscriber);
};

/* `first`: the number of the first event; now_wall_us() in a process. */
struct events *events_new(uint64_t first);
/* Nobody subscribes any more. NULL is fine. */
void events_free(struct events *events);

/* `type` is one of the words in events.c; `data_json` a JSON object or NULL. Copies everything.
 * `events` NULL: nothing happens. */
void events_post(struct events *events, const char *type, struct slice name, const char *data_json,
                 const char *fmt, ...) LB_PRINTF(5, 6);

/* The number of the oldest event held (of the next one when none is), and of the next one. */
uint64_t events_oldest(const struct events *events);
uint64_t events_next(const struct events *events);
/* Is everything from `sequence` on held? False: it is too old, or of another life. */
bool events_holds(const struct events *events, uint64_t sequence);
/* NULL: not held. Lives until the next post. */
const struct events_item *events_at(const struct events *events, uint64_t sequence);

void events_subscribe(struct events *events, struct events_subscriber *subscriber);
void events_unsubscribe(struct events_subscriber *subscriber);

/* -- which ones -- */

struct events_filter {
    struct slice types; /* "server.health,drain.*"; empty: all */
    struct slice name;  /* "web/a", or "web" for all of pool web; empty: all */
};

/* False: *bad is a word of `types` that is no type. */
bool events_filter_is_known(const struct events_filter *filter, struct slice *bad);
bool events_matches(const struct events_item *item, const struct events_filter *filter);

/* {"sequence":7,"time":"...","type":"server.health","name":"web/a","message":"...","data":{}} */
void events_write(const struct events_item *item, struct json_write *w);

/* -- for the metrics -- */

size_t events_type_count(void);
const char *events_type_word(size_t type);
uint64_t events_posted(const struct events *events, size_t type);

#endif
