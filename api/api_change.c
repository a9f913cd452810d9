#include "api/api_change.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_guard.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "conf/conf_diff.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

#define TEXT_MAX       (64U * 1024U * 1024U)
#define POINTER_MAX    1024U
#define CURRENT_MAX    (1024U * 1024U) /* of a resource that a 412 shows */
#define CONFIRM_MIN_MS 5000U
#define CONFIRM_MAX_MS (24U * 3600U * 1000U)
#define WAIT_MAX_MS    30000U

/* -- parameters -- */

/* False: the reply says what is wrong. Not given: *out stays. */
static bool duration(struct api_request *request, const char *name, uint32_t min_ms,
                     uint32_t max_ms, uint32_t *out)
{
    struct slice text = api_request_query(request, name);
    uint64_t ms = 0;
    char lowest[NUM_TEXT_MAX];
    char highest[NUM_TEXT_MAX];
    if (text.ptr == NULL) {
        return true;
    }
    if (num_parse_duration_ms(text, &ms) && ms >= min_ms && ms <= max_ms) {
        *out = (uint32_t)ms;
        return true;
    }
    (void)num_write_duration(lowest, min_ms);
    (void)num_write_duration(highest, max_ms);
    api_problem(request, "unknown-parameter", "'%s' must be a duration from %s to %s, not '%.*s'",
                name, lowest, highest, SLICE_ARG(text));
    return false;
}

bool api_change_begin(struct api_request *request, struct control_change *change)
{
    uint32_t wait_ms = UINT32_MAX;
    struct slice owner = api_request_query(request, "owner");
    change->if_match = request->if_match;
    change->if_none_match = request->if_none_match;
    change->is_dry_run = api_request_flag(request, "dry_run");
    change->is_forced = api_request_flag(request, "force");
    change->missing_is_fine = api_request_query(request, "missing").len != 0;
    change->needs_precondition = control_facts(request->control)->needs_preconditions;
    change->owner = owner;
    change->who = slice_from(request->who);
    if (!duration(request, "confirm_within", CONFIRM_MIN_MS, CONFIRM_MAX_MS,
                  &change->confirm_within_ms) ||
        !duration(request, "wait", 0, WAIT_MAX_MS, &wait_ms)) {
        api_request_done(request);
        return false;
    }
    if (owner.ptr != NULL && (owner.len == 0 || request->method != API_PUT)) {
        api_problem(request, "unknown-parameter",
                    "'owner' is a name, and only PUT /v1/config takes it");
        api_request_done(request);
        return false;
    }
    change->is_not_waiting = wait_ms == 0;
    change->wait_ms = wait_ms != UINT32_MAX ? wait_ms : 0;
    return true;
}

bool api_change_expects(struct api_request *request, bool is_there, const char *what)
{
    bool must_be = request->if_match.len != 0;
    bool must_not_be = request->if_none_match.len != 0;
    bool is_star = (!must_be || slice_eq(slice_trim(request->if_match), SLICE("*"))) &&
                   (!must_not_be || slice_eq(slice_trim(request->if_none_match), SLICE("*")));
    if ((!must_be && !must_not_be) ||
        (is_star && (!must_be || is_there) && (!must_not_be || !is_there))) {
        return true;
    }
    if (!is_star) {
        api_problem(request, "precondition-failed", "the %s has no tag: only * can be asked for",
                    what);
    } else {
        api_problem(request, "precondition-failed", "there is %s %s of this name",
                    is_there ? "a" : "no", what);
    }
    return false;
}

/* -- answers -- */

/* Does it say that what was written does nothing, where it was written? */
static bool is_of_written(const struct conf_error *warning, struct slice pointer)
{
    return (slice_eq(warning->code, SLICE("no-effect")) ||
            slice_eq(warning->code, SLICE("no-server"))) &&
           slice_starts(warning->pointer, pointer) &&
           (warning->pointer.len == pointer.len || warning->pointer.ptr[pointer.len] == '/');
}

/* The one that an answer has room for: of what others manage, else of the resource that was
 * written. NULL: none. */
static const struct conf_error *find_warning(const struct api_request *request,
                                             const struct conf_errors *errors)
{
    const struct conf_error *found = NULL;
    struct buf pointer;
    buf_init(&pointer, POINTER_MAX);
    if (request->row != NULL && request->row->pointer != NULL) {
        api_table_write_pointer(request->row, request->names, &pointer);
    }
    for (uint32_t i = 0; i < errors->warning_count; i++) {
        const struct conf_error *warning = &errors->warnings[i];
        if (slice_eq(warning->code, SLICE("managed"))) {
            found = warning;
            break;
        }
        if (found == NULL && pointer.len != 0 && is_of_written(warning, buf_slice(&pointer))) {
            found = warning;
        }
    }
    buf_fini(&pointer);
    return found;
}

