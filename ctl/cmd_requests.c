#include "ctl/cmd_requests.h"

#include <string.h>

#include "ctl/command.h"
#include "ctl/print_table.h"
#include "ctl/server_name.h"
#include "ctl/when.h"
#include "lbd/base/num.h"

#define LISTED_MOST 1000U /* that the API gives at once */
#define SPAN_MAX    24U   /* "12.3ms" */

/* "870us", "12.3ms", "4.2s" */
static void write_took(char out[SPAN_MAX], uint64_t us)
{
    if (us < 1000) {
        (void)snprintf(out, SPAN_MAX, "%uus", (unsigned)us);
    } else if (us < 1000000) {
        (void)snprintf(out, SPAN_MAX, "%.1fms", (double)us / 1e3);
    } else {
        (void)snprintf(out, SPAN_MAX, "%.1fs", (double)us / 1e6);
    }
}

/* -- the list -- */

/* "GET shop.example/cart"; of TCP what is spoken */
static void add_what(struct print_table *table, const struct json *request)
{
    struct slice method = ctl_text(request, "method");
    struct slice host = ctl_text(request, "host");
    struct slice path = ctl_text(request, "path");
    if (method.len == 0) {
        print_table_cell(table, PRINT_DIM, ctl_text(request, "protocol"));
    } else {
        print_table_cellf(table, PRINT_PLAIN, "%.*s %.*s%.*s", SLICE_ARG(method), SLICE_ARG(host),
                          SLICE_ARG(path));
    }
}

static void add_request(struct print_table *table, const struct json *request)
{
    char time[WHEN_TEXT_MAX];
    char took[SPAN_MAX];
    struct slice pool = ctl_text(request, "pool");
    struct slice server = ctl_text(request, "server");
    uint64_t status = ctl_number(request, "status");
    when_write_text(time, ctl_text(request, "time"));
    write_took(took, ctl_number(request, "duration_us"));
    print_table_cell(table, PRINT_PLAIN, slice_from(time));
    print_table_cell(table, PRINT_PLAIN, ctl_text(request, "id"));
    print_table_cell(table, PRINT_PLAIN, ctl_text(request, "client"));
    add_what(table, request);
    if (status != 0) {
        print_table_cellf(table, status >= 500 ? PRINT_BAD : PRINT_PLAIN, "%llu",
                          (unsigned long long)status);
    } else {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
    }
    print_table_cell(table, PRINT_PLAIN, ctl_text(request, "reason"));
    if (pool.len != 0 && server.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "%.*s/%.*s", SLICE_ARG(pool), SLICE_ARG(server));
    } else {
        print_table_cell(table, PRINT_PLAIN, server); /* a pool is no server */
    }
    print_table_cellf(table, PRINT_PLAIN, "%u", json_count(json_get(request, SLICE("tries"))));
    print_table_cell(table, PRINT_PLAIN, slice_from(took));
}

