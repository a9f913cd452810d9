/* control_propose - a change becomes the next document, or is refused; see control_inside.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_owner.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/conf_file.h"
#include "lbd/control/control_inside.h"

/* -- may it? -- */

static bool is_ours_to_write(struct control_job *job)
{
    const struct control_facts *facts = &job->control->facts;
    const struct control_change *change = &job->change;
    bool is_write = change->kind == CONTROL_EDIT || change->kind == CONTROL_BATCH ||
                    change->kind == CONTROL_OWNER || change->kind == CONTROL_ROLLBACK ||
                    change->kind == CONTROL_ENDPOINTS;
    if (facts->source != CONF_SOURCE_FILE || !is_write || job->result.is_dry_run) {
        return true;
    }
    if (change->kind == CONTROL_ENDPOINTS && change->confirm_within_ms == 0 &&
        (!conf_document_has(job->result.before, change->pointer) || /* 404, later */
         control_members_are_ours(job->result.before, change->pointer))) {
        return true;
    }
    (void)err_set(&job->result.err, ERR_CONFLICT,
                  "the configuration is managed by the file '%s': edit it and send SIGHUP",
                  facts->file);
    return control_job_refuse(job, "managed-by-file");
}

/* RFC 9110 13.1.1: a list of strong entity tags, or "*" for anything that exists. */
static bool tag_is_in(struct slice list, const char *tag)
{
    struct slice item;
    while (slice_split(&list, ',', &item)) {
        item = slice_trim(item);
        if (item.len >= 2 && item.ptr[0] == '"' && item.ptr[item.len - 1] == '"') {
            item = slice_of(item.ptr + 1, item.len - 2);
            if (slice_eq(item, slice_from(tag))) {
                return true;
            }
        }
    }
    return false;
}

/* Of what ran before; the operations of a batch ask for the tag of one pool again and again. */
struct tag_memory {
    struct slice pointer;
    bool is_known;
    char tag[CONTROL_ETAG_MAX];
};

static const char *tag_of(const struct control_job *job, struct slice pointer,
                          struct tag_memory *memory)
{
    if (!memory->is_known || !slice_eq(memory->pointer, pointer)) {
        memory->pointer = pointer;
        memory->is_known = control_etag(job->result.before, pointer, memory->tag);
    }
    return memory->is_known ? memory->tag : "";
}

static bool precondition_holds(struct control_job *job, struct slice pointer, struct slice if_match,
                               struct slice if_none_match, struct tag_memory *memory)
{
    bool exists = conf_document_has(job->result.before, pointer);
    bool wants_any = slice_eq(slice_trim(if_match), SLICE("*"));

    if (slice_eq(slice_trim(if_none_match), SLICE("*")) && exists) {
        (void)err_set(&job->result.err, ERR_PRECONDITION, "'%.*s' exists already",
                      SLICE_ARG(pointer));
        return control_job_refuse(job, "precondition-failed");
    }
    if (exists && if_none_match.len != 0 &&
        tag_is_in(if_none_match, tag_of(job, pointer, memory))) {
        (void)err_set(&job->result.err, ERR_PRECONDITION, "its ETag is still \"%s\"", memory->tag);
        return control_job_refuse(job, "precondition-failed");
    }
    if (if_match.len == 0 || (wants_any && exists)) {
        return true;
    }
    const char *tag = exists ? tag_of(job, pointer, memory) : "";
    if (!wants_any && exists && tag_is_in(if_match, tag)) {
        return true;
    }
    (void)err_set(&job->result.err, ERR_PRECONDITION,
                  exists ? "it was changed since: its ETag is \"%s\" now" : "it does not exist%s",
                  tag);
    return control_job_refuse(job, "precondition-failed");
}

static bool refuse_unconditional(struct control_job *job, uint32_t operation)
{
    job->result.operation = operation;
    (void)err_set(&job->result.err, ERR_PRECONDITION,
                  "changes need If-Match (or If-None-Match: * to create) here");
    return control_job_refuse(job, "precondition-required");
}

