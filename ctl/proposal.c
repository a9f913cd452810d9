#include "ctl/proposal.h"

#include <string.h>

#include "ctl/print_change.h"
#include "ctl/print_table.h"
#include "ctl/when.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

enum { UNDO_MAX = 64 * 1024 };

void proposal_init(struct proposal *proposal, struct ctl *ctl, const char *method, const char *path)
{
    *proposal = (struct proposal){.ctl = ctl, .method = method, .path = path, .done = "applied"};
    buf_init(&proposal->undo, UNDO_MAX);
}

void proposal_fini(struct proposal *proposal)
{
    buf_fini(&proposal->undo);
}

/* The query that the options of the command ask for. */
static void write_target(const struct proposal *proposal, bool is_rehearsal, struct buf *target)
{
    const struct ctl *ctl = proposal->ctl;
    buf_append_text(target, proposal->path);
    if (is_rehearsal) {
        ctl_query(target, "dry_run", "true");
    }
    ctl_query(target, "confirm_within", is_rehearsal ? NULL : ctl->confirm_within);
    ctl_query(target, "owner", ctl->owner);
    ctl_query(target, "force", ctl->force ? "true" : NULL);
}

/* Is the reply the answer that was hoped for? Else tells why, or leaves it to who wants to. */
static bool take_reply(struct proposal *proposal, struct rest_reply *reply, enum ctl_exit *code)
{
    if (reply->status < 300) {
        return true;
    }
    if (reply->status == 412) {
        proposal->was_overtaken = true;
        *code = CTL_CONFLICT;
    } else if (proposal->refusal != NULL) {
        struct rest_reply old = *proposal->refusal;
        *proposal->refusal = *reply;
        *reply = old;
        *code = ctl_exit_of(proposal->refusal->status);
    } else {
        *code = refusal_print(proposal->ctl, reply, proposal->source);
    }
    return false;
}

/* A patch is another kind of document. */
static const char *content_type_of(const char *method)
{
    if (strcmp(method, "DELETE") == 0) {
        return NULL;
    }
    return strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : "application/json";
}

static bool send_it(struct proposal *proposal, bool is_rehearsal, struct rest_reply *reply,
                    enum ctl_exit *code)
{
    struct buf target;
    bool has_etag = proposal->etag != NULL && proposal->etag[0] != '\0';
    buf_init(&target, (size_t)2 * CTL_PATH_MAX);
    write_target(proposal, is_rehearsal, &target);
    const struct rest_request request = {
        .method = proposal->method,
        .target = target.data,
        .content_type = content_type_of(proposal->method),
        .if_match = has_etag ? proposal->etag : NULL,
        .if_none = proposal->if_none,
        .body = proposal->body,
    };
    bool ok = !target.overflow;
    if (!ok) {
        *code = ctl_fail(proposal->ctl, CTL_USAGE, "the name is too long");
    }
    ok = ok && ctl_ask(proposal->ctl, &request, reply, code) && take_reply(proposal, reply, code);
    buf_fini(&target);
    return ok;
}

/* Lines in a text that is gone afterwards help nobody. */
static void print_warnings(const struct proposal *proposal, const struct json *answer)
{
    struct refusal_source source = {.name = NULL};
    if (proposal->source != NULL) {
        source = *proposal->source;
        source.name = proposal->refusal != NULL ? NULL : source.name;
    }
    refusal_print_warnings(proposal->ctl, answer, &source, REFUSAL_WARNINGS_SHOWN);
}

enum ctl_exit proposal_rehearse(struct proposal *proposal)
{
    struct ctl *ctl = proposal->ctl;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct json *answer = NULL;
    proposal->was_overtaken = false;
    rest_reply_init(&reply);
    if (!send_it(proposal, true, &reply, &code)) {
        goto out;
    }
    answer = ctl_body(&reply);
    if (answer == NULL) {
        code = ctl_fail(ctl, CTL_BUG, "the answer to a dry run is not JSON");
        goto out;
    }
    print_warnings(proposal, answer);
    proposal->change_count = print_change_count(answer);
    if (!ctl_wants_json(ctl)) {
        print_change_list(ctl, ctl->out, answer);
    } else if (ctl->dry_run) {
        ctl_print_json(ctl, answer);
    }
out:
    json_free(answer);
    rest_reply_fini(&reply);
    return code;
}

void proposal_end_line(struct ctl *ctl, const struct rest_reply *reply, struct slice undo)
{
    FILE *out = ctl->out;
    uint64_t within_ms;
    (void)fprintf(out, ", revision %llu", (unsigned long long)reply->revision);
    if (reply->status == 202) {
        (void)fputs(", not everywhere yet (lbctl status)", out);
    }
    if (ctl->confirm_within != NULL &&
        num_parse_duration_ms(slice_from(ctl->confirm_within), &within_ms)) {
        char clock[WHEN_TEXT_MAX];
        when_write_clock(clock, now_wall_us() / 1000 + within_ms);
        (void)fprintf(out, "; taken back at %s unless you say: lbctl confirm (undo: lbctl reject)",
                      clock);
    } else if (undo.len != 0) {
        (void)fputs(" (undo: ", out);
        print_text(out, undo);
        (void)fputc(')', out);
    }
    (void)fputc('\n', out);
}

static void say_done(struct proposal *proposal, const struct rest_reply *reply)
{
    struct ctl *ctl = proposal->ctl;
    uint64_t changes = proposal->change_count;
    if (!reply->is_changed) {
        (void)fprintf(ctl->out, "unchanged: revision %llu\n", (unsigned long long)reply->revision);
        return;
    }
    if (proposal->undo.len == 0 && proposal->revision_before != 0) {
        buf_printf(&proposal->undo, "lbctl rollback %llu",
                   (unsigned long long)proposal->revision_before);
    }
    (void)fprintf(ctl->out, "%s: %llu %s", proposal->done, (unsigned long long)changes,
                  ctl_plural(changes, "change", "changes"));
    proposal_end_line(ctl, reply, buf_slice(&proposal->undo));
}

enum ctl_exit proposal_perform(struct proposal *proposal)
{
    struct ctl *ctl = proposal->ctl;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    proposal->was_overtaken = false;
    if (ctl->dry_run) {
        if (!ctl_wants_json(ctl)) {
            uint64_t changes = proposal->change_count;
            (void)fprintf(ctl->out, "not %s (dry run): %llu %s\n", proposal->done,
                          (unsigned long long)changes, ctl_plural(changes, "change", "changes"));
        }
        return CTL_OK;
    }
    rest_reply_init(&reply);
    if (send_it(proposal, false, &reply, &code)) {
        if (ctl_wants_json(ctl)) {
            ctl_print_body(ctl, &reply);
        } else {
            say_done(proposal, &reply);
        }
    }
    rest_reply_fini(&reply);
    return code;
}

bool proposal_tries_again(const struct ctl *ctl, uint32_t tries)
{
    bool again = tries < PROPOSAL_TRIES;
    if (again) {
        (void)fflush(ctl->out);
        (void)fputs("somebody else was faster; once more\n", ctl->err);
    }
    return again;
}