static void print_requests(struct ctl *ctl, const struct json *answer)
{
    struct print_table table;
    const struct json *requests = json_get(answer, SLICE("requests"));
    const struct json *request;
    print_table_init(&table);
    print_table_column(&table, "TIME");
    print_table_column(&table, "ID");
    print_table_column(&table, "CLIENT");
    print_table_column(&table, "REQUEST");
    print_table_column(&table, ">STATUS");
    print_table_column(&table, "REASON");
    print_table_column(&table, "SERVER");
    print_table_column(&table, ">TRIES");
    print_table_column(&table, ">TOOK");
    json_for_each(request, requests)
    {
        add_request(&table, request);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    ctl_hint_more(ctl, json_count(requests), ctl_number(answer, "total"), LISTED_MOST);
}

static void print_lines(struct ctl *ctl, const struct json *requests)
{
    const struct json *request;
    json_for_each(request, requests)
    {
        if (ctl->output == CTL_NAME) {
            print_text(ctl->out, ctl_text(request, "id"));
            (void)fputc('\n', ctl->out);
        } else {
            ctl_print_json(ctl, request);
        }
    }
}

static void add_slower(const struct ctl *ctl, struct buf *target)
{
    char text[NUM_TEXT_MAX];
    uint64_t ms;
    if (ctl->slower != NULL && num_parse_duration_ms(slice_from(ctl->slower), &ms)) {
        (void)num_write_u64(text, ms);
        ctl_query(target, "min_ms", text);
    }
}

const char *const cmd_requests_reasons[] = {
#define REASON(name, word, status, sentence) word,
#include "lbd/base/close_reasons.def"
#undef REASON
    NULL};

/* Says what was meant when it is none. */
static bool is_reason(struct ctl *ctl, const char *typed)
{
    for (size_t i = 0; cmd_requests_reasons[i] != NULL; i++) {
        if (strcmp(cmd_requests_reasons[i], typed) == 0) {
            return true;
        }
    }
    const char *near = command_near(typed, cmd_requests_reasons);
    if (near != NULL) {
        (void)ctl_fail(ctl, CTL_USAGE, "--ended: no reason '%s'; did you mean '%s'?", typed, near);
    } else {
        (void)ctl_fail(ctl, CTL_USAGE,
                       "--ended: no reason '%s': it is a word of the column REASON, as in "
                       "server_limit; GET /v1/reasons has them all",
                       typed);
    }
    return false;
}

enum ctl_exit cmd_requests(struct ctl *ctl)
{
    struct server_name name = {.pool = ""};
    enum ctl_exit code = CTL_OK;
    struct buf target;
    if (ctl->ended != NULL && !is_reason(ctl, ctl->ended)) {
        return CTL_USAGE;
    }
    if (ctl->pool != NULL && !server_name_read(ctl, ctl->pool, &name, &code)) {
        return code;
    }
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&target, "/v1/requests/recent");
    ctl_query(&target, "reason", ctl->ended);
    ctl_query(&target, "status", ctl->status);
    ctl_query(&target, "listener", ctl->listener);
    ctl_query(&target, "route", ctl->route);
    ctl_query(&target, "pool", name.pool[0] != '\0' ? name.pool : NULL);
    ctl_query(&target, "server", name.server[0] != '\0' ? name.server : NULL);
    add_slower(ctl, &target);
    ctl_query(&target, "limit", ctl->limit);
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL) {
        switch (ctl->output) {
        case CTL_JSON:
            ctl_print_json(ctl, answer);
            break;
        case CTL_JSONL:
        case CTL_NAME:
            print_lines(ctl, json_get(answer, SLICE("requests")));
            break;
        case CTL_TABLE:
        case CTL_WIDE:
            print_requests(ctl, answer);
            break;
        }
    }
    json_free(answer);
    buf_fini(&target);
    return code;
}

/* -- the story of one -- */

/* Text from the API between words of ours. */
static void say(struct ctl *ctl, const char *before, struct slice text, const char *after)
{
    (void)fputs(before, ctl->out);
    print_text(ctl->out, text);
    (void)fputs(after, ctl->out);
}

static void say_what(struct ctl *ctl, const struct json *request)
{
    char time[WHEN_TEXT_MAX];
    char took[SPAN_MAX];
    struct slice method = ctl_text(request, "method");
    struct slice client = ctl_text(request, "client");
    struct slice reason = ctl_text(request, "reason");
    uint64_t status = ctl_number(request, "status");
    when_write_text(time, ctl_text(request, "time"));
    write_took(took, ctl_number(request, "duration_us"));
    if (method.len != 0) {
        say(ctl, "", method, " ");
        say(ctl, "", ctl_text(request, "host"), "");
        say(ctl, "", ctl_text(request, "path"), "");
    } else {
        say(ctl, "a conversation of ", ctl_text(request, "protocol"), "");
    }
    if (client.len != 0) {
        say(ctl, " from ", client, "");
    }
    say(ctl, ", ", slice_from(time), "\n  ended ");
    if (status != 0) {
        (void)fprintf(ctl->out, "with %llu ", (unsigned long long)status);
    }
    bool is_good = slice_eq(reason, SLICE("ok")) && status < 500;
    print_colored(ctl->out, ctl->color, is_good ? PRINT_GOOD : PRINT_BAD, reason);
    (void)fprintf(ctl->out, " after %s\n", took);
}

