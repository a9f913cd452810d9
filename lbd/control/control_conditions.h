/*
 * control_conditions - what is true of a listener, route, pool, server and of the process, in the
 * shape that Kubernetes made common: type, status, reason, message, since.
 *
 *     Accepted       it stands in a document that was found valid
 *     Programmed     every worker runs it
 *     ResolvedRefs   what it refers to is there; of a server: its name has an address
 *     Ready          it does its work: a listener takes connections and leads somewhere, a route's
 *                    and a pool have a usable server, a server gets requests
 *     SameCapabilities  of a pool with checks of mail: what one of its servers can, all can
 *
 * Transitions are noted when they happen (after every adoption, and when a drain begins), not when
 * somebody looks: `since` is the same for all who ask.
 *
 * Cost of noting: the pools that changed; routes and listeners only when they or the readiness of a
 * pool changed.
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_CONDITIONS_H
#define LBD_CONTROL_CONTROL_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/control/control.h"

struct control_condition {
    const char *type; /* static */
    bool status;
    const char *reason; /* static, CamelCase */
    char message[160];
    uint64_t since_wall_us;
};

#define CONTROL_CONDITIONS_MAX 8

/* Each returns how many it wrote; 0: there is no such object. */
uint32_t control_conditions_listener(struct control *control, struct slice name,
                                     struct control_condition out[CONTROL_CONDITIONS_MAX]);
uint32_t control_conditions_route(struct control *control, struct slice name,
                                  struct control_condition out[CONTROL_CONDITIONS_MAX]);
uint32_t control_conditions_pool(struct control *control, struct slice name,
                                 struct control_condition out[CONTROL_CONDITIONS_MAX]);
uint32_t control_conditions_server(struct control *control, struct slice pool, struct slice name,
                                   struct control_condition out[CONTROL_CONDITIONS_MAX]);
/* Ready, Degraded, ConfigConfirmed, SeedInSync, Overloaded. */
uint32_t control_conditions_process(struct control *control,
                                    struct control_condition out[CONTROL_CONDITIONS_MAX]);
/* MetricsComplete is the API's to judge, which hands in all but `since`. */
void control_conditions_metrics(struct control *control, struct control_condition *condition);

/* Something may have changed. */
void control_conditions_refresh(struct control *control);

#endif
