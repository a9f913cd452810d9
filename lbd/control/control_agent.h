/*
 * control_agent - asks the agents of servers how these want to be treated.
 *
 *     every interval: connect to the server's machine at `agent.port` -> [send] -> a line
 *         -> agent_line -> options.said()
 *
 * What was said holds until something else is said, the server is another one, or the pool has no
 * `agent` any more; an agent that cannot be reached changes nothing. It is never saved.
 *
 * Limits: CONTROL_AGENT_MAX questions at once, 64 KiB of an answer. Memory: copies of names; one
 * probe for each question. Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_AGENT_H
#define LBD_CONTROL_CONTROL_AGENT_H

#include "conf/conf.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry.h"
#include "lbd/upstream/agent_line.h"

#define CONTROL_AGENT_MAX 64U

struct control_agent;

struct control_agent_options {
    struct loop *loop; /* borrowed: control's */
    /* `line` NULL: nobody says anything of it any more. */
    void (*said)(struct slice pool, struct slice server, const struct agent_line *line, void *arg);
    void *arg;
};

struct control_agent *control_agent_new(const struct control_agent_options *options);
/* NULL is fine. */
void control_agent_free(struct control_agent *agent);
/* `conf` runs from now on, and `registry` knows where its servers are. */
void control_agent_apply(struct control_agent *agent, const struct conf *conf,
                         const struct registry *registry);

#endif
