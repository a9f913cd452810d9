#include "lbd/control/control_pressure.h"

#include <inttypes.h>
#include <stdio.h>

#include "lbd/base/log.h"
#include "lbd/control/control_conditions.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/events.h"

uint8_t control_pressure(const struct control *control, enum pressure_kind kind)
{
    uint8_t worst = 0;
    for (uint32_t i = 0; i < control->facts.workers; i++) {
        uint8_t stage = control->pressure[i][kind];
        worst = stage > worst ? stage : worst;
    }
    return worst;
}

bool control_pressure_find(const struct control *control, enum pressure_kind *kind)
{
    static const enum pressure_kind order[PRESSURE_KINDS] = {PRESSURE_MEMORY, PRESSURE_BUFFERS,
                                                             PRESSURE_CONNECTIONS, PRESSURE_LAG};
    for (unsigned i = 0; i < PRESSURE_KINDS; i++) {
        if (control_pressure(control, order[i]) != 0) {
            *kind = order[i];
            return true;
        }
    }
    return false;
}

static void tell(struct control *control, const struct worker_pressure *pressure, uint8_t before,
                 uint8_t stage)
{
    char data[256];
    enum pressure_kind kind = pressure->kind;
    const char *from = pressure_stage_word(kind, before);
    const char *to = pressure_stage_word(kind, stage);
    bool is_worse = stage > before;
    log_write(is_worse ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
              is_worse ? "overload.entered" : "overload.left",
              "kind=%s stage=%s was=%s worker=%u used=%" PRIu64 " limit=%" PRIu64
              " setting=%s means=\"%s\"",
              pressure_kind_word(kind), to, from, pressure->worker, pressure->used, pressure->limit,
              pressure_setting(kind), pressure_stage_means(kind, stage));
    (void)snprintf(data, sizeof(data),
                   "{\"kind\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"worker\":%u,"
                   "\"used\":%" PRIu64 ",\"limit\":%" PRIu64 ",\"setting\":\"%s\"}",
                   pressure_kind_word(kind), from, to, pressure->worker, pressure->used,
                   pressure->limit, pressure_setting(kind));
    events_post(control->events, "daemon.overload", slice_from(pressure_kind_word(kind)), data,
                "%s: %s", to, pressure_stage_means(kind, stage));
}

void control_pressure_note(struct control *control, const struct worker_pressure *pressure)
{
    uint8_t before = control_pressure(control, pressure->kind);
    control->pressure[pressure->worker][pressure->kind] = pressure->stage;
    uint8_t stage = control_pressure(control, pressure->kind);
    if (stage != before) {
        tell(control, pressure, before, stage);
        control_conditions_refresh(control);
    }
}