static bool preconditions_hold(struct control_job *job)
{
    const struct control_change *change = &job->change;
    bool has_any = change->if_match.len != 0 || change->if_none_match.len != 0;
    struct tag_memory memory = {0};
    if (change->needs_precondition && !has_any && change->kind != CONTROL_BATCH) {
        return refuse_unconditional(job, 0);
    }
    /* All are about the document as it is before the first of a batch. */
    for (uint32_t i = 0; i < change->operation_count; i++) {
        const struct control_operation *operation = &change->operations[i];
        if (change->needs_precondition && !has_any && operation->if_match.len == 0 &&
            operation->if_none_match.len == 0) {
            return refuse_unconditional(job, i + 1);
        }
        if (!precondition_holds(job, operation->edit.pointer, operation->if_match,
                                operation->if_none_match, &memory)) {
            job->result.operation = i + 1;
            return false;
        }
    }
    return precondition_holds(job, change->pointer, change->if_match, change->if_none_match,
                              &memory);
}

static bool owner_may_write(struct control_job *job)
{
    struct slice owner = job->change.owner;
    uint64_t revision = control_owners_blocked(job->control, owner);
    if (job->change.kind != CONTROL_OWNER || revision == 0 || job->result.is_dry_run) {
        return true;
    }
    (void)err_set(&job->result.err, ERR_CONFLICT,
                  "a change of '%.*s' was taken back by revision %llu: confirm that revision first",
                  SLICE_ARG(owner), (unsigned long long)revision);
    return control_job_refuse(job, "rolled-back");
}

bool control_propose_is_allowed(struct control_job *job)
{
    if (job->control->facts.is_draining || job->control->document == NULL) {
        (void)err_set(&job->result.err, ERR_UNAVAILABLE, "lbd is starting or stopping");
        return control_job_refuse(job, "unavailable");
    }
    return is_ours_to_write(job) && owner_may_write(job) && preconditions_hold(job);
}

/* -- the next document -- */

static const char *edit_problem(enum err_kind kind)
{
    switch (kind) {
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_MALFORMED:
        return "malformed-json";
    case ERR_TOO_LARGE:
        return "too-large";
    case ERR_CONFLICT:
        return "in-use";
    case ERR_INVALID:
        return "invalid-config";
    case ERR_NONE:
    case ERR_PRECONDITION:
    case ERR_DENIED:
    case ERR_UNAVAILABLE:
    case ERR_STORAGE:
    case ERR_SYSTEM:
        break;
    }
    return "internal";
}

/* Somebody looks after it, who may set it back. */
static void warn_managed(struct control_job *job, struct slice pointer)
{
    struct slice owner = conf_owner_of(job->result.before, pointer);
    if (owner.len != 0) {
        conf_errors_warn_at(&job->errors, pointer, "managed",
                            "belongs to '%.*s', who may change it back", SLICE_ARG(owner));
    }
}

/* What has a body, or an old document for one. */
static bool propose_read(struct control_job *job)
{
    struct control_result *result = &job->result;
    struct control_reading reading;
    if (!control_ahead_take(job, &reading)) {
        control_read(&job->change, job->control->store, result->before, &job->errors, &reading);
    }
    result->document = reading.document;
    result->err = reading.err;
    result->operation = reading.operation;
    if (reading.is_clash) {
        return control_job_refuse(job, "owned-by-other");
    }
    return result->document != NULL || control_job_refuse(job, edit_problem(result->err.kind));
}

static bool propose_edit(struct control_job *job)
{
    const struct control_change *change = &job->change;
    struct control_result *result = &job->result;
    bool existed = conf_document_has(result->before, change->pointer);
    if (propose_read(job)) {
        result->is_created = !existed && change->edit != CONF_EDIT_DELETE;
        warn_managed(job, change->pointer);
        return true;
    }
    if (result->err.kind == ERR_NOT_FOUND && change->edit == CONF_EDIT_DELETE &&
        change->missing_is_fine) {
        err_clear(&result->err);
        result->problem = NULL;
        result->document = conf_document_ref(result->before);
        return true;
    }
    return false;
}

static bool propose_batch(struct control_job *job)
{
    const struct control_change *change = &job->change;
    if (!propose_read(job)) {
        return false;
    }
    for (uint32_t i = 0; i < change->operation_count; i++) {
        job->errors.operation = i + 1;
        warn_managed(job, change->operations[i].edit.pointer);
    }
    job->errors.operation = 0;
    return true;
}

static bool propose_rollback(struct control_job *job)
{
    job->result.rolled_back_to = job->change.revision;
    return propose_read(job);
}

