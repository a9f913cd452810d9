/*
 * live_control - a real control with real workers, in a directory of its own, for unit tests.
 *
 *     struct live_control live;
 *     live_control_start(&live, "{\"listeners\":...}", "");
 *     live_control_change(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}");
 *     live_control_stop(&live);
 *
 * Threads: the test's is the control thread.
 */
#ifndef TESTS_UNIT_LIVE_CONTROL_H
#define TESTS_UNIT_LIVE_CONTROL_H

#include <stdbool.h>

#include "lbd/control/control.h"

/* What a change came to. */
struct live_answer {
    bool is_done;
    struct err err;
    char problem[64];
    bool is_changed;
    bool is_created;
    bool is_pending;
    uint64_t revision;
    uint32_t errors;
    char first_pointer[256];
};

struct live_control {
    char directory[64];
    char file[96];
    struct loop *loop;
    struct conf_daemon *daemon;
    struct conf_document *seed;
    struct control *control;
    bool is_ready;
    bool is_drained;
    struct live_answer answer;
};

/* `document` and `daemon` are members of objects: "\"pools\":{}" and "\"workers\":1" ("" for none).
 * Makes a directory, starts, waits until it is ready. */
void live_control_start(struct live_control *live, const char *document, const char *daemon);
/* The same in the directory that is there already; false: it does not start, answer.err says why.
 */
bool live_control_restart(struct live_control *live);
/* Writes the file anew. */
void live_control_write(const struct live_control *live, const char *document, const char *daemon);
/* Ends it; the directory stays. */
void live_control_end(struct live_control *live);
/* Ends it and removes the directory. */
void live_control_stop(struct live_control *live);
/* Runs the loop until *flag, for at most 60 s. */
void live_control_until(struct live_control *live, const bool *flag);
/* One pass of the loop. */
void live_control_turn(struct live_control *live);

struct live_answer live_control_apply(struct live_control *live,
                                      const struct control_change *change);
/* A change that must succeed. */
struct live_answer live_control_change(struct live_control *live, enum conf_edit edit,
                                       const char *pointer, const char *body);
/* Something set by hand; waits until it is done. */
struct live_answer live_control_wish(struct live_control *live, const struct control_wish *wish);
/* The admin state of a server of pool `p`; must succeed. Says whether that was a change. */
bool live_control_admin(struct live_control *live, const char *server, enum server_admin state);

#endif
