#include "ctl/cmd_wait.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/print_table.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 500, SHORTEST_ASK_MS = 1000 };

/* Servers counted by what a waiter cares about. */
struct tally {
    uint64_t all;
    uint64_t in;     /* not taken out: their administrative state is ready */
    uint64_t usable; /* of those: up */
    uint64_t connections;
};

bool cmd_wait_read_goal(const char *text, struct cmd_wait_goal *goal)
{
    struct slice rest = slice_from(text);
    *goal = (struct cmd_wait_goal){.what = CMD_WAIT_READY};
    if (slice_eq(rest, SLICE("ready"))) {
        return true;
    }
    if (slice_eq(rest, SLICE("drained"))) {
        goal->what = CMD_WAIT_DRAINED;
        return true;
    }
    goal->what = CMD_WAIT_SERVERS;
    return slice_starts(rest, SLICE("servers=")) &&
           num_parse_u64(slice_from_at(rest, strlen("servers=")), &goal->count);
}

static void count_server(struct tally *tally, const struct json *server)
{
    bool in = slice_eq(ctl_text(server, "admin"), SLICE("ready"));
    bool up = slice_eq(ctl_text(server, "health"), SLICE("up"));
    tally->all++;
    tally->in += in ? 1 : 0;
    tally->usable += in && up ? 1 : 0;
    tally->connections += ctl_number(server, "connections");
}

static void describe(const struct tally *tally, const struct cmd_wait_goal *goal, struct buf *text)
{
    if (goal->what == CMD_WAIT_DRAINED) {
        uint64_t in = tally->in;
        if (in != 0) {
            buf_printf(text, "%llu %s not taken out, ", (unsigned long long)in,
                       ctl_plural(in, "server is", "servers are"));
        }
        buf_printf(text, "%llu %s left", (unsigned long long)tally->connections,
                   ctl_plural(tally->connections, "connection", "connections"));
        return;
    }
    buf_printf(text, "%llu of %llu %s usable", (unsigned long long)tally->usable,
               (unsigned long long)tally->all, ctl_plural(tally->all, "server", "servers"));
    if (goal->what == CMD_WAIT_SERVERS) {
        buf_printf(text, ", %llu wanted", (unsigned long long)goal->count);
    }
}

bool cmd_wait_is_true(const struct json *status, const char *server,
                      const struct cmd_wait_goal *goal, struct buf *text)
{
    struct tally tally = {.all = 0};
    const struct json *servers = ctl_member(status, "servers");
    const struct json *one;
    if (server != NULL) {
        one = json_get(servers, slice_from(server));
        if (one != NULL) {
            count_server(&tally, one);
        }
    } else {
        json_for_each(one, servers)
        {
            count_server(&tally, one);
        }
    }
    describe(&tally, goal, text);
    switch (goal->what) {
    case CMD_WAIT_READY: /* a server that was named is waited for, even while it is taken out */
        return tally.usable != 0 && tally.usable == tally.in;
    case CMD_WAIT_DRAINED:
        return tally.in == 0 && tally.connections == 0;
    case CMD_WAIT_SERVERS:
        break;
    }
    return tally.usable >= goal->count;
}

/* What is waited for, and how to ask. */
struct waiter {
    struct ctl *ctl;
    const char *name;       /* "web/anna" */
    const char *verdict[2]; /* when it is true; when it is not */
    /* Says in `text` how things are. False: no answer, *code says how to end. */
    bool (*ask)(struct waiter *waiter, struct buf *text, enum ctl_exit *code);
    bool is_told; /* progress is told line by line, where it cannot be written over */
    bool is_true; /* set by ask */
    bool is_over; /* set by ask: it is not true and will not be */

    struct server_name server;
    struct cmd_wait_goal goal;
    const struct admin_target *target;
    struct buf shown; /* the last progress */
};

static void clear_progress(const struct waiter *waiter)
{
    if (waiter->ctl->is_followed && waiter->shown.len != 0) {
        (void)fputs("\r\033[K", waiter->ctl->err);
    }
}

static void show_progress(struct waiter *waiter, const struct buf *text)
{
    FILE *err = waiter->ctl->err;
    bool is_followed = waiter->ctl->is_followed;
    if (slice_eq(buf_slice(&waiter->shown), buf_slice(text)) ||
        (!is_followed && !waiter->is_told)) {
        return;
    }
    clear_progress(waiter);
    print_text(err, slice_from(waiter->name));
    (void)fputs(": ", err);
    print_text(err, buf_slice(text));
    (void)fputs(is_followed ? "" : "\n", err);
    (void)fflush(err);
    buf_clear(&waiter->shown);
    buf_append_slice(&waiter->shown, buf_slice(text));
}