void control_log_errors(const char *file, const struct conf_errors *errors)
{
    struct buf line;
    buf_init(&line, 4096);
    for (uint32_t i = 0; i < errors->error_count; i++) {
        buf_clear(&line);
        conf_file_describe(&errors->errors[i], false, file, &line);
        log_error("config.error", "%.*s", (int)line.len, line.data);
    }
    buf_fini(&line);
}

static void log_daemon_changes(const struct control *control, const struct conf_daemon *daemon)
{
    struct buf keys;
    buf_init(&keys, 4096);
    conf_file_daemon_changes(control->options.daemon, daemon, &keys);
    if (keys.len != 0) {
        log_warn("config.daemon_changed", "keys=\"%.*s\" takes_effect=after_restart", (int)keys.len,
                 keys.data);
    }
    buf_fini(&keys);
}

/* The signal asks whoever owns the configuration to have a look; the API is told when that is
 * itself. */
static bool stay_as_it_is(struct control_job *job, struct conf_document *read)
{
    const char *file = job->control->options.file;
    conf_document_unref(read);
    if (job->change.who.len != 0) {
        (void)err_set(&job->result.err, ERR_CONFLICT,
                      "the API holds the configuration; the file '%s' is not read", file);
        return control_job_refuse(job, "managed-by-api");
    }
    log_info("config.not_reread",
             "source=api file=%s hint=\"the API holds the configuration; lbctl apply -f %s\"", file,
             file);
    err_clear(&job->result.err);
    job->result.document = conf_document_ref(job->result.before);
    return true;
}

static bool propose_reload(struct control_job *job)
{
    struct control *control = job->control;
    const char *file = control->options.file;
    struct conf_daemon *daemon = NULL;
    struct conf_document *read = NULL;
    control_certs_look(control); /* what changed beside the document counts, too */
    bool ok = conf_file_load(file, &read, &daemon, &job->errors, &job->result.err);
    if (ok) {
        log_daemon_changes(control, daemon);
        conf_daemon_free(daemon);
    } else {
        control_log_errors(file, &job->errors);
    }
    if (control->facts.source == CONF_SOURCE_API) {
        return stay_as_it_is(job, read);
    }
    if (!ok) {
        return control_job_refuse(job, "invalid-config");
    }
    job->result.document = control_members_merge(control, read);
    conf_document_unref(read);
    return true;
}

static bool refuse_unknown_window(struct control_job *job)
{
    uint64_t current = job->control->facts.unconfirmed_revision;
    if (current != 0) {
        (void)err_set(&job->result.err, ERR_CONFLICT, "the unconfirmed revision is %llu",
                      (unsigned long long)current);
    } else {
        (void)err_set(&job->result.err, ERR_CONFLICT, "no revision waits to be confirmed");
    }
    return control_job_refuse(job, "not-unconfirmed");
}

static bool propose_confirm(struct control_job *job)
{
    struct control *control = job->control;
    if (job->change.revision != control->facts.unconfirmed_revision || job->change.revision == 0) {
        if (!control_owners_acknowledge(control, job->change.revision)) {
            return refuse_unknown_window(job);
        }
    }
    job->result.document = conf_document_ref(job->result.before);
    return true;
}

/* Back to what was confirmed last; nothing when that has been settled meanwhile. */
static bool propose_going_back(struct control_job *job)
{
    struct control *control = job->control;
    bool is_open = control->window.base != NULL;
    bool is_due = is_open && (job->change.kind == CONTROL_EXPIRE
                                  ? now_us() >= control->window.deadline_us
                                  : job->change.revision == control->facts.unconfirmed_revision);
    if (job->change.kind == CONTROL_REJECT && !is_due) {
        return refuse_unknown_window(job);
    }
    if (!is_due) {
        job->result.document = conf_document_ref(job->result.before);
        return true;
    }
    job->result.document = conf_document_ref(control->window.base);
    job->result.rolled_back_to = control->window.base_revision;
    return true;
}

bool control_propose(struct control_job *job)
{
    switch (job->change.kind) {
    case CONTROL_EDIT:
    case CONTROL_ENDPOINTS:
        return propose_edit(job);
    case CONTROL_BATCH:
        return propose_batch(job);
    case CONTROL_OWNER:
        return propose_read(job);
    case CONTROL_ROLLBACK:
        return propose_rollback(job);
    case CONTROL_RELOAD:
        return propose_reload(job);
    case CONTROL_CONFIRM:
        return propose_confirm(job);
    case CONTROL_REJECT:
    case CONTROL_EXPIRE:
        break;
    }
    return propose_going_back(job);
}
