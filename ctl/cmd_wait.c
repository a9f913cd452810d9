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

static void print_name(FILE *out, const struct server_name *name)
{
    print_text(out, slice_from(name->pool));
    if (name->server[0] != '\0') {
        (void)fputc('/', out);
        print_text(out, slice_from(name->server));
    }
}

/* Asks once. False: no answer, *code says how to end. */
static bool ask(struct ctl *ctl, const struct server_name *name, const struct cmd_wait_goal *goal,
                bool *is_true, struct buf *text, enum ctl_exit *code)
{
    struct buf path;
    struct server_name pool = *name;
    const char *server = name->server[0] != '\0' ? name->server : NULL;
    pool.server[0] = '\0';
    buf_init(&path, CTL_PATH_MAX);
    server_name_path(&pool, &path);
    buf_append_text(&path, "/status");
    struct json *status = ctl_get(ctl, path.data, NULL, code);
    buf_fini(&path);
    if (status == NULL) {
        return false;
    }
    bool ok = server == NULL || json_get(ctl_member(status, "servers"), slice_from(server)) != NULL;
    if (!ok) {
        *code = ctl_fail(ctl, CTL_NOT_FOUND, "pool %s has no server '%s'", name->pool, server);
    } else {
        buf_clear(text);
        *is_true = cmd_wait_is_true(status, server, goal, text);
    }
    json_free(status);
    return ok;
}

static enum ctl_exit report(struct ctl *ctl, enum ctl_exit code, const struct server_name *name,
                            const char *verdict, const struct buf *text)
{
    FILE *out = code == CTL_TIMED_OUT ? ctl->err : ctl->out;
    if (code == CTL_TIMED_OUT) {
        (void)fputs("lbctl: timed out: ", out);
    }
    print_name(out, name);
    (void)fprintf(out, " is %s: ", verdict);
    print_text(out, buf_slice(text));
    (void)fputc('\n', out);
    return code;
}

enum ctl_exit cmd_wait_until(struct ctl *ctl, const struct server_name *name,
                             const struct cmd_wait_goal *goal)
{
    static const char *const words[][2] = {
        [CMD_WAIT_READY] = {"ready", "not ready"},
        [CMD_WAIT_DRAINED] = {"drained", "not drained"},
        [CMD_WAIT_SERVERS] = {"as wanted", "not as wanted"},
    };
    uint64_t limit_ms = ctl->timeout_given ? ctl->timeout_ms : CTL_WAIT_TIMEOUT_MS;
    uint64_t start_ms = now_ms();
    uint64_t pause_ms = FIRST_PAUSE_MS;
    enum ctl_exit code = CTL_OK;
    bool is_true = false;
    struct buf text;
    buf_init(&text, CTL_PATH_MAX);

    for (;;) {
        uint64_t spent_ms = now_ms() - start_ms;
        uint64_t left_ms = spent_ms < limit_ms ? limit_ms - spent_ms : 0;
        ctl->timeout_ms = left_ms < CTL_TIMEOUT_MS ? left_ms : CTL_TIMEOUT_MS;
        if (ctl->timeout_ms < SHORTEST_ASK_MS) {
            ctl->timeout_ms = SHORTEST_ASK_MS;
        }
        if (!ask(ctl, name, goal, &is_true, &text, &code)) {
            break;
        }
        if (is_true) {
            code = report(ctl, CTL_OK, name, words[goal->what][0], &text);
            break;
        }
        spent_ms = now_ms() - start_ms;
        if (spent_ms >= limit_ms) {
            code = report(ctl, limit_ms == 0 ? CTL_NO : CTL_TIMED_OUT, name, words[goal->what][1],
                          &text);
            break;
        }
        left_ms = limit_ms - spent_ms;
        (void)poll(NULL, 0, (int)(left_ms < pause_ms ? left_ms : pause_ms));
        pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
    }
    buf_fini(&text);
    return code;
}

enum ctl_exit cmd_wait(struct ctl *ctl)
{
    struct server_name name;
    struct cmd_wait_goal goal;
    enum ctl_exit code = CTL_OK;
    if (ctl->until == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "what for? lbctl wait %s --for ready|drained|servers=N",
                        ctl->args[0]);
    }
    if (!cmd_wait_read_goal(ctl->until, &goal)) {
        return ctl_fail(ctl, CTL_USAGE, "--for must be ready, drained or servers=N, not '%s'",
                        ctl->until);
    }
    if (!server_name_read(ctl, ctl->args[0], &name, &code)) {
        return code;
    }
    if (goal.what == CMD_WAIT_SERVERS && name.server[0] != '\0') {
        return ctl_fail(ctl, CTL_USAGE, "servers=N counts the servers of a pool: lbctl wait %s",
                        name.pool);
    }
    return cmd_wait_until(ctl, &name, &goal);
}
