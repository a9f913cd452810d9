#include "lbd/control/service.h"

#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/base/sd_notify.h"

/* -- the line -- */

struct counts {
    uint32_t servers;
    uint32_t up;
    uint32_t connections;
};

static void count_pool(const struct registry_pool *pool, struct counts *counts)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &pool->servers) {
        const struct registry_server *live = entry->value;
        counts->servers++;
        counts->up += live->server->health == SERVER_UP ? 1 : 0;
    }
}

static void count_servers(const struct control *control, struct counts *counts)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &control_registry(control)->pools) {
        count_pool(entry->value, counts);
    }
}

static void count_connections(const struct control *control, struct counts *counts)
{
    for (uint32_t i = 0; i < control_facts(control)->workers; i++) {
        counts->connections += control_worker(control, i).connections;
    }
}

void service_write_line(const struct control *control, bool is_stopping, char out[SERVICE_LINE_MAX])
{
    const struct control_facts *facts = control_facts(control);
    struct counts counts = {0};
    if (is_stopping || control_is_drained(control)) {
        count_connections(control, &counts);
        (void)snprintf(out, SERVICE_LINE_MAX, "%s, %u connection%s left",
                       is_stopping ? "draining" : "drained by hand", counts.connections,
                       counts.connections == 1 ? "" : "s");
        return;
    }
    uint32_t listeners = conf_document_conf(control_document(control))->listener_count;
    char trial[64] = "";
    if (facts->unconfirmed_revision != 0) {
        (void)snprintf(trial, sizeof(trial), "; on trial, without a confirmation rev %llu returns",
                       (unsigned long long)facts->unconfirmed_base);
    }
    count_servers(control, &counts);
    (void)snprintf(out, SERVICE_LINE_MAX, "rev %llu, %u listener%s, %u/%u servers up%s%s",
                   (unsigned long long)facts->revision, listeners, listeners == 1 ? "" : "s",
                   counts.up, counts.servers, trial,
                   facts->is_degraded ? "; degraded: what was saved is damaged" : "");
}

/* True when there is something to send. Counting 100,000 servers each second would be a waste. */
static bool renew_line(struct service *service)
{
    char line[SERVICE_LINE_MAX];
    const struct control_facts *facts = control_facts(service->control);
    bool is_draining = service->is_stopping || control_is_drained(service->control);
    if (facts->generation == service->counted_generation && !is_draining &&
        facts->unconfirmed_revision == service->told_unconfirmed) {
        return false;
    }
    service->counted_generation = is_draining ? 0 : facts->generation;
    service->told_unconfirmed = facts->unconfirmed_revision;
    service_write_line(service->control, service->is_stopping, line);
    if (strcmp(line, service->line) == 0) {
        return false;
    }
    memcpy(service->line, line, sizeof(line));
    return true;
}

/* -- telling -- */

/* What is owed, the line when it is a new one, and the wish for time. What a manager does not take
 * (it reads nothing just now) is told again at the next tick. */
static void tell(struct service *service)
{
    bool is_new = renew_line(service);
    const char *owed = service->owed != NULL ? service->owed : "";
    if (!is_new && service->owed == NULL && !service->is_stopping) {
        return;
    }
    bool is_told = service->is_stopping
                       ? sd_notify_send("%sSTATUS=%s\nEXTEND_TIMEOUT_USEC=%u", owed, service->line,
                                        SERVICE_EXTEND_MS * 1000U)
                       : sd_notify_send("%sSTATUS=%s", owed, service->line);
    if (is_told) {
        service->owed = NULL;
    } else {
        service->line[0] = '\0';
        service->counted_generation = 0;
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct service *service = container_of(timer, struct service, tick);
    if (service->is_ready || service->is_stopping) {
        tell(service);
    }
    loop_timer_set(service->loop, &service->tick, SERVICE_TICK_MS, on_tick);
}

static void on_watchdog(struct loop_timer *timer)
{
    struct service *service = container_of(timer, struct service, watchdog);
    if (control_is_alive(service->control)) {
        (void)sd_notify_send("WATCHDOG=1");
    }
    loop_timer_set(service->loop, &service->watchdog, service->watchdog_ms, on_watchdog);
}

/* -- life -- */

void service_start(struct service *service, struct loop *loop, struct control *control)
{
    *service = (struct service){.control = control};
    if (!sd_notify_is_wanted()) {
        return;
    }
    service->loop = loop;
    service->watchdog_ms = sd_notify_watchdog_ms();
    loop_timer_set(loop, &service->tick, SERVICE_TICK_MS, on_tick);
    if (service->watchdog_ms != 0) {
        loop_timer_set(loop, &service->watchdog, service->watchdog_ms, on_watchdog);
    }
}

void service_ready(struct service *service)
{
    if (service->loop == NULL || service->is_stopping) {
        return; /* STOPPING is the last word */
    }
    service->is_ready = true;
    service->owed = "READY=1\n";
    tell(service);
}

void service_reloading(struct service *service)
{
    if (service->loop != NULL && !service->is_stopping) {
        (void)sd_notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_us());
    }
}

void service_stopping(struct service *service)
{
    if (service->loop != NULL) {
        service->is_stopping = true;
        service->owed = "STOPPING=1\n";
        tell(service);
    }
}

void service_stop(struct service *service)
{
    loop_timer_stop(&service->tick);
    loop_timer_stop(&service->watchdog);
}
