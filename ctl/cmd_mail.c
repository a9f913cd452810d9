#include "ctl/cmd_mail.h"

#include "conf/json/json_write.h"
#include "ctl/admin_target.h"
#include "ctl/cmd_wait.h"
#include "ctl/mail_ask.h"
#include "ctl/when.h"

/* -- who -- */

/* "b2, by its name" */
static void print_route(struct ctl *ctl, const struct json *route)
{
    struct slice by = ctl_text(route, "by");
    struct slice map = ctl_text(route, "map");
    mail_ask_say(ctl, "  %.*s: ", SLICE_ARG(ctl_text(route, "listener")));
    if (ctl_text(route, "pool").len != 0) {
        mail_ask_say(ctl, "pool %.*s, server %.*s", SLICE_ARG(ctl_text(route, "pool")),
                     SLICE_ARG(ctl_text(route, "server")));
    } else {
        (void)fputs("nowhere: no pool, or no such server in it,", ctl->out);
    }
    if (map.len != 0) {
        mail_ask_say(ctl, " by the map %.*s", SLICE_ARG(map));
    } else if (slice_eq(by, SLICE("user"))) {
        (void)fputs(" by its entry in mail_users", ctl->out);
    } else if (slice_eq(by, SLICE("callback"))) {
        (void)fputs(", unless the callback says otherwise", ctl->out);
    } else {
        (void)fputs(" by its name", ctl->out);
    }
    if (json_bool(json_get(route, SLICE("disabled")))) {
        (void)fputs("; disabled", ctl->out);
    }
    (void)fputc('\n', ctl->out);
}

/* " (imap 2, pop3 1)" */
static void print_protocols(struct ctl *ctl, const struct json *protocols)
{
    const struct json *one = NULL;
    const char *before = " (";
    json_for_each(one, protocols)
    {
        int64_t number = 0;
        if (json_integer(one, &number) && number != 0) {
            mail_ask_say(ctl, "%s%.*s %lld", before, SLICE_ARG(json_key(one)), (long long)number);
            before = ", ";
        }
    }
    if (*before == ',') {
        (void)fputc(')', ctl->out);
    }
}