static enum ctl_exit report(const struct waiter *waiter, enum ctl_exit code, const struct buf *text)
{
    struct ctl *ctl = waiter->ctl;
    FILE *out = code == CTL_TIMED_OUT ? ctl->err : ctl->out;
    clear_progress(waiter);
    (void)fputs(code == CTL_TIMED_OUT ? "lbctl: timed out: " : "", out);
    print_text(out, slice_from(waiter->name));
    (void)fprintf(out, " is %s: ", waiter->verdict[code == CTL_OK ? 0 : 1]);
    print_text(out, buf_slice(text));
    (void)fputc('\n', out);
    return code;
}

static enum ctl_exit wait_until(struct waiter *waiter, uint64_t limit_ms)
{
    struct ctl *ctl = waiter->ctl;
    uint64_t start_ms = now_ms();
    uint64_t pause_ms = FIRST_PAUSE_MS;
    enum ctl_exit code = CTL_OK;
    struct buf text;
    buf_init(&text, CTL_PATH_MAX);
    buf_init(&waiter->shown, CTL_PATH_MAX);

    for (;;) {
        uint64_t spent_ms = now_ms() - start_ms;
        uint64_t left_ms = spent_ms < limit_ms ? limit_ms - spent_ms : 0;
        ctl->timeout_ms = left_ms < CTL_TIMEOUT_MS ? left_ms : CTL_TIMEOUT_MS;
        if (ctl->timeout_ms < SHORTEST_ASK_MS) {
            ctl->timeout_ms = SHORTEST_ASK_MS;
        }
        buf_clear(&text);
        if (!waiter->ask(waiter, &text, &code)) {
            clear_progress(waiter);
            break;
        }
        spent_ms = now_ms() - start_ms;
        if (waiter->is_true || waiter->is_over) {
            code = report(waiter, waiter->is_true ? CTL_OK : CTL_NO, &text);
            break;
        }
        if (spent_ms >= limit_ms) {
            code = report(waiter, limit_ms == 0 ? CTL_NO : CTL_TIMED_OUT, &text);
            break;
        }
        show_progress(waiter, &text);
        left_ms = limit_ms - spent_ms;
        (void)poll(NULL, 0, (int)(left_ms < pause_ms ? left_ms : pause_ms));
        pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
    }
    buf_fini(&waiter->shown);
    buf_fini(&text);
    return code;
}

/* Asks for the status of a pool, or of a server in it. */
static bool ask_servers(struct waiter *waiter, struct buf *text, enum ctl_exit *code)
{
    struct ctl *ctl = waiter->ctl;
    struct buf path;
    struct server_name pool = waiter->server;
    const char *server = waiter->server.server[0] != '\0' ? waiter->server.server : NULL;
    pool.server[0] = '\0';
    buf_init(&path, CTL_PATH_MAX);
    server_name_path(&pool, &path);
    buf_append_text(&path, "/status");
    struct json *status = ctl_get(ctl, path.data, NULL, code);
    buf_fini(&path);
    if (status == NULL) {
        if (*code == CTL_NOT_FOUND) {
            server_name_hint(waiter->ctl, &waiter->server);
        }
        return false;
    }
    const struct json *one =
        server != NULL ? json_get(ctl_member(status, "servers"), slice_from(server)) : NULL;
    bool ok = server == NULL || one != NULL;
    if (!ok) {
        *code = ctl_fail(ctl, CTL_NOT_FOUND, "pool %s has no server '%s'", pool.pool, server);
    } else {
        waiter->is_true = cmd_wait_is_true(status, server, &waiter->goal, text);
        waiter->is_over = !waiter->is_true && waiter->goal.what == CMD_WAIT_DRAINED &&
                          slice_eq(ctl_text(one, "drain.phase"), SLICE("kept"));
    }
    json_free(status);
    return ok;
}

