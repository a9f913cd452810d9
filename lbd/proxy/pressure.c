#include "lbd/proxy/pressure.h"

#include <assert.h>
#include <stddef.h>

#define LATE_PASSES 3U
#define LATE_US     1000000U /* three within it; and so long without one */

/* In per cent of the limit. */
struct line {
    uint8_t enter;
    uint8_t leave;
};

struct stage {
    const char *word;
    const char *means;
    struct line line;
};

static const struct stage stages[PRESSURE_KINDS][PRESSURE_STAGE_MAX + 1] = {
    [PRESSURE_CONNECTIONS] = {{"normal", "nothing is given up", {0, 0}},
                              {"high",
                               "answers say close, clients that are idle longest are closed",
                               {85, 80}},
                              {"full", "no connection is accepted", {100, 95}}},
    [PRESSURE_BUFFERS] =
        {{"normal", "nothing is given up", {0, 0}},
         {"tight",
          "no connection is accepted, nothing is read ahead, collected or compressed",
          {80, 75}},
         {"short",
          "new requests are answered 503, buffers are small, bodies take no pipes",
          {90, 85}},
         {"critical", "who holds most is reset", {95, 90}}},
    [PRESSURE_MEMORY] =
        {{"normal", "nothing is given up", {0, 0}},
         {"high",
          "answers say close, idle connections are closed, buffers are small, nothing is compressed",
          {90, 85}},
         {"critical", "who holds most is reset", {95, 90}},
         {"full", "new requests are answered 503, no connection is accepted", {100, 95}}},
    [PRESSURE_LAG] = {{"normal", "nothing is given up", {0, 0}},
                      {"shedding",
                       "requests of routes with priority_class low are answered 503",
                       {0, 0}}},
};

static bool is_at_least(uint64_t used, uint64_t limit, uint8_t percent)
{
    return used * 100 >= limit * percent;
}

uint8_t pressure_stage(enum pressure_kind kind, uint8_t before, uint64_t used, uint64_t limit)
{
    const struct stage *known = stages[kind];
    uint8_t stage = 0;
    if (limit == 0) {
        return 0;
    }
    for (uint8_t i = 1; i <= PRESSURE_STAGE_MAX && known[i].word != NULL; i++) {
        const struct line *line = &known[i].line;
        if (!is_at_least(used, limit, i <= before ? line->leave : line->enter)) {
            break;
        }
        stage = i;
    }
    return stage;
}

uint64_t pressure_goal(enum pressure_kind kind, uint64_t limit)
{
    return limit * stages[kind][1].line.leave / 100;
}

uint8_t pressure_lag_note(struct pressure_lag *lag, uint64_t pass_us, uint64_t limit_us,
                          uint64_t now_us)
{
    if (limit_us == 0) {
        return 0;
    }
    if (pass_us > limit_us) {
        if (lag->count == 0 || now_us - lag->first_us > LATE_US) {
            lag->first_us = now_us;
            lag->count = 0;
        }
        lag->count = lag->count < LATE_PASSES ? (uint8_t)(lag->count + 1U) : LATE_PASSES;
        lag->last_us = now_us;
        lag->sheds = lag->sheds || lag->count == LATE_PASSES;
    } else if (lag->sheds && now_us - lag->last_us >= LATE_US) {
        *lag = (struct pressure_lag){0};
    }
    return lag->sheds ? PRESSURE_LAG_SHEDDING : 0;
}

const char *pressure_kind_word(enum pressure_kind kind)
{
    static const char *const words[] = {"connections", "buffers", "memory", "lag"};
    return words[kind];
}

const char *pressure_stage_word(enum pressure_kind kind, uint8_t stage)
{
    assert(stage <= PRESSURE_STAGE_MAX && stages[kind][stage].word != NULL);
    return stages[kind][stage].word;
}

const char *pressure_stage_means(enum pressure_kind kind, uint8_t stage)
{
    assert(stage <= PRESSURE_STAGE_MAX && stages[kind][stage].means != NULL);
    return stages[kind][stage].means;
}

const char *pressure_setting(enum pressure_kind kind)
{
    static const char *const pointers[] = {"/daemon/max_connections", "/daemon/max_buffered",
                                           "/daemon/max_memory", "/daemon/shed_lag"};
    return pointers[kind];
}
