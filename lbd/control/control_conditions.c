#include "lbd/control/control_conditions.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/control_outlier.h"
#include "lbd/control/control_pressure.h"

/* -- what is noted -- */

struct tally {
    uint32_t servers;
    uint32_t usable;
    uint32_t resolved;
};

static struct tally tally_of(const struct registry_pool *pool)
{
    struct tally tally = {0};
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        const struct server *server = ((const struct registry_server *)entry->value)->server;
        tally.servers++;
        tally.usable += server_is_usable(server) ? 1 : 0;
        tally.resolved += server->health != SERVER_UNRESOLVED ? 1 : 0;
    }
    return tally;
}

/* Everything that was published runs on every worker. */
static bool is_adopted(const struct control *control)
{
    return control->facts.adopted_generation != 0 &&
           control->facts.adopted_generation == control->facts.generation;
}

static void note_common(const struct control *control, struct conditions *conditions, uint64_t now)
{
    (void)condition_note(&conditions->accepted, true, now);
    if (is_adopted(control)) {
        (void)condition_note(&conditions->programmed, true, now);
    }
}

static void note_server(const struct control *control, struct registry_server *live, uint64_t now)
{
    note_common(control, &live->conditions, now);
    (void)condition_note(&live->conditions.resolved, live->server->health != SERVER_UNRESOLVED,
                         now);
    (void)condition_note(&live->conditions.ready, server_is_usable(live->server), now);
}

/* Returns true when the pool can answer now and could not before, or the other way round. */
static bool note_pool(const struct control *control, struct registry_pool *pool, uint64_t now)
{
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        note_server(control, entry->value, now);
    }
    note_common(control, &pool->conditions, now);
    (void)condition_note(&pool->conditions.resolved, true, now);
    return condition_note(&pool->conditions.ready, tally_of(pool).usable != 0, now);
}

static bool note_pools(const struct control *control, uint64_t now)
{
    bool is_any_new = false;
    const struct map_entry *entry = NULL;
    map_for_each (entry, &control->registry.pools) {
        struct registry_pool *pool = entry->value;
        bool is_same = pool->noted_epoch == pool->epoch && pool->noted_commit == pool->committed;
        if (is_same && (pool->conditions.programmed.since_wall_us != 0 || !is_adopted(control))) {
            continue;
        }
        is_any_new = note_pool(control, pool, now) || is_any_new;
        pool->noted_epoch = pool->epoch;
        pool->noted_commit = pool->committed;
    }
    return is_any_new;
}

/* Does this pool answer? Without a usable server it does when it fails open, but that is no
 * readiness. */
static bool pool_is_ready(const struct control *control, struct slice name)
{
    const struct registry_pool *pool = registry_find_pool(&control->registry, name);
    return pool != NULL && pool->conditions.ready.status;
}

static void lead_to(struct registry_listener *listener, bool is_ready)
{
    listener->leads++;
    listener->leads_ready += is_ready ? 1 : 0;
}

/* It answers by itself, or each of its pools can. */
static bool route_is_ready(const struct control *control, const struct conf_route *route)
{
    struct slice pool;
    for (uint32_t i = 0; (pool = conf_route_pool(route, i)).len != 0; i++) {
        if (!pool_is_ready(control, pool)) {
            return false;
        }
    }
    return true;
}

static void note_routes(const struct control *control, const struct conf *conf, uint64_t now)
{
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct registry_route *live = registry_find_route(&control->registry, route->name);
        struct registry_listener *listener =
            registry_find_listener(&control->registry, route->listener);
        if (live == NULL || listener == NULL) {
            continue;
        }
        note_common(control, &live->conditions, now);
        (void)condition_note(&live->conditions.resolved, true, now);
        bool is_ready = route_is_ready(control, route);
        (void)condition_note(&live->conditions.ready, is_ready, now);
        lead_to(listener, is_ready);
    }
}

/* Nothing to lead to is a listener that answers everything itself. */
static bool leads_somewhere(const struct registry_listener *live)
{
    return live->leads == 0 || live->leads_ready != 0;
}

/* Where each leads; costs the number of routes. */
static void note_leads(const struct control *control, const struct conf *conf, uint64_t now)
{
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        struct registry_listener *live =
            registry_find_listener(&control->registry, conf->listeners[i].name);
        if (live != NULL) {
            live->leads = 0;
            live->leads_ready = 0;
            if (conf->listeners[i].default_pool.len != 0) {
                lead_to(live, pool_is_ready(control, conf->listeners[i].default_pool));
            }
        }
    }
    note_routes(control, conf, now);
}

