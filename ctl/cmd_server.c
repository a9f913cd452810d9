#include "ctl/cmd_server.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/admin_target.h"
#include "ctl/cmd_status.h"
#include "ctl/cmd_wait.h"
#include "ctl/confirm.h"
#include "ctl/print_table.h"
#include "ctl/refusal.h"
#include "ctl/when.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

static const char maint_default[] = "1h";
static const char maint_endless[] = "forever";

/* A state as the API names it, and the command that leads to it. */
struct admin {
    const char *state;
    const char *command;
    const char *done[2]; /* what is said before and after its name */
    const char *stays;   /* it was that before, and other things about it are new */
    const char *fate;    /* for the question before; NULL: nobody needs to be asked */
};

static const struct admin admins[] = {
    {"ready", "enable", {"enabled ", ""}, "enabled", NULL},
    {"drain", "drain", {"drained ", ""}, "drained", "drained"},
    {"maint", "maint", {"", " in maintenance"}, "in maintenance", "taken out"},
};

static const struct admin *admin_of(struct slice state)
{
    for (size_t i = 0; i < ARRAY_LEN(admins); i++) {
        if (slice_eq(slice_from(admins[i].state), state)) {
            return &admins[i];
        }
    }
    return NULL;
}

/* PUT of a small document that is no configuration. True: done. */
static bool put(struct ctl *ctl, const char *path, const struct buf *body, struct rest_reply *reply,
                enum ctl_exit *code)
{
    if (body->overflow) {
        *code = ctl_fail(ctl, CTL_USAGE, "--reason is too long");
        return false;
    }
    const struct rest_request request = {.method = "PUT",
                                         .target = path,
                                         .content_type = "application/json",
                                         .body = buf_slice(body)};
    if (!ctl_ask(ctl, &request, reply, code)) {
        return false;
    }
    if (reply->status >= 300) {
        *code = refusal_print(ctl, reply, NULL);
        return false;
    }
    return true;
}

static void write_optional(struct json_write *w, const char *key, const char *value)
{
    if (value != NULL) {
        json_write_member_text(w, key, value);
    }
}

/* -- drain, enable, maint -- */

/* How long a maintenance lasts; NULL: for ever, or it is none. */
static const char *expiry(const struct ctl *ctl, const struct admin *wish)
{
    if (strcmp(wish->state, "maint") != 0) {
        return NULL;
    }
    if (ctl->until == NULL) {
        return maint_default;
    }
    return strcmp(ctl->until, maint_endless) == 0 ? NULL : ctl->until;
}

static void write_wish(const struct ctl *ctl, const struct admin *wish, struct buf *body)
{
    struct json_write w;
    json_write_init(&w, body, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "state", wish->state);
    write_optional(&w, "reason", ctl->reason);
    write_optional(&w, "deadline", ctl->deadline);
    write_optional(&w, "on_deadline", ctl->on_deadline);
    write_optional(&w, "expires", expiry(ctl, wish));
    json_write_object_end(&w);
}

/* ": 17 connections left, closed at 19:42:05" */
static void say_left(struct ctl *ctl, const struct json *answer, uint64_t left)
{
    struct slice deadline = ctl_text(answer, "drain.deadline");
    (void)fprintf(ctl->out, ": %llu %s left", (unsigned long long)left,
                  ctl_plural(left, "connection", "connections"));
    if (deadline.len != 0 && left != 0) {
        char clock[WHEN_TEXT_MAX];
        bool is_kept = slice_eq(ctl_text(answer, "drain.on_deadline"), SLICE("keep"));
        when_write_text(clock, deadline);
        (void)fprintf(ctl->out, ", %s %s", is_kept ? "waited for until" : "closed at", clock);
    }
}

static void say_until(struct ctl *ctl, const char *expires)
{
    uint64_t ms;
    char clock[WHEN_TEXT_MAX];
    if (expires != NULL && num_parse_duration_ms(slice_from(expires), &ms)) {
        when_write_clock(clock, now_wall_us() / 1000 + ms);
        (void)fprintf(ctl->out, " until %s", clock);
    }
}

/* Is it in the same state for the same reason and time? */
static bool is_same(const struct json *before, const struct json *after)
{
    static const char *const members[] = {"override.reason", "override.expires", "drain.deadline",
                                          "drain.on_deadline"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!slice_eq(ctl_text(before, members[i]), ctl_text(after, members[i]))) {
            return false;
        }
    }
    return true;
}

