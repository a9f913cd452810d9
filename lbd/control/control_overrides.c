/*
 * control_overrides - the table of what is set by hand: found again, saved, told of, superseded;
 * declared in control.h and control_inside.h.
 *
 * Saved is what was changed, as one record in a journal; the whole table at the first change of a
 * life and when the journal is full (conf/conf_journal.h).
 */
#include <stdio.h>

#include "conf/conf_journal.h"
#include "lbd/base/log.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"

#define OVERRIDES_BYTES (64U * 1024U * 1024U)

enum server_admin control_configured(const struct conf_server *server)
{
    switch (server->admin_state) {
    case CONF_READY:
        return SERVER_READY;
    case CONF_DRAIN:
        return SERVER_DRAIN;
    case CONF_MAINT:
        break;
    }
    return SERVER_MAINT;
}

/* -- asking -- */

const struct override *control_override(const struct control *control, struct slice pool,
                                        struct slice server)
{
    char key[OVERRIDES_KEY_MAX];
    return overrides_find(&control->overrides, OVERRIDE_ADMIN,
                          overrides_server_key(pool, server, key));
}

const struct overrides *control_overrides(const struct control *control)
{
    return &control->overrides;
}

uint32_t control_override_count(const struct control *control)
{
    return overrides_count(&control->overrides);
}

const struct conf_server *control_server_of(const struct control *control, struct slice key,
                                            const struct conf_pool **pool)
{
    struct slice pool_name;
    (void)slice_split(&key, '/', &pool_name);
    *pool = conf_pool_find(conf_document_conf(control_running(control)), pool_name);
    return *pool != NULL ? conf_server_find(*pool, key) : NULL;
}

/* -- saving -- */

/* The whole table; what follows goes into the journal again. */
static bool save_all(struct control *control, struct err *err)
{
    struct buf text;
    struct err why;
    struct conf_journal *journal = conf_store_overrides_journal(control->store, &why);
    uint64_t tag = journal != NULL ? now_wall_us() : 0; /* not 0: there is a journal to it */
    buf_init(&text, OVERRIDES_BYTES);
    overrides_write(&control->overrides, tag, &text);
    bool ok = conf_store_save_overrides(control->store, buf_slice(&text), err);
    buf_fini(&text);
    if (ok && journal != NULL) {
        conf_journal_begin(journal, tag);
    } else if (ok) {
        log_warn("overrides.no_journal", "why=\"%s\"", why.text);
    }
    return ok;
}

/* What was changed: a record in the journal, or the whole table when that is full. */
static bool save(struct control *control, struct slice record, struct err *err)
{
    struct conf_journal *journal = conf_store_overrides_journal(control->store, err);
    bool ok = journal != NULL && conf_journal_append(journal, record, err);
    if (!ok && (journal == NULL || err->kind == ERR_TOO_LARGE)) {
        err_clear(err);
        ok = save_all(control, err);
    }
    if (!ok) {
        control->facts.persist_failures++;
        log_error("overrides.persist_failed", "why=\"%s\"", err->text);
    }
    return ok;
}

void control_record_begin(struct control_record *record)
{
    buf_init(&record->text, OVERRIDES_BYTES);
    json_write_init(&record->w, &record->text, JSON_COMPACT);
    json_write_array_begin(&record->w);
}

bool control_record_save(struct control_record *record, struct control *control, struct err *err)
{
    json_write_array_end(&record->w);
    bool ok = save(control, buf_slice(&record->text), err);
    buf_fini(&record->text);
    return ok;
}

static bool on_record(struct slice record, void *arg)
{
    struct control *control = arg;
    return overrides_read_record(&control->overrides, record);
}

bool control_read_overrides(struct control *control, struct err *err)
{
    struct buf text;
    struct err why;
    uint64_t tag = 0;
    buf_init(&text, OVERRIDES_BYTES);
    bool ok = conf_store_read_overrides(control->store, &text, err) &&
              overrides_read(&control->overrides, buf_slice(&text), &tag, err);
    buf_fini(&text);
    if (ok && tag != 0) {
        struct conf_journal *journal = conf_store_overrides_journal(control->store, &why);
        bool is_damaged = false;
        ok = journal != NULL ||
             err_set(err, ERR_MALFORMED, "what was set last is not known: %s", why.text);
        ok = ok && (conf_journal_read(journal, tag, on_record, control, &is_damaged) ||
                    err_set(err, ERR_MALFORMED, "a record of overrides.log is not a change"));
        ok = ok && (!is_damaged || err_set(err, ERR_MALFORMED,
                                           "overrides.log is cut or damaged: some of what was set "
                                           "last may be missing"));
    }
    if (!ok && err->kind == ERR_MALFORMED) {
        /* Serving is more than admin states; but somebody must know. */
        log_error("overrides.damaged", "why=\"%s\"", err->text);
        control->facts.is_degraded = true;
        ok = true;
    }
    return ok;
}

/* -- events -- */

