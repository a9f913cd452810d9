/*
 * control_pressure - how near the workers are to their limits (proxy/pressure.h), and telling it.
 *
 * The process is in the worst stage that one of its workers is in. When that changes there is one
 * line in the log, one event (daemon.overload), and the condition Overloaded.
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_PRESSURE_H
#define LBD_CONTROL_CONTROL_PRESSURE_H

#include <stdbool.h>

#include "lbd/control/control.h"
#include "lbd/proxy/pressure.h"

struct worker_pressure;

/* What a worker said. */
void control_pressure_note(struct control *control, const struct worker_pressure *pressure);
/* The stage that the process is in. */
uint8_t control_pressure(const struct control *control, enum pressure_kind kind);
/* Is something given up? Then *kind is what: the first that is not normal, memory and buffers
 * before connections and lag. */
bool control_pressure_find(const struct control *control, enum pressure_kind *kind);

#endif