static void print_place(struct ctl *ctl, const struct json *place)
{
    char moment[WHEN_TEXT_MAX];
    uint64_t sessions = ctl_number(place, "sessions");
    uint64_t kept = ctl_number(place, "kept");
    struct slice expires = ctl_text(place, "expires");
    struct slice home = ctl_text(place, "failed_over_from");
    mail_ask_say(ctl, "  on %.*s: %llu %s", SLICE_ARG(ctl_text(place, "server")),
                 (unsigned long long)sessions, ctl_plural(sessions, "session", "sessions"));
    print_protocols(ctl, json_get(place, SLICE("protocols")));
    if (expires.len != 0) {
        when_write_text(moment, expires);
        mail_ask_say(ctl, ", belongs there until %s", moment);
    }
    if (json_bool(json_get(place, SLICE("pinned")))) {
        (void)fputs(", moved there by hand", ctl->out);
    }
    if (home.len != 0) {
        mail_ask_say(ctl, ", because %.*s was down", SLICE_ARG(home));
    }
    if (kept != 0) {
        mail_ask_say(ctl, ", %llu %s kept", (unsigned long long)kept,
                     ctl_plural(kept, "connection", "connections"));
    }
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_who(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    const struct json *one = NULL;
    struct buf path;
    mail_ask_path(&path, "users", ctl->args[0], "status");
    struct json *answer = ctl_get(ctl, path.data, NULL, &code);
    buf_fini(&path);
    if (answer == NULL) {
        return code;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        print_text(ctl->out, ctl_text(answer, "user"));
        (void)fputs(json_count(json_get(answer, SLICE("places"))) == 0 ? ": not here now\n" : "\n",
                    ctl->out);
        json_for_each(one, json_get(answer, SLICE("places")))
        {
            print_place(ctl, one);
        }
        (void)fputs("where each listener sends it, once it is nowhere:\n", ctl->out);
        json_for_each(one, json_get(answer, SLICE("routes")))
        {
            print_route(ctl, one);
        }
    }
    json_free(answer);
    return CTL_OK;
}

/* -- a server's users -- */

static void say_flushed(struct ctl *ctl, const char *server, const struct json *answer)
{
    uint64_t users = ctl_number(answer, "users");
    uint64_t stuck = ctl_number(answer, "stuck");
    mail_ask_say(ctl, "%s: %llu %s", server, (unsigned long long)users,
                 ctl_plural(users, "user goes", "users go"));
    mail_ask_say(ctl, ", %llu %s moved", (unsigned long long)ctl_number(answer, "moved"),
                 json_bool(json_get(answer, SLICE("done"))) ? "are" : "already");
    if (stuck != 0) {
        mail_ask_say(ctl, ", %llu %s: no other server of the pool is usable",
                     (unsigned long long)stuck, ctl_plural(stuck, "stays", "stay"));
    }
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_flush(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct admin_target target;
    struct buf body;
    struct json_write w;
    uint64_t timeout_ms = ctl->timeout_ms;
    if (ctl->wait) { /* --timeout is that of the wait */
        ctl->timeout_ms = CTL_TIMEOUT_MS;
    }
    buf_init(&body, CTL_PATH_MAX);
    if (admin_target_read(ctl, ctl->args[0], &target, &code) && target.kind != ADMIN_SERVER) {
        code = ctl_fail(ctl, CTL_USAGE, "users are moved off servers: POOL/SERVER");
    } else if (code == CTL_OK) {
        json_write_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_text(&w, "mode", ctl->over != NULL ? "slow" : "flush");
        if (ctl->over != NULL) {
            json_write_member_text(&w, "over", ctl->over);
        }
        if (ctl->reason != NULL) {
            json_write_member_text(&w, "reason", ctl->reason);
        }
        json_write_object_end(&w);
        buf_append_text(&target.path, "/mail-drain");
        struct json *answer = mail_ask(ctl, "PUT", target.path.data, NULL, buf_slice(&body), &code);
        if (answer != NULL && ctl_wants_json(ctl)) {
            ctl_print_json(ctl, answer);
        } else if (answer != NULL) {
            say_flushed(ctl, target.name.data, answer);
        } else {
            ctl_hint(ctl, "lbctl drain %s", target.name.data);
        }
        json_free(answer);
    }
    if (code == CTL_OK && ctl->wait) {
        (void)fflush(ctl->out);
        ctl->timeout_ms = timeout_ms;
        code = cmd_wait_for_flush(ctl, &target);
    }
    buf_fini(&body);
    admin_target_fini(&target);
    return code;
}

/* -- move, kick, release -- */

/* POST with a body; says what came of it. */
static enum ctl_exit post(struct ctl *ctl, const char *verb, struct slice body,
                          void (*say)(struct ctl *ctl, const struct json *answer))
{
    enum ctl_exit code = CTL_OK;
    struct buf path;
    mail_ask_path(&path, "users", ctl->args[0], verb);
    struct json *answer = mail_ask(ctl, "POST", path.data, NULL, body, &code);
    buf_fini(&path);
    if (answer == NULL) {
        return code;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        say(ctl, answer);
    }
    json_free(answer);
    return CTL_OK;
}

static void say_moved(struct ctl *ctl, const struct json *answer)
{
    uint64_t kicked = ctl_number(answer, "kicked");
    mail_ask_say(ctl, "moved: %.*s to %.*s, %llu %s ended", SLICE_ARG(ctl_text(answer, "user")),
                 SLICE_ARG(ctl_text(answer, "server")), (unsigned long long)kicked,
                 ctl_plural(kicked, "session", "sessions"));
    (void)fputc('\n', ctl->out);
    ctl_hint(ctl, "lbctl mail release %s takes it back", ctl->args[0]);
}

static void say_kicked(struct ctl *ctl, const struct json *answer)
{
    uint64_t kicked = ctl_number(answer, "kicked");
    mail_ask_say(ctl, "kicked: %.*s, %llu %s ended", SLICE_ARG(ctl_text(answer, "user")),
                 (unsigned long long)kicked, ctl_plural(kicked, "session", "sessions"));
    (void)fputc('\n', ctl->out);
}

static void say_released(struct ctl *ctl, const struct json *answer)
{
    mail_ask_say(ctl,
                 "released: %.*s goes where it belongs once its sessions have ended, and linger",
                 SLICE_ARG(ctl_text(answer, "user")));
    (void)fputc('\n', ctl->out);
}

/* {"server":"b2","pool":"imap","reason":"..."} of what was given. */
static void write_body(const struct ctl *ctl, const char *server, struct buf *body)
{
    struct json_write w;
    buf_init(body, CTL_PATH_MAX);
    json_write_init(&w, body, JSON_COMPACT);
    json_write_object_begin(&w);
    if (server != NULL) {
        json_write_member_text(&w, "server", server);
    }
    if (ctl->pool != NULL) {
        json_write_member_text(&w, "pool", ctl->pool);
    }
    if (ctl->reason != NULL) {
        json_write_member_text(&w, "reason", ctl->reason);
    }
    json_write_object_end(&w);
}

enum ctl_exit cmd_mail_move(struct ctl *ctl)
{
    struct buf body;
    write_body(ctl, ctl->args[1], &body);
    enum ctl_exit code = post(ctl, "move", buf_slice(&body), say_moved);
    buf_fini(&body);
    return code;
}

enum ctl_exit cmd_mail_kick(struct ctl *ctl)
{
    struct buf body;
    write_body(ctl, NULL, &body);
    enum ctl_exit code = post(ctl, "kick", buf_slice(&body), say_kicked);
    buf_fini(&body);
    return code;
}

enum ctl_exit cmd_mail_release(struct ctl *ctl)
{
    return post(ctl, "release", SLICE("{}"), say_released);
}
