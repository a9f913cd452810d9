/*
 * control_keys - the keys that policies of the kind jwt fetch (`keys_url`), before tokens come.
 *
 *     every second: who is due? --upstream/http_call--> whoever makes the tokens
 *         --> registry_keys, another version --> the next snapshot has filters with them
 *
 * They are asked for anew every `refresh`; after a failure in 1 s, 2 s, 4 s, ... at most `refresh`
 * apart, a tenth more or less. Until then the keys that are there stay. What cannot be read is a
 * failure, too.
 *
 * Limits: CONTROL_KEYS_MAX questions at once, 10 s and CONTROL_KEYS_BYTES for each. Memory: keys
 * hang on the registry's policies; questions are ours. Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_KEYS_H
#define LBD_CONTROL_CONTROL_KEYS_H

#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/random.h"
#include "lbd/control/events.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry.h"
#include "lbd/snapshot/snapshot.h"

#define CONTROL_KEYS_MAX   8U
#define CONTROL_KEYS_BYTES (256U * 1024)

struct control_keys;

struct control_keys_options {
    struct loop *loop; /* borrowed, as the registry */
    struct registry *registry;
    struct events *events;         /* borrowed; NULL: nobody is told */
    const struct slice *resolvers; /* "ip:port"; borrowed, lives on */
    uint32_t resolver_count;       /* 0: the system's */
    /* There are other keys than before. */
    void (*changed)(void *arg);
    void *arg;
};

LB_MUST_CHECK struct control_keys *control_keys_new(const struct control_keys_options *options);
/* What was asked is not answered any more. NULL is fine. */
void control_keys_free(struct control_keys *keys);
/* Asks for those of the snapshot's document that are due; once a second. */
void control_keys_turn(struct control_keys *keys, const struct snapshot *snapshot);

/* When to ask again, from now; `failures` in a row. For tests. */
uint64_t control_keys_pause_us(struct random *random, uint32_t failures, uint64_t refresh_us);

#endif
