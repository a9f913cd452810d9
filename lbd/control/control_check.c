/*
 * control_check - a server is probed now, because somebody asks; declared in control.h.
 *
 * The pool's own check, or a connection when it has none; also of a server in maintenance. What it
 * finds counts like any other result, unless the server is in maintenance or has no check: then it
 * is only told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"
#include "lbd/upstream/health_probe.h"

/* For pools without a check. */
#define CONNECT_MS 1000U

/* One probe under way, or an answer that is known and told from the loop. */
struct check {
    struct list_node link; /* control.checks */
    struct control *control;
    char *pool;            /* owned */
    struct server *server; /* referenced */
    struct health_probe *probe;
    struct loop_ready ready;
    const char *why; /* static: no probe is needed to know */
    void (*done)(const struct control_checked *checked, void *arg);
    void *arg;
};

static void finish(struct check *check, bool is_passed, const char *detail, uint64_t duration_us)
{
    const struct control_checked checked = {
        .is_passed = is_passed,
        .detail = detail,
        .duration_us = duration_us,
        .health = check->server->health,
    };
    list_remove(&check->link);
    loop_ready_remove(&check->ready);
    check->done(&checked, check->arg);
    server_unref(check->server);
    free(check->pool);
    free(check);
}

static void on_result(const struct health_probe_result *result, void *arg)
{
    struct check *check = arg;
    control_health_note(check->control->health, slice_from(check->pool), check->server, result);
    finish(check, result->verdict == HEALTH_PROBE_PASSED, result->text, result->duration_us);
}

static void on_known(struct loop_ready *ready)
{
    struct check *check = container_of(ready, struct check, ready);
    finish(check, false, check->why, 0);
}

/* The pool's, or only a connection; the caller's reference. */
static struct health_probe_plan *plan_of(const struct control_health_target *target)
{
    const struct conf_health_check connect = {
        .type = CONF_CHECK_TCP,
        .interval_ms = CONNECT_MS,
        .timeout_ms = CONNECT_MS,
        .rise = 1,
        .fall = 1,
    };
    return target->plan != NULL ? health_probe_plan_ref(target->plan)
                                : health_probe_plan_new(&connect);
}

bool control_check(struct control *control, struct slice pool, struct slice server,
                   void (*done)(const struct control_checked *checked, void *arg), void *arg)
{
    struct control_health_target target;
    if (control->is_ending || !control_health_target(control->health, pool, server, &target)) {
        return false;
    }
    struct check *check = mem_zero(1, sizeof(*check));
    check->control = control;
    check->pool = mem_slicedup(pool);
    check->server = server_ref(target.server);
    check->done = done;
    check->arg = arg;
    list_push_back(&control->checks, &check->link);
    if (target.how.address->len == 0) {
        check->why = "its name has no address";
        loop_ready_put(control->options.loop, &check->ready, on_known);
        return true;
    }
    struct health_probe_plan *plan = plan_of(&target);
    check->probe = health_probe_start(control->options.loop, plan, &target.how, on_result, check);
    health_probe_plan_unref(plan);
    return true;
}

void control_end_checks(struct control *control)
{
    struct list_node *node = NULL;
    while ((node = list_first(&control->checks)) != NULL) {
        struct check *check = list_entry(node, struct check, link);
        health_probe_cancel(check->probe);
        finish(check, false, "lbd is stopping", 0);
    }
}