static void say_way(struct ctl *ctl, const struct json *request)
{
    struct slice route = ctl_text(request, "route");
    struct slice match = ctl_text(request, "match");
    struct slice pool = ctl_text(request, "pool");
    (void)fprintf(ctl->out, "  came in ");
    say(ctl, "at listener ", ctl_text(request, "listener"), "");
    (void)fprintf(ctl->out, ", configuration %llu\n",
                  (unsigned long long)ctl_number(request, "revision"));
    if (json_bool(json_get(request, SLICE("is_default")))) {
        say(ctl, "  fits no route: the listener's default_pool ", pool, " took it\n");
    } else if (route.len != 0) {
        say(ctl, "  was taken by route ", route, "");
        if (match.len != 0) {
            say(ctl, " (", match, ")");
        }
        if (pool.len != 0) {
            say(ctl, " to pool ", pool, "");
        }
        (void)fputc('\n', ctl->out);
    }
}

static void say_policies(struct ctl *ctl, const struct json *request)
{
    const struct json *one;
    json_for_each(one, json_get(request, SLICE("policies")))
    {
        say(ctl, "  policy ", ctl_text(one, "policy"), ": ");
        say(ctl, "", ctl_text(one, "decision"), "\n");
    }
    if (ctl_text(request, "policy_key").len != 0) {
        say(ctl, "  the key it counted: id ", ctl_text(request, "policy_key"), "\n");
    }
}

static void say_tries(struct ctl *ctl, const struct json *request)
{
    const struct json *one;
    unsigned number = 0;
    json_for_each(one, json_get(request, SLICE("tries")))
    {
        char began[SPAN_MAX];
        char took[SPAN_MAX];
        uint64_t status = ctl_number(one, "status");
        write_took(began, ctl_number(one, "began_us"));
        write_took(took, ctl_number(one, "took_us"));
        (void)fprintf(ctl->out, "  try %u at %s: server ", ++number, began);
        print_text(ctl->out, ctl_text(one, "server"));
        (void)fputs(json_bool(json_get(one, SLICE("reused"))) ? " (open connection), " : ", ",
                    ctl->out);
        if (status != 0) {
            (void)fprintf(ctl->out, "answered %llu", (unsigned long long)status);
        } else {
            print_text(ctl->out, ctl_text(one, "reason"));
        }
        (void)fprintf(ctl->out, " after %s\n", took);
    }
}

static void say_candidates(struct ctl *ctl, const struct json *request)
{
    const struct json *one;
    const struct json *all = json_get(request, SLICE("candidates"));
    uint64_t total = ctl_number(request, "candidates_total");
    uint64_t listed = json_count(all);
    if (listed == 0) {
        return;
    }
    (void)fputs("  servers at its end: ", ctl->out);
    json_for_each(one, all)
    {
        say(ctl, one != json_first(all) ? ", " : "", ctl_text(one, "server"), " ");
        say(ctl, "", ctl_text(one, "state"), "");
    }
    if (total > listed) {
        (void)fprintf(ctl->out, " and %llu more", (unsigned long long)(total - listed));
    }
    (void)fputc('\n', ctl->out);
}

static void say_end(struct ctl *ctl, const struct json *request)
{
    struct slice setting = ctl_text(request, "setting");
    struct slice value = ctl_text(request, "setting_value");
    say(ctl, "  ended by ", ctl_text(request, "ended_by"), ": ");
    say(ctl, "", ctl_text(request, "detail"), "\n");
    if (setting.len != 0) {
        say(ctl, "  the setting behind it: ", setting, "");
        if (value.len != 0) {
            say(ctl, " = ", value, "");
        }
        (void)fputc('\n', ctl->out);
    }
    say(ctl, "  what to do: ", ctl_text(request, "advice"), "\n");
}

enum ctl_exit cmd_requests_explain(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct buf target;
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&target, "/v1/requests");
    rest_client_append_segment(&target, slice_from(ctl->args[0]));
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL) {
        say_what(ctl, answer);
        say_way(ctl, answer);
        say_policies(ctl, answer);
        say_tries(ctl, answer);
        say_candidates(ctl, answer);
        say_end(ctl, answer);
    }
    json_free(answer);
    buf_fini(&target);
    return code;
}
