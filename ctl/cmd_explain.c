#include "ctl/cmd_explain.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_status.h"
#include "ctl/print_table.h"

enum { LABEL_WIDTH = 9, TEXT_WIDTH = 76 };

/* -- explain -- */

/* Words, broken into lines that begin with two spaces. */
static void print_wrapped(FILE *out, struct slice text)
{
    struct slice word;
    size_t used = 0;
    while (slice_split(&text, ' ', &word)) {
        if (used != 0 && used + 1 + print_width(word) > TEXT_WIDTH) {
            (void)fputc('\n', out);
            used = 0;
        }
        (void)fputs(used == 0 ? "  " : " ", out);
        print_text(out, word);
        used += print_width(word) + 1;
    }
    (void)fputc('\n', out);
}

/* A value as a person would write it: words without quotes. */
static void append_value(struct buf *text, const struct json *value)
{
    const struct json *element;
    struct json_write w;
    if (json_is(value, JSON_STRING)) {
        buf_append_slice(text, json_string(value));
    } else if (json_is(value, JSON_ARRAY) && json_is(json_first(value), JSON_STRING)) {
        json_for_each(element, value)
        {
            buf_append_text(text, element != json_first(value) ? ", " : "");
            buf_append_slice(text, json_string(element));
        }
    } else if (value != NULL) {
        json_write_init(&w, text, JSON_COMPACT);
        json_write_json(&w, value);
    }
}

static void print_fact(struct ctl *ctl, const char *label, const struct json *value)
{
    struct buf text;
    if (value == NULL) {
        return;
    }
    buf_init(&text, CTL_TEXT_MAX);
    append_value(&text, value);
    if (text.len != 0) {
        (void)fprintf(ctl->out, "  %-*s ", LABEL_WIDTH, label);
        print_text(ctl->out, buf_slice(&text));
        (void)fputc('\n', ctl->out);
    }
    buf_fini(&text);
}

static void print_keys(struct ctl *ctl, const struct json *keys)
{
    struct print_table table;
    const struct json *key;
    struct buf text;
    buf_init(&text, CTL_TEXT_MAX);
    print_table_init(&table);
    print_table_column(&table, "KEY");
    print_table_column(&table, "TYPE");
    print_table_column(&table, "DEFAULT");
    print_table_column(&table, "MEANING");
    json_for_each(key, keys)
    {
        bool is_required = json_bool(json_get(key, SLICE("required")));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(key, "key"));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(key, "type"));
        buf_clear(&text);
        append_value(&text, json_get(key, SLICE("default")));
        print_table_cell(&table, PRINT_PLAIN, is_required ? SLICE("required") : buf_slice(&text));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(key, "doc"));
    }
    (void)fputc('\n', ctl->out);
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    buf_fini(&text);
}

static void print_explained(struct ctl *ctl, const struct json *answer)
{
    static const char *const facts[] = {"words",     "range",   "default", "only_when",
                                        "refers_to", "example", "since"};
    static const char *const labels[] = {"one of",  "range",   "default", "only when",
                                         "names a", "example", "since"};
    struct slice path = ctl_text(answer, "path");
    const struct json *keys = json_get(answer, SLICE("keys"));
    print_text(ctl->out, path.len != 0 ? path : SLICE("the configuration"));
    (void)fputs("  ", ctl->out);
    print_text(ctl->out, ctl_text(answer, "type"));
    (void)fputs(json_bool(json_get(answer, SLICE("required"))) ? ", required\n" : "\n", ctl->out);
    print_wrapped(ctl->out, ctl_text(answer, "doc"));
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        print_fact(ctl, labels[i], json_get(answer, slice_from(facts[i])));
    }
    if (json_count(keys) != 0) {
        print_keys(ctl, keys);
    }
}

enum ctl_exit cmd_explain(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct buf target;
    struct slice rest = slice_from(ctl->arg_count != 0 ? ctl->args[0] : "");
    struct slice part;
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&target, "/v1/explain");
    while (slice_split(&rest, '/', &part)) {
        if (part.len != 0 && !slice_eq(part, SLICE("#"))) {
            rest_client_append_segment(&target, part);
        }
    }
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL) {
        print_explained(ctl, answer);
    }
    json_free(answer);
    buf_fini(&target);
    return code;
}

/* -- explain route -- */