static void write_data(const struct override *override, enum override_kind kind, struct buf *data)
{
    struct json_write w;
    char date[NOW_LOG_DATE_LEN + 1];
    json_write_init(&w, data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "kind", override_kind_word(kind));
    if (kind == OVERRIDE_WEIGHT) {
        json_write_member_u64(&w, "weight", override->weight);
        json_write_member_u64(&w, "base", override->base_weight);
    } else {
        json_write_member_text(&w, "state", server_admin_word(override->state));
    }
    json_write_member_text(&w, "reason", override->reason);
    json_write_member_text(&w, "who", override->who);
    if (override->expires_wall_us != 0) {
        now_log_date(date, override->expires_wall_us);
        json_write_member_text(&w, "expires", date);
    }
    json_write_object_end(&w);
}

void control_post_override(struct control *control, const char *type, enum override_kind kind,
                           struct slice key, const struct override *override, const char *why)
{
    struct buf data;
    char name[OVERRIDES_KEY_MAX + 16];
    char what[48];
    (void)snprintf(name, sizeof(name), "%s%.*s", kind == OVERRIDE_LISTENER ? "listener/" : "",
                   SLICE_ARG(key));
    if (kind == OVERRIDE_WEIGHT) {
        (void)snprintf(what, sizeof(what), "weight %u", override->weight);
    } else {
        (void)snprintf(what, sizeof(what), "%s", server_admin_word(override->state));
    }
    buf_init(&data, EVENTS_DATA_MAX);
    write_data(override, kind, &data);
    events_post(control->events, type, slice_from(name), data.data, "%s%s%s", what,
                why[0] != '\0' ? ": " : "", why);
    log_info(type, "target=%s set=\"%s\" why=\"%s\" who=\"%s\"", name, what, why, override->who);
    buf_fini(&data);
}

void control_post_admin(struct control *control, struct slice key, enum server_admin from,
                        enum server_admin to, const char *reason, const char *who)
{
    struct buf data;
    struct json_write w;
    if (from == to) {
        return;
    }
    buf_init(&data, EVENTS_DATA_MAX);
    json_write_init(&w, &data, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "from", server_admin_word(from));
    json_write_member_text(&w, "to", server_admin_word(to));
    json_write_member_text(&w, "reason", reason);
    json_write_member_text(&w, "who", who);
    json_write_object_end(&w);
    events_post(control->events, "server.admin", key, data.data, "%s -> %s%s%s",
                server_admin_word(from), server_admin_word(to), reason[0] != '\0' ? ": " : "",
                reason);
    log_info("server.admin", "server=%.*s from=%s to=%s who=\"%s\" reason=\"%s\"", SLICE_ARG(key),
             server_admin_word(from), server_admin_word(to), who, reason);
    buf_fini(&data);
}

/* -- the document says something else now -- */

/* NULL: it stays. */
static const char *why_superseded(const struct control *control, enum override_kind kind,
                                  struct slice key, const struct override *override)
{
    const struct conf_pool *pool = NULL;
    const struct conf_server *server = NULL;
    if ((kind == OVERRIDE_ADMIN || kind == OVERRIDE_WEIGHT) &&
        control_running_may_come(control, key)) {
        return NULL;
    }
    switch (kind) {
    case OVERRIDE_ADMIN:
        server = control_server_of(control, key, &pool);
        return server == NULL                                 ? "the server is gone"
               : control_configured(server) != override->base ? "its configured state was edited"
                                                              : NULL;
    case OVERRIDE_WEIGHT:
        server = control_server_of(control, key, &pool);
        return server == NULL ? "the server is gone"
               : server->weight_percent != override->base_percent ||
                       (server->weight_percent == 0 && server->weight != override->base_weight)
                   ? "its configured weight was edited"
                   : NULL;
    case OVERRIDE_LISTENER:
        return conf_listener_find(conf_document_conf(control->document), key) == NULL
                   ? "the listener is gone"
                   : NULL;
    case OVERRIDE_PROCESS:
    case OVERRIDE_KINDS:
        break;
    }
    return NULL;
}

void control_supersede_overrides(struct control *control)
{
    bool is_changed = false;
    struct control_record record;
    control_record_begin(&record);
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        enum override_kind kind = (enum override_kind)i;
        struct map_entry *entry = NULL;
        map_for_each (entry, &control->overrides.kinds[i]) {
            struct override *override = entry->value;
            const char *why = why_superseded(control, kind, entry->key, override);
            if (why == NULL) {
                continue;
            }
            is_changed = true;
            control_post_override(control, "override.superseded", kind, entry->key, override, why);
            overrides_write_change(&record.w, kind, entry->key, NULL);
            (void)overrides_take(&control->overrides, kind, entry->key);
            override_free(override);
        }
    }
    if (is_changed) {
        struct err err;
        /* A file that keeps a dead override does no harm: it is dropped again at the next start. */
        (void)control_record_save(&record, control, &err);
        control_heed_expiry(control);
    } else {
        buf_fini(&record.text);
    }
}