/* " --for 1800s": how long a moment is ahead. False: it is not. */
static bool write_ahead(FILE *out, const char *option, struct slice moment)
{
    uint64_t wall_ms;
    uint64_t now_ms = now_wall_us() / 1000;
    if (!when_parse(moment, &wall_ms) || wall_ms <= now_ms) {
        return false;
    }
    (void)fprintf(out, " %s %llus", option, (unsigned long long)((wall_ms - now_ms + 999) / 1000));
    return true;
}

/* " (undo: lbctl maint web/anna --for 1800s)" */
static void say_undo(struct ctl *ctl, const struct admin_target *target, const struct admin *was,
                     const struct json *before)
{
    (void)fprintf(ctl->out, " (undo: lbctl %s %s", was->command, target->name.data);
    if (strcmp(was->state, "maint") == 0 &&
        !write_ahead(ctl->out, "--for", ctl_text(before, "override.expires"))) {
        (void)fprintf(ctl->out, " --for %s", maint_endless);
    }
    if (slice_eq(ctl_text(before, "drain.phase"), SLICE("waiting"))) {
        (void)write_ahead(ctl->out, "--deadline", ctl_text(before, "drain.deadline"));
    }
    (void)fputc(')', ctl->out);
}

/* "drained web/anna: 17 connections left (undo: lbctl enable web/anna)" */
static enum ctl_exit say(struct ctl *ctl, const struct admin_target *target,
                         const struct admin *wish, const struct json *before,
                         const struct json *answer)
{
    enum ctl_exit code = CTL_OK;
    uint64_t left = 0;
    const char *expires = expiry(ctl, wish);
    const struct admin *was = admin_of(ctl_text(before, "state"));
    bool same = was == wish && is_same(before, answer);
    if (same) {
        (void)fprintf(ctl->out, "unchanged: %s has the state %s already", target->name.data,
                      wish->state);
    } else if (was == wish) {
        (void)fprintf(ctl->out, "%s stays %s", target->name.data, wish->stays);
    } else {
        (void)fprintf(ctl->out, "%s%s%s", wish->done[0], target->name.data, wish->done[1]);
    }
    say_until(ctl, expires);
    if (wish->fate != NULL && !admin_target_connections(ctl, target, &left, &code)) {
        return code;
    }
    if (wish->fate != NULL) {
        say_left(ctl, answer, left);
    } else if (target->kind == ADMIN_SERVER) {
        (void)fputs(", health ", ctl->out);
        code = cmd_status_print_health(ctl, &target->server);
    }
    if (!same && was != NULL) {
        say_undo(ctl, target, was, before);
    }
    (void)fputc('\n', ctl->out);
    if (expires == maint_default) {
        ctl_hint(ctl, "it comes back by itself then; --for TIME or --for %s says otherwise",
                 maint_endless);
    }
    return code;
}

static enum ctl_exit confirm_taking_out(struct ctl *ctl, const struct admin_target *target,
                                        const struct admin *wish)
{
    switch (target->kind) {
    case ADMIN_SERVER:
        return server_name_confirm_last(ctl, target->name.data, wish->fate);
    case ADMIN_LISTENER:
        return confirm_ask(ctl, "%s would take no new connections", target->name.data);
    case ADMIN_PROCESS:
        break;
    }
    return confirm_ask(ctl, "no listener would take new connections");
}

static enum ctl_exit change(struct ctl *ctl, const struct admin_target *target,
                            const struct admin *wish)
{
    struct buf path;
    struct buf body;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct json *before = NULL;
    struct json *answer = NULL;
    buf_init(&path, (size_t)2 * CTL_PATH_MAX);
    buf_init(&body, (size_t)2 * CTL_PATH_MAX);
    rest_reply_init(&reply);
    buf_printf(&path, "%s/admin-state", target->path.data);
    write_wish(ctl, wish, &body);

    before = admin_target_get(ctl, target, &code);
    if (before == NULL) {
        goto out;
    }
    if (admin_of(ctl_text(before, "state")) != wish && wish->fate != NULL) {
        code = confirm_taking_out(ctl, target, wish);
    }
    if (code != CTL_OK || !put(ctl, path.data, &body, &reply, &code)) {
        goto out;
    }
    answer = ctl_body(&reply);
    if (ctl_wants_json(ctl)) {
        ctl_print_body(ctl, &reply);
    } else {
        code = say(ctl, target, wish, before, answer);
    }
out:
    json_free(answer);
    json_free(before);
    rest_reply_fini(&reply);
    buf_fini(&body);
    buf_fini(&path);
    return code;
}

