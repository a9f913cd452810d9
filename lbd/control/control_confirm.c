/* control_confirm - a change on trial: it runs, but a restart would not run it until somebody says
 * so; see control_inside.h.
 *
 *     closed --a change with confirm_within--> open: base = what ran before
 *     open --any further change--> open: it is on trial too; the base stays, and so does the
 *                                        deadline, unless it brings its own
 *     open --confirm--> closed: what runs is what a restart runs
 *     open --reject, deadline, restart--> closed: the base comes back as a new revision
 *
 * Whoever applied as an owner (?owner=) what was taken back is refused until that revision was
 * confirmed: else a controller would put back at once what had just been found to be wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/control/control_inside.h"

#define AGAIN_MS        1000 /* after a failure to go back */
#define OWNERS_MAX      1000
#define OWNERS_TEXT_MAX (1024U * 1024U)

/* -- owners that must look first -- */

uint64_t control_owners_blocked(const struct control *control, struct slice owner)
{
    const uint64_t *revision = map_get(&control->owners.blocked, owner);
    return revision != NULL ? *revision : 0;
}

static void block(struct control *control, struct slice owner, uint64_t revision)
{
    uint64_t *value = map_get(&control->owners.blocked, owner);
    if (value == NULL && control->owners.blocked.count < OWNERS_MAX) {
        value = mem_alloc(sizeof(*value));
        (void)map_put(&control->owners.blocked, owner, value);
    }
    if (value != NULL) {
        *value = revision;
    }
}

