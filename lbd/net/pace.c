/* pace - see pace.h. */
#include "lbd/net/pace.h"

#define US_PER_MS 1000
#define US_PER_S  UINT64_C(1000000)

bool pace_note(struct pace *pace, const struct pace_rule *rule, uint64_t now_us, uint64_t bytes)
{
    uint64_t waited_us = pace->since_us != 0 ? now_us - pace->since_us : 0;
    if (pace->since_us != 0) {
        pace->since_us = now_us;
    }
    if (rule->bytes_per_s == 0) {
        return true;
    }
    int64_t most_ahead_us = (int64_t)rule->idle_ms * US_PER_MS;
    uint64_t worth_us = bytes <= UINT64_MAX / US_PER_S ? bytes * US_PER_S / rule->bytes_per_s
                                                       : UINT64_MAX / US_PER_S;
    pace->behind_us += (int64_t)waited_us - (int64_t)worth_us;
    if (pace->behind_us < -most_ahead_us) {
        pace->behind_us = -most_ahead_us;
    }
    return pace->behind_us <= (int64_t)rule->grace_ms * US_PER_MS;
}

void pace_output_wait(struct pace_output *output, uint64_t now_us, size_t waiting)
{
    output->pace.since_us = now_us;
    output->moved_us = now_us;
    output->waiting = waiting;
    output->is_known = false;
}

enum pace_verdict pace_output_look(struct pace_output *output, const struct pace_rule *rule,
                                   uint64_t now_us, size_t waiting, uint64_t taken)
{
    bool moved = waiting < output->waiting || (output->is_known && taken > output->taken);
    uint64_t bytes = taken > output->taken ? taken - output->taken : 0;
    bool is_quick = pace_note(&output->pace, rule, now_us, bytes);
    output->waiting = waiting;
    output->is_known = true;
    if (taken > output->taken) {
        output->taken = taken;
    }
    if (moved) {
        output->moved_us = now_us;
        return is_quick ? PACE_GO_ON : PACE_SLOW;
    }
    uint64_t silent_us = now_us - output->moved_us;
    return silent_us < (uint64_t)rule->idle_ms * US_PER_MS ? PACE_GO_ON : PACE_IDLE;
}

uint32_t pace_output_delay_ms(const struct pace_output *output, const struct pace_rule *rule,
                              uint64_t now_us)
{
    uint64_t idle_us = (uint64_t)rule->idle_ms * US_PER_MS;
    uint64_t silent_us = now_us - output->moved_us;
    uint64_t left_us = silent_us < idle_us ? idle_us - silent_us : 0;
    uint32_t left_ms = (uint32_t)((left_us + US_PER_MS - 1) / US_PER_MS);
    return rule->bytes_per_s != 0 && rule->grace_ms < left_ms ? rule->grace_ms : left_ms;
}