static void note_listeners(const struct control *control, const struct conf *conf, uint64_t now)
{
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        struct registry_listener *live =
            registry_find_listener(&control->registry, conf->listeners[i].name);
        if (live == NULL) {
            continue;
        }
        note_common(control, &live->conditions, now);
        if (control_listener_is_drained(control, live)) {
            (void)condition_note(&live->conditions.programmed, false, now);
        }
        (void)condition_note(&live->conditions.resolved, true, now);
        (void)condition_note(&live->conditions.ready,
                             live->conditions.programmed.status && leads_somewhere(live), now);
    }
}

void control_conditions_refresh(struct control *control)
{
    struct control_noted *noted = &control->noted;
    uint64_t now = now_wall_us();
    const char *why = NULL;
    if (control->document == NULL || control->is_ending) {
        return;
    }
    const struct conf *conf = conf_document_conf(control_running(control));
    bool is_any_new = note_pools(control, now);
    /* documents share the lists that an edit did not touch */
    const struct conf *before =
        noted->document != NULL ? conf_document_conf(noted->document) : NULL;
    if (is_any_new || before == NULL || before->listeners != conf->listeners ||
        before->routes != conf->routes || noted->is_adopted != is_adopted(control)) {
        note_leads(control, conf, now);
        noted->is_adopted = is_adopted(control);
    }
    note_listeners(control, conf, now);
    if (noted->document != control_running(control)) {
        conf_document_unref(noted->document);
        noted->document = conf_document_ref(control_running(control));
    }
    (void)condition_note(&control->process.ready, control_is_ready(control, &why), now);
    (void)condition_note(&control->process.confirmed, control->facts.unconfirmed_revision == 0,
                         now);
}

/* -- what is said -- */

static void say(struct control_condition *out, const char *type, const struct condition *noted,
                const char *reason, const char *fmt, ...) LB_PRINTF(5, 6);

static void say(struct control_condition *out, const char *type, const struct condition *noted,
                const char *reason, const char *fmt, ...)
{
    va_list args;
    out->type = type;
    out->status = noted->status;
    out->reason = reason;
    out->since_wall_us = noted->since_wall_us;
    va_start(args, fmt);
    (void)vsnprintf(out->message, sizeof(out->message), fmt, args);
    va_end(args);
}

/* The first two of each kind. */
static void say_common(const struct control *control, const struct conditions *noted,
                       struct control_condition *out)
{
    say(&out[0], "Accepted", &noted->accepted, "Valid", "stands in a valid document");
    if (noted->programmed.status) {
        say(&out[1], "Programmed", &noted->programmed, "Adopted", "every worker runs it");
    } else {
        say(&out[1], "Programmed", &noted->programmed, "Pending", "not every worker runs it yet");
    }
    if (noted->programmed.since_wall_us == 0) {
        out[1].since_wall_us = noted->accepted.since_wall_us;
    }
    (void)control;
}

uint32_t control_conditions_listener(struct control *control, struct slice name,
                                     struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    const struct registry_listener *live = registry_find_listener(&control->registry, name);
    if (live == NULL) {
        return 0;
    }
    control_conditions_refresh(control);
    const struct conditions *noted = &live->conditions;
    say_common(control, noted, out);
    if (control_listener_is_drained(control, live)) {
        say(&out[1], "Programmed", &noted->programmed, "Draining", "lets open connections end");
    } else if (noted->programmed.status) {
        say(&out[1], "Programmed", &noted->programmed, "Listening", "accepts connections");
    }
    say(&out[2], "ResolvedRefs", &noted->resolved, "AllFound", "its pool is defined");
    if (!noted->programmed.status) {
        say(&out[3], "Ready", &noted->ready, out[1].reason, "%s", out[1].message);
    } else if (live->leads == 0) {
        say(&out[3], "Ready", &noted->ready, "NoPool", "leads to no pool");
    } else {
        say(&out[3], "Ready", &noted->ready, live->leads_ready != 0 ? "SomeReady" : "NoneReady",
            "%u of %u destinations can answer", live->leads_ready, live->leads);
    }
    return 4;
}