static void write_question(const struct ctl *ctl, struct buf *body)
{
    struct json_write w;
    json_write_init(&w, body, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "method", ctl->args[0]);
    json_write_member_text(&w, "url", ctl->args[1]);
    if (ctl->listener != NULL) {
        json_write_member_text(&w, "listener", ctl->listener);
    }
    if (ctl->client != NULL) {
        json_write_member_text(&w, "client", ctl->client);
    }
    if (ctl->header_count != 0) {
        json_write_key(&w, "headers");
        json_write_object_begin(&w);
        for (uint32_t i = 0; i < ctl->header_count; i++) {
            struct slice value = slice_from(ctl->headers[i]);
            struct slice name;
            (void)slice_split(&value, ':', &name);
            json_write_key_slice(&w, slice_trim(name));
            json_write_string(&w, slice_trim(value));
        }
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
}

static void print_action(struct ctl *ctl, const struct json *answer)
{
    struct slice pool = ctl_text(answer, "action.pool");
    const struct json *redirect = ctl_member(answer, "action.redirect");
    const struct json *respond = ctl_member(answer, "action.respond");
    if (pool.len != 0) {
        (void)fputs("pool ", ctl->out);
        print_text(ctl->out, pool);
    } else if (ctl_member(answer, "action.split") != NULL) {
        (void)fputs("split, here pool ", ctl->out);
        print_text(ctl->out, ctl_text(answer, "pool"));
    } else if (redirect != NULL) {
        (void)fprintf(ctl->out, "redirect %llu to ",
                      (unsigned long long)ctl_number(redirect, "status"));
        print_text(ctl->out, ctl_text(redirect, "location"));
    } else if (respond != NULL) {
        (void)fprintf(ctl->out, "answer %llu", (unsigned long long)ctl_number(respond, "status"));
    }
}

/* Nothing when there is no text. */
static void print_line(FILE *out, const char *label, struct slice text)
{
    if (text.len != 0) {
        (void)fputs(label, out);
        print_text(out, text);
        (void)fputc('\n', out);
    }
}

/* "the cookie lb leads to a: its client belongs there" */
static void print_sticky(FILE *out, const struct json *answer)
{
    const struct json *sticky = json_get(answer, SLICE("sticky"));
    struct slice server = ctl_text(sticky, "server");
    if (sticky == NULL) {
        return;
    }
    (void)fputs("  the ", out);
    print_text(out, ctl_text(sticky, "by"));
    (void)fputc(' ', out);
    print_text(out, ctl_text(sticky, "name"));
    (void)fputs(server.len == 0                               ? " leads nowhere"
                : json_bool(json_get(sticky, SLICE("stays"))) ? " leads to "
                                                              : " led to ",
                out);
    print_text(out, server);
    (void)fputs(": ", out);
    print_text(out, ctl_text(sticky, "why"));
    if (server.len != 0 && !json_bool(json_get(sticky, SLICE("stays")))) {
        (void)fprintf(out, "; %s",
                      slice_eq(ctl_text(sticky, "otherwise"), SLICE("fail"))
                          ? "it fails, as sticky.on_unavailable says"
                          : "any server, which is told");
    }
    (void)fputc('\n', out);
}

/* "policies, in this order: office-only, per-ip" */
static void print_policies(FILE *out, const struct json *policies)
{
    const struct json *policy;
    json_for_each(policy, policies)
    {
        (void)fputs(policy == json_first(policies) ? "  policies, in this order: " : ", ", out);
        print_text(out, json_string(policy));
    }
    if (json_count(policies) != 0) {
        (void)fputc('\n', out);
    }
}

/* "GET http://h/p" and what becomes of it */
static void print_verdict(struct ctl *ctl, const struct json *answer)
{
    struct slice route = ctl_text(answer, "route");
    struct slice why = ctl_text(answer, "why");
    struct slice reason = ctl_text(answer, "reason");
    FILE *out = ctl->out;
    (void)fputs("listener ", out);
    print_text(out, ctl_text(answer, "listener"));
    if (route.len != 0) {
        const struct json *priority = json_get(answer, SLICE("priority"));
        (void)fputs(" -> route ", out);
        print_text(out, route);
        if (priority != NULL) {
            (void)fprintf(out, " (priority %lld)", (long long)json_number(priority));
        }
    } else if (json_bool(json_get(answer, SLICE("is_default")))) {
        (void)fputs(" -> default pool", out);
    }
    if (ctl_member(answer, "action") != NULL) {
        (void)fputs(" -> ", out);
        print_action(ctl, answer);
    } else {
        (void)fputs(" -> ", out);
        print_colored(out, ctl->color, PRINT_BAD, SLICE("nothing"));
    }
    if (reason.len != 0) {
        uint64_t status = ctl_number(answer, "status");
        (void)fputs(": refused with ", out);
        if (status != 0) { /* a connection of TCP just ends */
            (void)fprintf(out, "%llu ", (unsigned long long)status);
        }
        print_text(out, reason);
    }
    (void)fputc('\n', out);
    print_line(out, "  because: ", why);
    print_line(out, "  this pool because: ", ctl_text(answer, "split_why"));
    print_policies(out, json_get(answer, SLICE("policies")));
    print_line(out, "  servers get the path: ", ctl_text(answer, "sent_path"));
    print_line(out, "  servers get the host: ", ctl_text(answer, "sent_host"));
    print_sticky(out, answer);
}

static void print_candidates(struct ctl *ctl, const struct json *answer)
{
    struct print_table table;
    const struct json *server;
    const struct json *servers = json_get(answer, SLICE("servers"));
    uint64_t all = ctl_number(answer, "servers_total");
    if (json_count(servers) == 0) {
        return;
    }
    print_table_init(&table);
    print_table_column(&table, "SERVER");
    print_table_column(&table, "HEALTH");
    print_table_column(&table, "ADMIN");
    print_table_column(&table, ">WEIGHT");
    print_table_column(&table, "CANDIDATE");
    print_table_column(&table, "REASON");
    json_for_each(server, servers)
    {
        struct slice health = ctl_text(server, "health");
        struct slice admin = ctl_text(server, "admin");
        bool is_candidate = json_bool(json_get(server, SLICE("is_candidate")));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(server, "name"));
        print_table_cell(&table, cmd_status_health_color(health), health);
        print_table_cell(&table, cmd_status_admin_color(admin), admin);
        print_table_cellf(&table, PRINT_PLAIN, "%llu",
                          (unsigned long long)ctl_number(server, "weight"));
        print_table_cell(&table, is_candidate ? PRINT_GOOD : PRINT_DIM,
                         is_candidate ? SLICE("yes") : SLICE("no"));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(server, "reason"));
    }
    (void)fputc('\n', ctl->out);
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    if (all > json_count(servers)) {
        (void)fprintf(ctl->out, "and %llu more servers\n",
                      (unsigned long long)(all - json_count(servers)));
    }
}

