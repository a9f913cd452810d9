#include "lbd/upstream/health_tls.h"

/* After it a server that says nothing has let us in: beside the time that the handshake took, for
 * its verdict has a way as long. */
#define GRACE_MS 200U

static enum health_probe_step connected(struct health_probe *probe)
{
    char elapsed[32];
    health_probe_elapsed(probe, elapsed);
    if (probe->talk.tls == NULL) {
        health_probe_say(probe, "not run: there is no TLS to check with");
        return HEALTH_PROBE_FAIL;
    }
    health_probe_say(probe, "%s handshake in %s", tls_session_version(probe->talk.tls), elapsed);
    if (!probe->handshake_only && tls_session_waits_for_verdict(probe->talk.tls)) {
        uint64_t taken_ms = health_probe_elapsed_us(probe) / 1000;
        health_probe_grace(probe, GRACE_MS + (uint32_t)taken_ms);
        return HEALTH_PROBE_WAIT;
    }
    return HEALTH_PROBE_PASS;
}

/* It speaks, or ends the connection in good order: it has let us in. An alert fails in talk. */
static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    (void)probe;
    (void)ended;
    return HEALTH_PROBE_PASS;
}

const struct health_probe_kind health_tls = {.connected = connected, .received = received};
