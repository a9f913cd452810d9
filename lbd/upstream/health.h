/*
 * health - is a server fit to receive traffic?
 *
 * Counts the results of probes and turns them into a verdict. Knows nothing of sockets or timers:
 * health_probe.c runs the probes and reports here.
 *
 *     STARTING --first pass--> UP --fall failures in a row--> DOWN --rise passes in a row--> UP
 *     STARTING --first failure--> DOWN
 *
 * Threads: one owner, the control thread. Workers read server->load.usable instead.
 */
#ifndef LBD_UPSTREAM_HEALTH_H
#define LBD_UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/upstream/server.h"

struct health {
    enum server_health state;
    uint32_t rise;   /* >= 1 */
    uint32_t fall;   /* >= 1 */
    uint32_t streak; /* results in a row that speak against `state` */
};

void health_init(struct health *health, uint32_t rise, uint32_t fall);
/* Records one result. Returns true when the state changed. */
bool health_note(struct health *health, bool passed);

#endif
