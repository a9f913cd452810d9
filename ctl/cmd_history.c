#include "ctl/cmd_history.h"

#include <string.h>

#include "ctl/cmd_apply.h"
#include "ctl/pager.h"
#include "ctl/print_change.h"
#include "ctl/print_table.h"
#include "ctl/proposal.h"
#include "ctl/when.h"
#include "lbd/base/num.h"

/* -- history -- */

static struct slice state_of(const struct json *revision)
{
    bool is_current = json_bool(json_get(revision, SLICE("current")));
    const struct json *confirmed = json_get(revision, SLICE("confirmed"));
    bool is_unconfirmed = json_is(confirmed, JSON_BOOL) && !json_bool(confirmed);
    if (is_current) {
        return is_unconfirmed ? SLICE("unconfirmed") : SLICE("current");
    }
    return is_unconfirmed ? SLICE("never confirmed") : SLICE("");
}

static void add_revision(const struct ctl *ctl, struct print_table *table,
                         const struct json *revision)
{
    char when[WHEN_TEXT_MAX];
    struct slice state = state_of(revision);
    uint64_t back_to = ctl_number(revision, "rolled_back_to");
    when_write_text(when, ctl_text(revision, "time"));
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(revision, "revision"));
    print_table_cell(table, PRINT_PLAIN, slice_from(when));
    print_table_cell(table, slice_eq(state, SLICE("current")) ? PRINT_GOOD : PRINT_WARN, state);
    print_table_cell(table, PRINT_PLAIN, ctl_text(revision, "via"));
    print_table_cell(table, PRINT_PLAIN, ctl_text(revision, "who"));
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(revision, "changes_total"));
    if (ctl->output == CTL_WIDE) {
        print_table_cell(table, PRINT_PLAIN, ctl_text(revision, "hash"));
        print_table_cellf(table, PRINT_PLAIN, "%llu",
                          (unsigned long long)ctl_number(revision, "bytes"));
    }
    if (back_to != 0) {
        print_table_cellf(table, PRINT_PLAIN, "back to %llu", (unsigned long long)back_to);
    } else {
        print_table_cell(table, PRINT_PLAIN, ctl_text(revision, "summary"));
    }
}

