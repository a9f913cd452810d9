#include "lbd/upstream/health_tcp.h"

static enum health_probe_step connected(struct health_probe *probe)
{
    char elapsed[32];
    health_probe_elapsed(probe, elapsed);
    health_probe_say(probe, "connected in %s", elapsed);
    return HEALTH_PROBE_PASS;
}

/* Not reached: the connection alone decides. */
static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    (void)probe;
    (void)ended;
    return HEALTH_PROBE_PASS;
}

const struct health_probe_kind health_tcp = {.connected = connected, .received = received};