static enum ctl_exit check_options(struct ctl *ctl, const struct admin_target *target,
                                   const struct admin *wish)
{
    uint64_t ms;
    const char *expires = expiry(ctl, wish);
    if (ctl->on_deadline != NULL && strcmp(ctl->on_deadline, "close") != 0 &&
        strcmp(ctl->on_deadline, "keep") != 0) {
        return ctl_fail(ctl, CTL_USAGE, "--on-deadline must be close or keep, not '%s'",
                        ctl->on_deadline);
    }
    if (expires != NULL && !num_parse_duration_ms(slice_from(expires), &ms)) {
        return ctl_fail(ctl, CTL_USAGE, "--for must be a time such as 30m or 2h, or %s, not '%s'",
                        maint_endless, expires);
    }
    if (target->kind != ADMIN_SERVER && strcmp(wish->state, "maint") == 0) {
        return ctl_fail(ctl, CTL_USAGE, "maintenance is for servers; lbctl drain %s",
                        target->name.data);
    }
    return CTL_OK;
}

static enum ctl_exit run(struct ctl *ctl, const char *state)
{
    struct admin_target target;
    enum ctl_exit code = CTL_OK;
    uint64_t timeout_ms = ctl->timeout_ms;
    const struct admin *wish = admin_of(slice_from(state));
    if (ctl->wait) { /* --timeout is that of the wait */
        ctl->timeout_ms = CTL_TIMEOUT_MS;
    }
    if (!admin_target_read(ctl, ctl->args[0], &target, &code)) {
        goto out;
    }
    code = check_options(ctl, &target, wish);
    if (code == CTL_OK) {
        code = change(ctl, &target, wish);
    }
    if (code == CTL_OK && ctl->wait) {
        (void)fflush(ctl->out);
        ctl->timeout_ms = timeout_ms;
        code = cmd_wait_for_drain(ctl, &target);
    }
out:
    admin_target_fini(&target);
    return code;
}

enum ctl_exit cmd_server_drain(struct ctl *ctl)
{
    return run(ctl, "drain");
}

enum ctl_exit cmd_server_enable(struct ctl *ctl)
{
    return run(ctl, "ready");
}

enum ctl_exit cmd_server_maint(struct ctl *ctl)
{
    return run(ctl, "maint");
}

/* -- weight -- */

/* 50 as a number, 50% as a text. */
static bool write_weight(const char *text, struct json_write *w)
{
    uint64_t weight;
    size_t len = strlen(text);
    bool is_percent = len != 0 && text[len - 1] == '%';
    if (!num_parse_u64(slice_of(text, is_percent ? len - 1 : len), &weight)) {
        return false;
    }
    json_write_key(w, "weight");
    if (is_percent) {
        json_write_text(w, text);
    } else {
        json_write_u64(w, weight);
    }
    return true;
}

static void say_weight(struct ctl *ctl, const char *name, const struct json *before,
                       const struct json *after)
{
    uint64_t was = ctl_number(before, "weight");
    uint64_t is = ctl_number(after, "weight");
    bool was_overridden = ctl_member(before, "override") != NULL;
    if (was == is && was_overridden == (ctl_member(after, "override") != NULL)) {
        (void)fprintf(ctl->out, "unchanged: %s has the weight %llu already\n", name,
                      (unsigned long long)was);
        return;
    }
    (void)fprintf(ctl->out, "%s: weight %llu -> %llu", name, (unsigned long long)was,
                  (unsigned long long)is);
    say_until(ctl, ctl->until);
    if (was_overridden) {
        (void)fprintf(ctl->out, " (undo: lbctl weight %s %llu)\n", name, (unsigned long long)was);
    } else {
        (void)fprintf(ctl->out, " (undo: lbctl weight %s reset)\n", name);
    }
}

