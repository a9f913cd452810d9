#include "lbd/upstream/health_tls.h"

static enum health_probe_step connected(struct health_probe *probe)
{
    char elapsed[32];
    health_probe_elapsed(probe, elapsed);
    if (probe->talk.tls == NULL) {
        health_probe_say(probe, "not run: there is no TLS to check with");
        return HEALTH_PROBE_FAIL;
    }
    health_probe_say(probe, "%s handshake in %s", tls_session_version(probe->talk.tls), elapsed);
    return HEALTH_PROBE_PASS;
}

/* Not reached: the handshake alone decides. */
static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    (void)probe;
    (void)ended;
    return HEALTH_PROBE_PASS;
}

const struct health_probe_kind health_tls = {.connected = connected, .received = received};
