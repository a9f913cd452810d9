#include "ctl/cmd_server.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_wait.h"
#include "ctl/print_table.h"
#include "ctl/refusal.h"
#include "ctl/server_name.h"

/* A state as the API names it, and the command that leads to it. */
struct admin {
    const char *state;
    const char *command;
    const char *done[2]; /* what is said before and after its name */
};

static const struct admin admins[] = {
    {"ready", "enable", {"enabled ", ""}},
    {"drain", "drain", {"drained ", ""}},
    {"maint", "maint", {"", " in maintenance"}},
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

static void write_body(struct buf *body, const struct admin *wish, const char *reason)
{
    struct json_write w;
    json_write_init(&w, body, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "state", wish->state);
    if (reason != NULL) {
        json_write_member_text(&w, "reason", reason);
    }
    json_write_object_end(&w);
}

/* "drained web/anna: 17 connections left (undo: lbctl enable web/anna)" */
static void say(struct ctl *ctl, const struct server_name *name, const struct admin *was,
                const struct admin *wish, const struct json *status)
{
    FILE *out = ctl->out;
    if (was == wish) {
        (void)fprintf(out, "unchanged: %s/%s has the state %s already", name->pool, name->server,
                      wish->state);
    } else {
        (void)fprintf(out, "%s%s/%s%s", wish->done[0], name->pool, name->server, wish->done[1]);
    }
    if (strcmp(wish->state, "ready") == 0) {
        (void)fputs(", health ", out);
        print_text(out, ctl_text(status, "health"));
    } else {
        uint64_t left = ctl_number(status, "connections");
        (void)fprintf(out, ": %llu %s left", (unsigned long long)left,
                      ctl_plural(left, "connection", "connections"));
    }
    if (was != wish && was != NULL) {
        (void)fprintf(out, " (undo: lbctl %s %s/%s)", was->command, name->pool, name->server);
    }
    (void)fputc('\n', out);
}

static enum ctl_exit put_state(struct ctl *ctl, const char *path, const struct admin *wish,
                               struct rest_reply *reply)
{
    enum ctl_exit code = CTL_OK;
    struct buf body;
    buf_init(&body, (size_t)2 * CTL_PATH_MAX);
    write_body(&body, wish, ctl->reason);
    if (body.overflow) {
        code = ctl_fail(ctl, CTL_USAGE, "--reason is too long");
    } else {
        struct rest_request request = {.method = "PUT",
                                       .target = path,
                                       .content_type = "application/json",
                                       .body = buf_slice(&body)};
        if (ctl_ask(ctl, &request, reply, &code) && reply->status >= 300) {
            code = refusal_print(ctl, reply, NULL);
        }
    }
    buf_fini(&body);
    return code;
}

static enum ctl_exit change(struct ctl *ctl, const struct server_name *name,
                            const struct admin *wish)
{
    struct buf status_path;
    struct buf state_path;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct json *after = NULL;
    const struct admin *was = NULL;
    buf_init(&status_path, CTL_PATH_MAX);
    buf_init(&state_path, CTL_PATH_MAX);
    rest_reply_init(&reply);
    server_name_path(name, &status_path);
    server_name_path(name, &state_path);
    buf_append_text(&status_path, "/status");
    buf_append_text(&state_path, "/admin-state");

    struct json *before = ctl_get(ctl, status_path.data, NULL, &code);
    if (before == NULL) {
        goto out;
    }
    was = admin_of(ctl_text(before, "admin"));
    code = put_state(ctl, state_path.data, wish, &reply);
    if (code != CTL_OK) {
        goto out;
    }
    if (ctl->output == CTL_JSON || ctl->output == CTL_JSONL) {
        struct json *answer = ctl_body(&reply);
        if (answer != NULL) {
            ctl_print_json(ctl, answer);
        }
        json_free(answer);
        goto out;
    }
    after = ctl_get(ctl, status_path.data, NULL, &code);
    if (after != NULL) {
        say(ctl, name, was, wish, after);
    }
out:
    json_free(after);
    json_free(before);
    rest_reply_fini(&reply);
    buf_fini(&state_path);
    buf_fini(&status_path);
    return code;
}

static enum ctl_exit run(struct ctl *ctl, const char *state)
{
    struct server_name name;
    enum ctl_exit code = CTL_OK;
    uint64_t timeout_ms = ctl->timeout_ms;
    if (ctl->wait) { /* --timeout is that of the wait */
        ctl->timeout_ms = CTL_TIMEOUT_MS;
    }
    if (!server_name_find(ctl, ctl->args[0], &name, &code)) {
        return code;
    }
    code = change(ctl, &name, admin_of(slice_from(state)));
    if (code != CTL_OK || !ctl->wait) {
        return code;
    }
    (void)fflush(ctl->out);
    ctl->timeout_ms = timeout_ms;
    return cmd_wait_until(ctl, &name, &(struct cmd_wait_goal){.what = CMD_WAIT_DRAINED});
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