static void print_revisions(struct ctl *ctl, const struct json *revisions, uint64_t limit)
{
    struct print_table table;
    const struct json *revision;
    print_table_init(&table);
    print_table_column(&table, ">REVISION");
    print_table_column(&table, "TIME");
    print_table_column(&table, "STATE");
    print_table_column(&table, "VIA");
    print_table_column(&table, "WHO");
    print_table_column(&table, ">CHANGES");
    if (ctl->output == CTL_WIDE) {
        print_table_column(&table, "HASH");
        print_table_column(&table, ">BYTES");
    }
    print_table_column(&table, "SUMMARY");
    json_for_each(revision, revisions)
    {
        if (limit-- == 0) {
            break;
        }
        add_revision(ctl, &table, revision);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

/* One a line: the revisions themselves, or their numbers. */
static void print_lines(struct ctl *ctl, const struct json *revisions, uint64_t limit)
{
    const struct json *revision;
    json_for_each(revision, revisions)
    {
        if (limit-- == 0) {
            break;
        }
        if (ctl->output == CTL_NAME) {
            (void)fprintf(ctl->out, "%llu\n", (unsigned long long)ctl_number(revision, "revision"));
        } else {
            ctl_print_json(ctl, revision);
        }
    }
}

/* The document of the API, with as many as were asked for. */
static void print_document(struct ctl *ctl, const struct json *revisions, uint64_t limit)
{
    const struct json *revision;
    struct json *document = json_new_object();
    struct json *list = json_new_array();
    json_for_each(revision, revisions)
    {
        if (limit-- == 0) {
            break;
        }
        json_append(list, json_copy(revision));
    }
    json_set(document, SLICE("revisions"), list);
    ctl_print_json(ctl, document);
    json_free(document);
}

enum ctl_exit cmd_history(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    uint64_t limit = UINT64_MAX;
    struct pager pager;
    struct json *answer = ctl_get(ctl, "/v1/revisions", NULL, &code);
    if (answer == NULL) {
        return code;
    }
    if (ctl->limit != NULL && !num_parse_u64(slice_from(ctl->limit), &limit)) {
        limit = UINT64_MAX; /* the parser has seen to it */
    }
    const struct json *revisions = json_get(answer, SLICE("revisions"));
    switch (ctl->output) {
    case CTL_JSON:
        print_document(ctl, revisions, limit);
        break;
    case CTL_JSONL:
    case CTL_NAME:
        print_lines(ctl, revisions, limit);
        break;
    case CTL_TABLE:
    case CTL_WIDE:
        pager_begin(ctl, &pager);
        print_revisions(ctl, revisions, limit);
        pager_end(ctl, &pager);
        break;
    }
    json_free(answer);
    return CTL_OK;
}

/* -- rollback -- */

/* The revision before the current one. 0: printed why there is none. */
static uint64_t find_previous(struct ctl *ctl, uint64_t current, enum ctl_exit *code)
{
    uint64_t previous = 0;
    const struct json *revision;
    struct json *answer = ctl_get(ctl, "/v1/revisions", NULL, code);
    if (answer == NULL) {
        return 0;
    }
    json_for_each(revision, json_get(answer, SLICE("revisions")))
    {
        uint64_t number = ctl_number(revision, "revision");
        if (number < current && number > previous) {
            previous = number;
        }
    }
    if (previous == 0) {
        *code = ctl_fail(ctl, CTL_NOT_FOUND, "there is no revision before %llu",
                         (unsigned long long)current);
    }
    json_free(answer);
    return previous;
}

/* Prints what would change. False: printed why that cannot be said. */
static bool show_changes(struct ctl *ctl, uint64_t current, uint64_t wanted, uint64_t *changes,
                         enum ctl_exit *code)
{
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "/v1/revisions/%llu/diff?to=%llu", (unsigned long long)current,
               (unsigned long long)wanted);
    struct json *answer = ctl_get(ctl, target.data, NULL, code);
    bool ok = answer != NULL;
    *changes = print_change_count(answer);
    if (ok && !ctl_wants_json(ctl)) {
        print_change_list(ctl, ctl->out, answer);
    } else if (ok && ctl->dry_run) {
        ctl_print_json(ctl, answer);
    }
    json_free(answer);
    buf_fini(&target);
    return ok;
}

static enum ctl_exit confirm_rollback(struct ctl *ctl, const struct json *before, uint64_t wanted)
{
    enum ctl_exit code = CTL_OK;
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "/v1/revisions/%llu/config", (unsigned long long)wanted);
    struct json *after = ctl_get(ctl, target.data, NULL, &code);
    if (after != NULL) {
        code = cmd_apply_confirm(ctl, before, after, NULL);
    }
    json_free(after);
    buf_fini(&target);
    return code;
}

static enum ctl_exit roll_back(struct ctl *ctl, uint64_t current, uint64_t wanted, uint64_t changes)
{
    enum ctl_exit code = CTL_OK;
    struct rest_reply reply;
    struct buf target;
    struct buf undo;
    rest_reply_init(&reply);
    buf_init(&target, CTL_PATH_MAX);
    buf_init(&undo, CTL_PATH_MAX);
    buf_printf(&target, "/v1/revisions/%llu/rollback", (unsigned long long)wanted);
    ctl_query(&target, "confirm_within", ctl->confirm_within);
    buf_printf(&undo, "lbctl rollback %llu", (unsigned long long)current);
    struct json *answer = ctl_post(ctl, target.data, SLICE_NONE, &reply, &code);
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL && !reply.is_changed) {
        (void)fprintf(ctl->out, "unchanged: revision %llu is the same as %llu\n",
                      (unsigned long long)reply.revision, (unsigned long long)wanted);
    } else if (answer != NULL) {
        (void)fprintf(ctl->out, "rolled back to %llu: %llu %s", (unsigned long long)wanted,
                      (unsigned long long)changes, ctl_plural(changes, "change", "changes"));
        proposal_end_line(ctl, &reply, buf_slice(&undo));
    }
    json_free(answer);
    buf_fini(&undo);
    buf_fini(&target);
    rest_reply_fini(&reply);
    return code;
}