uint32_t control_conditions_route(struct control *control, struct slice name,
                                  struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    const struct registry_route *live = registry_find_route(&control->registry, name);
    const struct conf_route *conf = conf_route_find(conf_document_conf(control->document), name);
    if (live == NULL || conf == NULL) {
        return 0;
    }
    control_conditions_refresh(control);
    const struct conditions *noted = &live->conditions;
    bool has_pool = conf_route_pool(conf, 0).len != 0;
    say_common(control, noted, out);
    say(&out[2], "ResolvedRefs", &noted->resolved, "AllFound",
        has_pool ? "its listener and pool are defined" : "its listener is defined");
    if (!has_pool) {
        say(&out[3], "Ready", &noted->ready, "OwnAnswer", "answers by itself");
    } else if (conf->action == CONF_ACTION_SPLIT) {
        say(&out[3], "Ready", &noted->ready, noted->ready.status ? "PoolReady" : "PoolNotReady",
            noted->ready.status ? "each of its pools has a usable server"
                                : "one of its pools has no usable server");
    } else {
        say(&out[3], "Ready", &noted->ready, noted->ready.status ? "PoolReady" : "PoolNotReady",
            "pool %.*s has %s usable server", SLICE_ARG(conf->pool),
            noted->ready.status ? "a" : "no");
    }
    return 4;
}

/* Of pools whose checks learn what servers can; 0: of others. */
static uint32_t say_alike(const struct control *control, struct registry_pool *live,
                          struct control_condition *out)
{
    const char *differing = control_health_differing(control->health, slice_from(live->name));
    if (differing == NULL) {
        return 0;
    }
    bool is_alike = differing[0] == '\0';
    (void)condition_note(&live->conditions.alike, is_alike, now_wall_us());
    if (is_alike) {
        say(out, "SameCapabilities", &live->conditions.alike, "Same",
            "clients are offered what every server said it can");
    } else {
        say(out, "SameCapabilities", &live->conditions.alike, "Different",
            "not all servers have %s", differing);
    }
    return 1;
}

/* Is its last usable one usable only because there is no other? */
static bool has_kept(const struct control *control, const struct registry_pool *pool)
{
    struct control_health_facts facts;
    const struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        if (control_health_facts(control->health, slice_from(pool->name), entry->key, &facts) &&
            facts.is_kept) {
            return true;
        }
    }
    return false;
}

uint32_t control_conditions_pool(struct control *control, struct slice name,
                                 struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    struct registry_pool *live = registry_find_pool(&control->registry, name);
    if (live == NULL) {
        return 0;
    }
    control_conditions_refresh(control);
    const struct conditions *noted = &live->conditions;
    struct tally tally = tally_of(live);
    const char *reason = "AllUp";
    if (tally.servers == 0) {
        reason = "NoServers";
    } else if (tally.usable == 0) {
        reason = "NoServerUsable";
    } else if (tally.usable < tally.servers) {
        reason = 2 * tally.usable >= tally.servers ? "QuorumUp" : "BelowQuorum";
    }
    say_common(control, noted, out);
    const struct conf_pool *pool =
        conf_pool_find(conf_document_conf(control_running(control)), name);
    bool has_check = pool != NULL && pool->health_check.len != 0;
    say(&out[2], "ResolvedRefs", &noted->resolved, "AllFound",
        has_check ? "its health check is defined" : "it names no health check");
    say(&out[3], "Ready", &noted->ready, reason, "%u of %u servers usable%s", tally.usable,
        tally.servers, has_kept(control, live) ? ", one only because there is no other" : "");
    return 4 + say_alike(control, live, &out[4]);
}

static const char *reason_of(const struct server *server)
{
    if (server->admin != SERVER_READY) {
        return server->admin == SERVER_DRAIN ? "Draining" : "Maintenance";
    }
    switch (server->health) {
    case SERVER_UP:
        return server->is_ejected ? "Ejected" : server->is_degraded ? "Degraded" : "Up";
    case SERVER_STARTING:
        return "Starting";
    case SERVER_DOWN:
        return "Down";
    case SERVER_UNRESOLVED:
        break;
    }
    return "Unresolved";
}

/* What Ready says behind the states: why it rests, or else the result of the last check. */
static const char *why_of(const struct control *control, const struct server *server)
{
    struct control_outlier_facts facts;
    if (server->is_ejected &&
        control_outlier_facts(control_outliers(control), slice_from(server->pool_name),
                              slice_from(server->name), &facts)) {
        return facts.text;
    }
    return server->last_check;
}

