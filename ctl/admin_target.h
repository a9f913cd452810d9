/*
 * admin_target - what can be drained: a server, a listener, the whole process.
 *
 *     "web/anna", "anna"  --> /v1/pools/web/servers/anna/admin-state
 *     "listener/web"      --> /v1/listeners/web/admin-state
 *     "process"           --> /v1/admin-state
 *
 * Memory: owns its texts. Threads: one.
 */
#ifndef CTL_ADMIN_TARGET_H
#define CTL_ADMIN_TARGET_H

#include "ctl/ctl.h"
#include "ctl/server_name.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"

enum admin_target_kind { ADMIN_SERVER, ADMIN_LISTENER, ADMIN_PROCESS };

struct admin_target {
    enum admin_target_kind kind;
    struct server_name server; /* ADMIN_SERVER */
    struct buf path;           /* of the thing; of the process: "/v1" */
    struct buf name;           /* as it was typed, completed: "web/anna" */
};

/* False: printed why not. admin_target_fini in both cases. */
LB_MUST_CHECK bool admin_target_read(struct ctl *ctl, const char *text, struct admin_target *target,
                                     enum ctl_exit *code);
void admin_target_fini(struct admin_target *target);
/* Its admin-state document. NULL: printed why not. The caller owns it. */
LB_MUST_CHECK struct json *admin_target_get(struct ctl *ctl, const struct admin_target *target,
                                            enum ctl_exit *code);
/* Connections that it has now. False: printed why not. */
LB_MUST_CHECK bool admin_target_connections(struct ctl *ctl, const struct admin_target *target,
                                            uint64_t *count, enum ctl_exit *code);

#endif