static bool send_weight(struct ctl *ctl, const char *path, struct rest_reply *reply,
                        enum ctl_exit *code)
{
    struct buf body;
    struct json_write w;
    uint64_t ms;
    bool ok = false;
    if (strcmp(ctl->args[1], "reset") == 0) {
        const struct rest_request request = {.method = "DELETE", .target = path};
        ok = ctl_ask(ctl, &request, reply, code);
        if (ok && reply->status >= 300 && reply->status != 404) {
            *code = refusal_print(ctl, reply, NULL);
            return false;
        }
        return ok;
    }
    if (ctl->until != NULL && !num_parse_duration_ms(slice_from(ctl->until), &ms)) {
        *code = ctl_fail(ctl, CTL_USAGE, "--for must be a time such as 30m or 2h, not '%s'",
                         ctl->until);
        return false;
    }
    buf_init(&body, (size_t)2 * CTL_PATH_MAX);
    json_write_init(&w, &body, JSON_COMPACT);
    json_write_object_begin(&w);
    if (!write_weight(ctl->args[1], &w)) {
        *code = ctl_fail(ctl, CTL_USAGE,
                         "a weight is a number, a share such as 50%%, or reset, "
                         "not '%s'",
                         ctl->args[1]);
    } else {
        write_optional(&w, "reason", ctl->reason);
        write_optional(&w, "expires", ctl->until);
        json_write_object_end(&w);
        ok = put(ctl, path, &body, reply, code);
    }
    buf_fini(&body);
    return ok;
}

enum ctl_exit cmd_server_weight(struct ctl *ctl)
{
    struct server_name name;
    struct buf path;
    struct buf shown;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct json *before = NULL;
    struct json *after = NULL;
    if (!server_name_find(ctl, ctl->args[0], &name, &code)) {
        return code;
    }
    buf_init(&path, (size_t)2 * CTL_PATH_MAX);
    buf_init(&shown, CTL_PATH_MAX);
    rest_reply_init(&reply);
    server_name_path(&name, &path);
    buf_append_text(&path, "/overrides/weight");
    buf_printf(&shown, "%s/%s", name.pool, name.server);
    before = ctl_get(ctl, path.data, NULL, &code);
    if (before == NULL || !send_weight(ctl, path.data, &reply, &code)) {
        goto out;
    }
    after = ctl_get(ctl, path.data, NULL, &code);
    if (after == NULL) {
        goto out;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, after);
    } else {
        say_weight(ctl, shown.data, before, after);
    }
out:
    json_free(after);
    json_free(before);
    rest_reply_fini(&reply);
    buf_fini(&shown);
    buf_fini(&path);
    return code;
}

/* -- check -- */

/* Adds a row; true when it passed. */
static bool add_result(struct print_table *table, const struct server_name *pool,
                       struct slice server, const struct json *result)
{
    bool passed = slice_eq(ctl_text(result, "result"), SLICE("passed"));
    struct slice health = ctl_text(result, "health");
    print_table_cellf(table, PRINT_PLAIN, "%s/%.*s", pool->pool, SLICE_ARG(server));
    print_table_cell(table, passed ? PRINT_GOOD : PRINT_BAD, ctl_text(result, "result"));
    print_table_cell(table, cmd_status_health_color(health), health);
    print_table_cellf(table, PRINT_PLAIN, "%.1f ms",
                      json_number(json_get(result, SLICE("duration_ms"))));
    print_table_cell(table, PRINT_PLAIN, ctl_text(result, "detail"));
    return passed;
}

static enum ctl_exit report_check(struct ctl *ctl, const struct server_name *name,
                                  const struct json *answer)
{
    struct print_table table;
    bool all_passed = true;
    const struct json *one;
    print_table_init(&table);
    print_table_column(&table, "SERVER");
    print_table_column(&table, "RESULT");
    print_table_column(&table, "HEALTH");
    print_table_column(&table, ">TOOK");
    print_table_column(&table, "DETAIL");
    if (name->server[0] != '\0') {
        all_passed = add_result(&table, name, slice_from(name->server), answer);
    } else {
        json_for_each(one, ctl_member(answer, "servers"))
        {
            all_passed = add_result(&table, name, json_key(one), one) && all_passed;
        }
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        print_table_write(&table, ctl->out, ctl->color, ctl->width);
    }
    print_table_fini(&table);
    return all_passed ? CTL_OK : CTL_NO;
}

enum ctl_exit cmd_server_check(struct ctl *ctl)
{
    struct server_name name;
    struct buf path;
    enum ctl_exit code = CTL_OK;
    if (!server_name_read(ctl, ctl->args[0], &name, &code)) {
        return code;
    }
    buf_init(&path, CTL_PATH_MAX);
    server_name_path(&name, &path);
    buf_append_text(&path, "/check");
    struct json *answer = ctl_post(ctl, path.data, SLICE_NONE, NULL, &code);
    if (code == CTL_NOT_FOUND) {
        server_name_hint(ctl, &name);
    }
    if (answer != NULL) {
        code = report_check(ctl, &name, answer);
    }
    json_free(answer);
    buf_fini(&path);
    return code;
}