/* Reads the number of a revision. */
static bool read_revision(struct ctl *ctl, const char *text, uint64_t *number, enum ctl_exit *code)
{
    if (num_parse_u64(slice_from(text), number) && *number != 0) {
        return true;
    }
    *code = ctl_fail(ctl, CTL_USAGE, "a revision is a number, not '%s'", text);
    ctl_hint(ctl, "lbctl history");
    return false;
}

enum ctl_exit cmd_history_rollback(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct rest_reply reply;
    struct json *before = NULL;
    uint64_t wanted = 0;
    uint64_t changes = 0;
    rest_reply_init(&reply);
    if (ctl->arg_count != 0 && !read_revision(ctl, ctl->args[0], &wanted, &code)) {
        goto out;
    }
    before = ctl_get(ctl, "/v1/config", &reply, &code);
    if (before == NULL) {
        goto out;
    }
    if (wanted == 0) {
        wanted = find_previous(ctl, reply.revision, &code);
    }
    if (wanted == 0 || !show_changes(ctl, reply.revision, wanted, &changes, &code)) {
        goto out;
    }
    if (ctl->dry_run) {
        if (!ctl_wants_json(ctl)) {
            (void)fprintf(ctl->out, "not rolled back to %llu (dry run): %llu %s\n",
                          (unsigned long long)wanted, (unsigned long long)changes,
                          ctl_plural(changes, "change", "changes"));
        }
        goto out;
    }
    code = confirm_rollback(ctl, before, wanted);
    if (code == CTL_OK) {
        code = roll_back(ctl, reply.revision, wanted, changes);
    }
out:
    json_free(before);
    rest_reply_fini(&reply);
    return code;
}

/* -- confirm, reject -- */

/* The one that was named, else the one that waits, else the current one; and the one before it,
 * when that is told (0: it is not). */
static bool find_unconfirmed(struct ctl *ctl, uint64_t *number, uint64_t *base, enum ctl_exit *code)
{
    *base = 0;
    if (ctl->arg_count != 0) {
        return read_revision(ctl, ctl->args[0], number, code);
    }
    struct json *status = ctl_get(ctl, "/v1/config/status", NULL, code);
    if (status == NULL) {
        return false;
    }
    *number = ctl_number(status, "unconfirmed.revision");
    *base = ctl_number(status, "unconfirmed.base_revision");
    if (*number == 0) {
        *number = ctl_number(status, "revision");
    }
    json_free(status);
    return true;
}

static struct json *decide(struct ctl *ctl, const char *verb, uint64_t number,
                           struct rest_reply *reply, enum ctl_exit *code)
{
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "/v1/revisions/%llu/%s", (unsigned long long)number, verb);
    struct json *answer = ctl_post(ctl, target.data, SLICE_NONE, reply, code);
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    }
    buf_fini(&target);
    return answer;
}

enum ctl_exit cmd_history_confirm(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    uint64_t number = 0;
    uint64_t base = 0;
    if (!find_unconfirmed(ctl, &number, &base, &code)) {
        return code;
    }
    struct json *answer = decide(ctl, "confirm", number, NULL, &code);
    if (answer != NULL && !ctl_wants_json(ctl)) {
        (void)fprintf(ctl->out, "confirmed: revision %llu stays", (unsigned long long)number);
        if (base != 0) {
            (void)fprintf(ctl->out, " (undo: lbctl rollback %llu)", (unsigned long long)base);
        }
        (void)fputc('\n', ctl->out);
    }
    json_free(answer);
    return code;
}

enum ctl_exit cmd_history_reject(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    uint64_t number = 0;
    uint64_t base = 0;
    struct rest_reply reply;
    rest_reply_init(&reply);
    struct json *answer = NULL;
    if (find_unconfirmed(ctl, &number, &base, &code)) {
        answer = decide(ctl, "reject", number, &reply, &code);
    }
    if (answer != NULL && !ctl_wants_json(ctl)) {
        struct buf undo;
        buf_init(&undo, CTL_PATH_MAX);
        buf_printf(&undo, "lbctl rollback %llu", (unsigned long long)number);
        (void)fprintf(ctl->out, "rejected: revision %llu; back to %llu", (unsigned long long)number,
                      (unsigned long long)ctl_number(answer, "rolled_back_to"));
        proposal_end_line(ctl, &reply, buf_slice(&undo));
        buf_fini(&undo);
    }
    json_free(answer);
    rest_reply_fini(&reply);
    return code;
}