void api_change_head(struct api_request *request, const struct control_result *result)
{
    const struct control_facts *facts = control_facts(request->control);
    bool is_done = result->err.kind == ERR_NONE;
    request->reply.has_changed = true;
    request->reply.revision = is_done ? result->revision : 0;
    request->reply.is_changed = is_done && result->is_changed && !result->is_dry_run;
    if (request->reply.is_changed) {
        api_guard_note_changes(request, result->before, result->document);
    }
    const struct conf_error *warning = is_done ? find_warning(request, result->errors) : NULL;
    if (warning != NULL) {
        api_request_header(request, "Lbd-Warning", "%.*s %.*s", SLICE_ARG(warning->pointer),
                           SLICE_ARG(warning->detail));
    }
    if (request->reply.is_changed && facts->unconfirmed_revision != 0 &&
        facts->unconfirmed_revision >= result->revision) {
        char date[NOW_LOG_DATE_LEN + 1];
        now_log_date(date, facts->confirm_deadline_wall_us);
        api_request_header(request, "Lbd-Confirm-Deadline", "%s", date);
    }
}

static void write_change(struct json_write *w, const struct conf_change *change)
{
    static const char *const words[] = {
        [CONF_ADDED] = "added", [CONF_REMOVED] = "removed", [CONF_CHANGED] = "changed"};
    json_write_object_begin(w);
    json_write_member_text(w, "change", words[change->kind]);
    json_write_key(w, "pointer");
    struct buf pointer;
    buf_init(&pointer, 65536);
    (void)buf_printf(&pointer, "#%.*s", SLICE_ARG(change->pointer));
    json_write_string(w, buf_slice(&pointer));
    buf_fini(&pointer);
    if (change->before.len != 0) {
        json_write_key(w, "before");
        json_write_raw(w, change->before);
    }
    if (change->after.len != 0) {
        json_write_key(w, "after");
        json_write_raw(w, change->after);
    }
    json_write_object_end(w);
}

void api_change_write(struct json_write *w, const struct conf_document *before,
                      const struct conf_document *after)
{
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, before, after);
    json_write_key(w, "changes");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < diff.count; i++) {
        write_change(w, &diff.changes[i]);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "changes_total", diff.total);
    conf_diff_fini(&diff);
}

void api_change_dry_run(struct api_request *request, const struct control_result *result,
                        bool has_resource, struct slice pointer)
{
    struct json_write w;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    if (has_resource && conf_document_text(result->document, pointer, &text)) {
        json_write_key(&w, "resource");
        json_write_raw(&w, buf_slice(&text));
    }
    api_change_write(&w, result->before, result->document);
    api_problem_write_warnings(&w, result->errors);
    json_write_object_end(&w);
    api_request_json_end(request, result->is_created ? 201 : 200);
    buf_fini(&text);
}

/* Tag, and of a single resource what it is now: who lost the race need not ask again. */
static void tell_current(struct api_request *request, struct slice pointer, struct buf *current)
{
    struct conf_document *document = control_document(request->control);
    uint32_t slashes = 0;
    for (size_t i = 0; i < pointer.len; i++) {
        slashes += pointer.ptr[i] == '/' ? 1U : 0U;
    }
    if (!control_etag(document, pointer, request->reply.etag)) {
        request->reply.etag[0] = '\0';
    } else if (slashes != 0 && slashes % 2 == 0 &&
               !conf_document_text(document, pointer, current)) {
        buf_clear(current);
    }
    if (current->overflow) {
        buf_clear(current);
    }
}

void api_change_fail(struct api_request *request, const struct control_result *result,
                     struct slice pointer)
{
    struct buf detail;
    struct buf current;
    const char *type = result->problem != NULL ? result->problem : api_problem_of(result->err.kind);
    buf_init(&detail, 1024);
    buf_init(&current, CURRENT_MAX);
    if (result->err.kind == ERR_INVALID && result->errors->error_count != 0) {
        conf_errors_summary(result->errors, &detail);
        (void)buf_append_text(&detail, "; nothing was changed");
    } else {
        (void)buf_append_text(&detail, result->err.text);
    }
    if (strcmp(type, "precondition-failed") == 0) {
        tell_current(request, pointer, &current);
    }
    if (strcmp(type, "unavailable") == 0) {
        api_request_header(request, "Retry-After", "1");
    }
    const struct api_problem_more more = {
        .errors = result->errors, .operation = result->operation, .current = buf_slice(&current)};
    api_problem_more(request, type, detail.data, &more);
    buf_fini(&current);
    buf_fini(&detail);
}