static void print_considered(struct ctl *ctl, const struct json *answer)
{
    const struct json *route;
    const struct json *considered = json_get(answer, SLICE("considered"));
    uint64_t all = ctl_number(answer, "considered_total");
    uint64_t listed = json_count(considered);
    if (listed == 0) {
        return;
    }
    (void)fputs("\nother routes of the listener:\n", ctl->out);
    json_for_each(route, considered)
    {
        (void)fputs("  ", ctl->out);
        print_text(ctl->out, ctl_text(route, "route"));
        (void)fputs(": ", ctl->out);
        print_text(ctl->out, ctl_text(route, "why"));
        (void)fputc('\n', ctl->out);
    }
    if (all > listed) {
        (void)fprintf(ctl->out, "  and %llu more\n", (unsigned long long)(all - listed));
    }
}

enum ctl_exit cmd_explain_route(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct buf body;
    if (strstr(ctl->args[1], "://") == NULL) {
        return ctl_fail(ctl, CTL_USAGE,
                        "'%s' is no URL: it is http://HOST[:PORT]/PATH, or likewise with https://, "
                        "tls:// or tcp://",
                        ctl->args[1]);
    }
    buf_init(&body, (size_t)16 * CTL_PATH_MAX);
    write_question(ctl, &body);
    if (body.overflow) {
        buf_fini(&body);
        return ctl_fail(ctl, CTL_USAGE, "the request is too long");
    }
    struct json *answer = ctl_post(ctl, "/v1/explain/route", buf_slice(&body), NULL, &code);
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL) {
        print_verdict(ctl, answer);
        print_candidates(ctl, answer);
        print_considered(ctl, answer);
    }
    if (answer != NULL && !json_bool(json_get(answer, SLICE("matched")))) {
        code = CTL_NO;
    } else if (answer == NULL && ctl->listener == NULL && code == CTL_INVALID) {
        ctl_hint(ctl, "the port of the URL is that of a listener, or --listener NAME says which");
    }
    json_free(answer);
    buf_fini(&body);
    return code;
}