uint32_t control_conditions_server(struct control *control, struct slice pool, struct slice name,
                                   struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    const struct registry_server *live = registry_find_server(&control->registry, pool, name);
    if (live == NULL) {
        return 0;
    }
    control_conditions_refresh(control);
    const struct conditions *noted = &live->conditions;
    const struct server *server = live->server;
    const char *why = why_of(control, server);
    say_common(control, noted, out);
    say(&out[2], "ResolvedRefs", &noted->resolved,
        noted->resolved.status ? "AddressKnown" : "NoAddress",
        noted->resolved.status ? "its address is known" : "no address of its name is known");
    say(&out[3], "Ready", &noted->ready, reason_of(server), "%s, %s%s%s%s",
        server_health_word(server->health), server_admin_word(server->admin),
        server->is_ejected ? ", ejected as an outlier" : "", why[0] != '\0' ? ": " : "", why);
    return 4;
}

/* -- the process -- */

static void say_ready(struct control *control, struct control_condition *out, uint64_t now)
{
    const char *why = NULL;
    const struct control_facts *facts = &control->facts;
    (void)condition_note(&control->process.ready, control_is_ready(control, &why), now);
    if (control->process.ready.status) {
        say(out, "Ready", &control->process.ready, "Serving", "revision %llu runs on %u workers",
            (unsigned long long)facts->adopted_revision, facts->workers);
        return;
    }
    say(out, "Ready", &control->process.ready,
        control_is_drained(control) ? "Draining"
        : !control->is_started      ? "Starting"
                                    : "WorkerStuck",
        "%s", why);
}

static void say_overloaded(struct control *control, struct control_condition *out, uint64_t now)
{
    struct condition *noted = &control->process.overloaded;
    enum pressure_kind kind = PRESSURE_MEMORY;
    bool is_overloaded = control_pressure_find(control, &kind);
    (void)condition_note(noted, is_overloaded, now);
    if (is_overloaded) {
        static const char *const reasons[PRESSURE_KINDS] = {"Connections", "Buffers", "Memory",
                                                            "Lag"};
        uint8_t stage = control_pressure(control, kind);
        say(out, "Overloaded", noted, reasons[kind], "%s %s: %s", pressure_kind_word(kind),
            pressure_stage_word(kind, stage), pressure_stage_means(kind, stage));
    } else {
        say(out, "Overloaded", noted, "AsExpected", "no limit of the process is near");
    }
}

uint32_t control_conditions_process(struct control *control,
                                    struct control_condition out[CONTROL_CONDITIONS_MAX])
{
    const struct control_facts *facts = &control->facts;
    struct control_process_conditions *process = &control->process;
    uint64_t now = now_wall_us();

    say_ready(control, &out[0], now);
    (void)condition_note(&process->degraded, facts->is_degraded, now);
    say(&out[1], "Degraded", &process->degraded, facts->is_degraded ? "StateDamaged" : "AsExpected",
        "%s", facts->is_degraded ? "saved state was damaged; see the log" : "nothing is damaged");
    bool is_confirmed = facts->unconfirmed_revision == 0;
    (void)condition_note(&process->confirmed, is_confirmed, now);
    if (is_confirmed) {
        say(&out[2], "ConfigConfirmed", &process->confirmed, "Confirmed",
            "what runs is what a restart runs");
    } else {
        char date[NOW_LOG_DATE_LEN + 1];
        now_log_date(date, facts->confirm_deadline_wall_us);
        say(&out[2], "ConfigConfirmed", &process->confirmed, "OnTrial",
            "revision %llu is taken back at %s unless somebody confirms it",
            (unsigned long long)facts->unconfirmed_revision, date);
    }
    (void)condition_note(&process->seed, !facts->is_seed_different, now);
    if (facts->source == CONF_SOURCE_FILE) {
        say(&out[3], "SeedInSync", &process->seed, "FileIsSource", "the file is what runs");
    } else {
        say(&out[3], "SeedInSync", &process->seed, facts->is_seed_different ? "Different" : "Same",
            "%s",
            facts->is_seed_different
                ? "the file differs from the saved configuration, which is the one that runs"
                : "when lbd started, the file said the same as the configuration it began with");
    }
    say_overloaded(control, &out[4], now);
    return 5;
}

void control_conditions_metrics(struct control *control, struct control_condition *condition)
{
    (void)condition_note(&control->process.metrics, condition->status, now_wall_us());
    condition->since_wall_us = control->process.metrics.since_wall_us;
}
