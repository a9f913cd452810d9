#include "lbd/filter/rate_epochs.h"

#include <assert.h>

void rate_epochs_begin(struct rate_epochs *epochs, uint64_t unit_ns, uint64_t most_ns,
                       uint64_t now_ns)
{
    const struct rate_epoch *old = &epochs->list[epochs->now];
    assert(unit_ns != 0);
    if (old->unit_ns == unit_ns && old->most_ns == most_ns) {
        return;
    }
    epochs->now = old->unit_ns != 0 ? (epochs->now + 1) % RATE_EPOCHS_COUNT : 0;
    epochs->list[epochs->now] = (struct rate_epoch){unit_ns, most_ns, now_ns};
}

uint64_t rate_epochs_convert(const struct rate_epochs *epochs, uint64_t value)
{
    const struct rate_epoch *now = &epochs->list[epochs->now];
    const struct rate_epoch *then = &epochs->list[value % RATE_EPOCHS_COUNT];
    uint64_t time_ns = value - value % RATE_EPOCHS_COUNT;
    if (time_ns <= now->since_ns || then->unit_ns == 0) {
        return time_ns; /* over before it began; or of a filter that is newer than this one */
    }
    __extension__ unsigned __int128 left =
        (unsigned __int128)(time_ns - now->since_ns) * now->unit_ns + then->unit_ns - 1;
    left /= then->unit_ns;
    return now->since_ns + (left < now->most_ns ? (uint64_t)left : now->most_ns);
}
