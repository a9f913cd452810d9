/*
 * agent_line - what an agent on a server's machine says of it: one line of words (the agent check
 * of HAProxy).
 *
 *     "up 50%"   "drain"   "maint"   "down # disk full"   "ready up 100% maxconn:200"
 *
 *     N%                       so much of its weight; 0%: as drain
 *     maxconn:N                at most so many requests at once
 *     ready, drain, maint      its administrative state
 *     up; down, fail, stopped  fit or not, whatever checks say
 *
 * Words stand apart by spaces, tabs or commas, in any case; what stands behind '#' is for people;
 * other words say nothing. What a line does not say stays as it was.
 *
 * Memory: none. Threads: any.
 */
#ifndef LBD_UPSTREAM_AGENT_LINE_H
#define LBD_UPSTREAM_AGENT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/upstream/server.h"

struct agent_line {
    uint32_t percent; /* 0-100 */
    uint32_t max_connections;
    enum server_admin admin;
    bool is_down;
    bool has_percent;
    bool has_max;
    bool has_admin;
    bool has_fitness;
};

/* As far as the first line end. False: no word says anything. */
bool agent_line_read(struct slice text, struct agent_line *line);

#endif
