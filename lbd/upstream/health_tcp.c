#include "lbd/upstream/health_tcp.h"

static enum health_probe_step connected(struct health_probe *probe)
{
    const struct conf_health_check *check = &probe->plan->check;
    if (check->receive.len != 0) {
        (void)buf_append_slice(&probe->talk.out, check->send);
        return HEALTH_PROBE_WAIT;
    }
    char elapsed[32];
    health_probe_elapsed(probe, elapsed);
    health_probe_say(probe, "connected in %s", elapsed);
    return HEALTH_PROBE_PASS;
}

/* More than 64 KiB is talk's to end. */
static enum health_probe_step received(struct health_probe *probe, bool ended)
{
    struct slice said = buf_slice(&probe->talk.in);
    char text[HEALTH_PROBE_SHOWN_MAX];
    if (health_probe_heard(said, probe->plan->check.receive)) {
        health_probe_elapsed(probe, text);
        health_probe_say(probe, "the expected answer in %s", text);
        return HEALTH_PROBE_PASS;
    }
    health_probe_print(said, text);
    if (ended) {
        health_probe_say(probe, "connection closed before the expected answer%s%s%s",
                         said.len != 0 ? "; it said \"" : "", text, said.len != 0 ? "\"" : "");
        return HEALTH_PROBE_FAIL;
    }
    return HEALTH_PROBE_WAIT;
}

const struct health_probe_kind health_tcp = {.connected = connected, .received = received};