/* Asks how the drain of a listener or of the process goes. */
static bool ask_drain(struct waiter *waiter, struct buf *text, enum ctl_exit *code)
{
    struct json *state = admin_target_get(waiter->ctl, waiter->target, code);
    if (state == NULL) {
        return false;
    }
    struct slice phase = ctl_text(state, "drain.phase");
    uint64_t left = ctl_number(state, "drain.remaining");
    waiter->is_true = slice_eq(phase, SLICE("done")) || slice_eq(phase, SLICE("closed"));
    waiter->is_over = !waiter->is_true && !slice_eq(phase, SLICE("waiting"));
    buf_printf(text, "%llu %s left", (unsigned long long)left,
               ctl_plural(left, "connection", "connections"));
    if (waiter->is_over) {
        buf_printf(text, " (%.*s)", SLICE_ARG(phase.len != 0 ? phase : SLICE("no drain runs")));
    }
    json_free(state);
    return true;
}

/* Asks how far users are moved off a server. */
static bool ask_flush(struct waiter *waiter, struct buf *text, enum ctl_exit *code)
{
    struct json *drain = ctl_get(waiter->ctl, waiter->target->path.data, NULL, code);
    if (drain == NULL) {
        return false;
    }
    uint64_t moved = ctl_number(drain, "moved");
    uint64_t left = ctl_number(drain, "remaining");
    uint64_t stuck = ctl_number(drain, "stuck");
    bool is_done = json_bool(json_get(drain, SLICE("done")));
    waiter->is_true = is_done && stuck == 0;
    waiter->is_over = is_done && stuck != 0;
    buf_printf(text, "%llu %s moved, %llu left", (unsigned long long)moved,
               ctl_plural(moved, "user", "users"), (unsigned long long)(is_done ? stuck : left));
    if (stuck != 0) {
        buf_append_text(text, " (no other server of the pool is usable)");
    }
    json_free(drain);
    return true;
}

/* --timeout, else the time that the work itself may take (NULL: none is known) and a little more.
 */
static uint64_t limit_of(const struct ctl *ctl, const char *work)
{
    uint64_t work_ms;
    if (!ctl->timeout_given && work != NULL && num_parse_duration_ms(slice_from(work), &work_ms)) {
        return work_ms + CTL_TIMEOUT_MS;
    }
    return ctl->timeout_given ? ctl->timeout_ms : CTL_WAIT_TIMEOUT_MS;
}

enum ctl_exit cmd_wait_for_flush(struct ctl *ctl, const struct admin_target *target)
{
    struct waiter waiter = {.ctl = ctl,
                            .name = target->name.data,
                            .verdict = {"empty", "not empty"},
                            .ask = ask_flush,
                            .is_told = true,
                            .target = target};
    return wait_until(&waiter, limit_of(ctl, ctl->over));
}

enum ctl_exit cmd_wait_for_drain(struct ctl *ctl, const struct admin_target *target)
{
    struct waiter waiter = {.ctl = ctl,
                            .name = target->name.data,
                            .verdict = {"drained", "not drained"},
                            .ask = target->kind == ADMIN_SERVER ? ask_servers : ask_drain,
                            .is_told = true,
                            .server = target->server,
                            .goal = {.what = CMD_WAIT_DRAINED},
                            .target = target};
    return wait_until(&waiter, limit_of(ctl, ctl->deadline));
}

enum ctl_exit cmd_wait(struct ctl *ctl)
{
    static const char *const words[][2] = {
        [CMD_WAIT_READY] = {"ready", "not ready"},
        [CMD_WAIT_DRAINED] = {"drained", "not drained"},
        [CMD_WAIT_SERVERS] = {"as wanted", "not as wanted"},
    };
    struct waiter waiter = {.ctl = ctl, .name = ctl->args[0], .ask = ask_servers};
    enum ctl_exit code = CTL_OK;
    if (ctl->until == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "what for? lbctl wait %s --for ready|drained|servers=N",
                        ctl->args[0]);
    }
    if (!cmd_wait_read_goal(ctl->until, &waiter.goal)) {
        return ctl_fail(ctl, CTL_USAGE, "--for must be ready, drained or servers=N, not '%s'",
                        ctl->until);
    }
    if (!server_name_read(ctl, ctl->args[0], &waiter.server, &code)) {
        return code;
    }
    if (waiter.goal.what == CMD_WAIT_SERVERS && waiter.server.server[0] != '\0') {
        return ctl_fail(ctl, CTL_USAGE, "servers=N counts the servers of a pool: lbctl wait %s",
                        waiter.server.pool);
    }
    waiter.verdict[0] = words[waiter.goal.what][0];
    waiter.verdict[1] = words[waiter.goal.what][1];
    return wait_until(&waiter, ctl->timeout_given ? ctl->timeout_ms : CTL_WAIT_TIMEOUT_MS);
}