static void save_owners(struct control *control)
{
    struct buf text;
    struct json_write w;
    struct map_entry *entry = NULL;
    struct err err;
    buf_init(&text, OWNERS_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_object_begin(&w);
    map_for_each (entry, &control->owners.blocked) {
        json_write_key_slice(&w, entry->key);
        json_write_u64(&w, *(uint64_t *)entry->value);
    }
    json_write_object_end(&w);
    if (!conf_store_save_file(control->store, CONF_STORE_OWNERS, buf_slice(&text), &err)) {
        control->facts.persist_failures++;
        log_error("owners.persist_failed", "why=\"%s\"", err.text);
    }
    buf_fini(&text);
}

bool control_owners_acknowledge(struct control *control, uint64_t revision)
{
    struct map_entry *entry = NULL;
    bool any = false;
    map_for_each (entry, &control->owners.blocked) {
        if (*(uint64_t *)entry->value == revision) {
            log_info("config.rollback_seen", "owner=\"%.*s\" revision=%llu", SLICE_ARG(entry->key),
                     (unsigned long long)revision);
            free(map_remove(&control->owners.blocked, entry->key));
            any = true;
        }
    }
    if (any) {
        save_owners(control);
    }
    return any;
}

bool control_owners_read(struct control *control, struct err *err)
{
    struct buf text;
    struct json_error why;
    const struct json *item = NULL;
    buf_init(&text, OWNERS_TEXT_MAX);
    if (!conf_store_read_file(control->store, CONF_STORE_OWNERS, &text, err)) {
        buf_fini(&text);
        return false;
    }
    struct json *json = text.len != 0
                            ? json_parse(buf_slice(&text), JSON_STRICT, &json_limits_resource, &why)
                            : NULL;
    if (text.len != 0 && !json_is(json, JSON_OBJECT)) {
        log_error("owners.damaged", "why=\"%s\"", json == NULL ? why.text : "it is not an object");
        control->facts.is_degraded = true;
    }
    json_for_each(item, json)
    {
        int64_t revision = 0;
        if (json_integer(item, &revision) && revision > 0) {
            block(control, json_key(item), (uint64_t)revision);
        }
    }
    json_free(json);
    buf_fini(&text);
    return true;
}

/* Those of the revisions since the one that was confirmed last. */
void control_confirm_block_owners(struct control *control, uint64_t by_revision)
{
    uint32_t count = 0;
    bool any = false;
    const struct conf_revision *revisions = conf_store_history(control->store, &count);
    for (uint32_t i = 0; i < count && !revisions[i].is_confirmed; i++) {
        if (revisions[i].owner[0] != '\0') {
            block(control, slice_from(revisions[i].owner), by_revision);
            any = true;
        }
    }
    if (any) {
        save_owners(control);
    }
}

/* -- the window -- */

bool control_confirm_is_on_trial(const struct control_job *job)
{
    const struct control *control = job->control;
    if (control->facts.source == CONF_SOURCE_FILE || job->change.kind == CONTROL_CONFIRM ||
        job->change.kind == CONTROL_REJECT || job->change.kind == CONTROL_EXPIRE) {
        return false;
    }
    return job->change.confirm_within_ms != 0 || control->window.base != NULL;
}

void control_confirm_reason(const struct control_job *job, char *out, size_t size)
{
    char within[NUM_TEXT_MAX];
    uint64_t revision = job->control->facts.unconfirmed_revision;
    if (job->change.kind == CONTROL_REJECT) {
        (void)snprintf(out, size, "revision %llu was rejected by %.*s",
                       (unsigned long long)revision, SLICE_ARG(job->change.who));
        return;
    }
    (void)num_write_duration(within, job->control->window.within_ms);
    (void)snprintf(out, size, "revision %llu was not confirmed within %s",
                   (unsigned long long)revision, within);
}

void control_confirm_fill_in(const struct control_job *job, struct conf_revision *note)
{
    const struct control *control = job->control;
    if (job->change.kind == CONTROL_REJECT || job->change.kind == CONTROL_EXPIRE) {
        char reason[CONF_REVISION_REASON_MAX];
        control_confirm_reason(job, reason, sizeof(reason));
        conf_revision_set(note->reason, sizeof(note->reason), slice_from(reason));
        return;
    }
    if (!control_confirm_is_on_trial(job)) {
        return;
    }
    note->is_confirmed = false;
    note->base =
        control->window.base != NULL ? control->window.base_revision : control->facts.revision;
    note->deadline_us = job->change.confirm_within_ms != 0
                            ? note->time_us + job->change.confirm_within_ms * 1000ULL
                            : control->facts.confirm_deadline_wall_us;
}

static void on_deadline(struct loop_timer *timer);

static void expire(struct control *control)
{
    const struct control_change change = {.kind = CONTROL_EXPIRE,
                                          .revision = control->facts.unconfirmed_revision,
                                          .who = SLICE("lbd")};
    control_queue_put(control_job_new(control, &change, NULL, NULL));
}

static void on_deadline(struct loop_timer *timer)
{
    struct control_window *window = container_of(timer, struct control_window, timer);
    struct control *control = container_of(window, struct control, window);
    uint64_t now = now_us();
    if (now < window->deadline_us) { /* never, by the promise of the loop */
        loop_timer_set(control->options.loop, timer, (window->deadline_us - now) / 1000 + 1,
                       on_deadline);
        return;
    }
    log_warn("config.not_confirmed", "revision=%llu",
             (unsigned long long)control->facts.unconfirmed_revision);
    expire(control);
}

void control_confirm_again(struct control *control)
{
    if (control->window.base != NULL && !control->facts.is_draining && !control->is_ending) {
        loop_timer_set(control->options.loop, &control->window.timer, AGAIN_MS, on_deadline);
    }
}

static void set_deadline(struct control *control, uint32_t within_ms)
{
    struct control_window *window = &control->window;
    window->within_ms = within_ms;
    window->deadline_us = now_us() + within_ms * 1000ULL;
    control->facts.confirm_deadline_wall_us = now_wall_us() + within_ms * 1000ULL;
    loop_timer_set(control->options.loop, &window->timer, within_ms, on_deadline);
}

static void close_window(struct control *control)
{
    loop_timer_stop(&control->window.timer);
    conf_document_unref(control->window.base);
    control->window = (struct control_window){0};
    control->facts.unconfirmed_revision = 0;
    control->facts.unconfirmed_base = 0;
    control->facts.confirm_deadline_wall_us = 0;
}

static void went_back(struct control_job *job)
{
    char reason[CONF_REVISION_REASON_MAX];
    control_confirm_reason(job, reason, sizeof(reason));
    log_warn("config.rolled_back", "revision=%llu to=%llu why=\"%s\"",
             (unsigned long long)job->result.revision,
             (unsigned long long)job->result.rolled_back_to, reason);
    close_window(job->control);
    control_job_post(job, "config.rolled_back", reason);
}

static void go_on_trial(struct control_job *job, uint64_t before)
{
    struct control *control = job->control;
    char message[128];
    char within[NUM_TEXT_MAX];
    if (control->window.base == NULL) {
        control->window.base = conf_document_ref(job->result.before);
        control->window.base_revision = before;
        control->facts.unconfirmed_base = before;
    }
    control->facts.unconfirmed_revision = job->result.revision;
    if (job->change.confirm_within_ms != 0) {
        set_deadline(control, job->change.confirm_within_ms);
    }
    (void)num_write_duration(within, control->window.within_ms);
    (void)snprintf(message, sizeof(message),
                   "revision %llu must be confirmed within %s, else %llu comes back",
                   (unsigned long long)job->result.revision, within,
                   (unsigned long long)control->window.base_revision);
    control_job_post(job, "config.unconfirmed", message);
}

void control_confirm_published(struct control_job *job, uint64_t before)
{
    struct control *control = job->control;
    char message[64];
    const struct conf_revision *note = conf_store_find(control->store, job->result.revision);
    if (job->change.kind != CONTROL_CONFIRM) { /* that makes no revision */
        control_job_post(job, "config.applied", note != NULL ? note->summary : job->what);
    }
    switch (job->change.kind) {
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        went_back(job);
        return;
    case CONTROL_CONFIRM:
        log_info("config.confirmed", "revision=%llu who=\"%s\"",
                 (unsigned long long)job->result.revision, job->who);
        close_window(control);
        (void)snprintf(message, sizeof(message), "revision %llu was confirmed",
                       (unsigned long long)job->result.revision);
        control_job_post(job, "config.confirmed", message);
        return;
    case CONTROL_ROLLBACK:
        (void)snprintf(message, sizeof(message), "by hand, to revision %llu",
                       (unsigned long long)job->result.rolled_back_to);
        control_job_post(job, "config.rolled_back", message);
        break;
    case CONTROL_EDIT:
    case CONTROL_BATCH:
    case CONTROL_OWNER:
    case CONTROL_ENDPOINTS:
    case CONTROL_RELOAD:
        break;
    }
    if (control_confirm_is_on_trial(job)) {
        go_on_trial(job, before);
    }
}

void control_confirm_restarted(struct control *control, struct conf_revision *note)
{
    uint32_t count = 0;
    const struct conf_revision *revisions = conf_store_history(control->store, &count);
    if (count == 0) {
        return;
    }
    note->rolled_back_to = revisions[0].base;
    conf_revision_set(note->via, sizeof(note->via), SLICE("auto-rollback"));
    (void)snprintf(note->reason, sizeof(note->reason),
                   "lbd was restarted before revision %llu was confirmed",
                   (unsigned long long)revisions[0].number);
    control_confirm_block_owners(control, note->number);
    log_warn("config.rolled_back", "revision=%llu to=%llu why=\"%s\"",
             (unsigned long long)note->number, (unsigned long long)note->rolled_back_to,
             note->reason);
    control->facts.applies[CONTROL_ROLLED_BACK]++;
    events_post(control->events, "config.rolled_back", SLICE("config"), NULL, "%s", note->reason);
}

void control_confirm_fini(struct control *control)
{
    struct map_entry *entry = NULL;
    close_window(control);
    map_for_each (entry, &control->owners.blocked) {
        free(entry->value);
    }
    map_fini(&control->owners.blocked);
}
