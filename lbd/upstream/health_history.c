#include "lbd/upstream/health_history.h"

#include <assert.h>
#include <stdlib.h>

#include "lbd/base/mem.h"

void health_history_note(struct health_history *history, uint64_t wall_us, uint64_t duration_us,
                         uint32_t result, const char *text)
{
    if (history->ring == NULL) {
        history->ring = mem_zero(HEALTH_HISTORY_MAX, sizeof(*history->ring));
    }
    struct health_history_entry *at = &history->ring[history->next];
    free(at->text);
    *at = (struct health_history_entry){
        .wall_us = wall_us,
        .duration_us = duration_us < UINT32_MAX ? (uint32_t)duration_us : UINT32_MAX,
        .result = result,
        .text = mem_strdup(text),
    };
    history->next = (history->next + 1) % HEALTH_HISTORY_MAX;
    history->count += history->count < HEALTH_HISTORY_MAX ? 1 : 0;
}

const struct health_history_entry *health_history_at(const struct health_history *history,
                                                     uint32_t index)
{
    assert(index < history->count);
    return &history->ring[(history->next + HEALTH_HISTORY_MAX - 1 - index) % HEALTH_HISTORY_MAX];
}

void health_history_fini(struct health_history *history)
{
    for (uint32_t i = 0; i < history->count; i++) {
        free(history->ring[i].text); /* filled from the first on */
    }
    free(history->ring);
    *history = (struct health_history){0};
}
