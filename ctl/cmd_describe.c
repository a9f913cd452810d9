#include "ctl/cmd_describe.h"

#include "conf/json/json_write.h"
#include "ctl/cmd_events.h"
#include "ctl/cmd_status.h"
#include "ctl/pager.h"
#include "ctl/print_override.h"
#include "ctl/print_table.h"
#include "ctl/when.h"

enum { EVENTS_SHOWN = 10, LABEL_WIDTH = 17 };

/* What is asked for one page; each part but the first may be missing. */
struct page {
    struct json *config;
    struct json *status;
    struct json *overrides; /* a list of those that concern it */
    struct json *events;    /* the last ones */
    uint64_t revision;
};

static void page_fini(struct page *page)
{
    json_free(page->config);
    json_free(page->status);
    json_free(page->overrides);
    json_free(page->events);
}

/* -- asking -- */

static bool has_status(const struct kind *kind)
{
    return kind->id != KIND_HEALTH_CHECKS && kind->id != KIND_CONFIG &&
           kind->id != KIND_ADDRESS_SETS && kind->id != KIND_MAIL_USERS &&
           kind->id != KIND_MAIL_MAPS && kind->id != KIND_MAIL_CALLBACKS;
}

/* The name that events and overrides give it. */
static void write_event_name(const struct kind_target *target, struct buf *name)
{
    switch (target->kind->id) {
    case KIND_LISTENERS:
        buf_append_text(name, "listener/");
        break;
    case KIND_CERTIFICATES:
        buf_append_text(name, "certificate/");
        break;
    case KIND_CA_SETS:
        buf_append_text(name, "ca-set/");
        break;
    case KIND_CONFIG:
        buf_append_text(name, "config");
        return;
    case KIND_ROUTES:
    case KIND_POLICIES:
    case KIND_ADDRESS_SETS:
    case KIND_POOLS:
    case KIND_SERVERS:
    case KIND_HEALTH_CHECKS:
    case KIND_MAIL_USERS:
    case KIND_MAIL_MAPS:
    case KIND_MAIL_CALLBACKS:
    case KIND_COUNT:
        break;
    }
    buf_append_slice(name, buf_slice(&target->name));
}

/* Is `name` the thing, or in it? */
static bool concerns(struct slice name, struct slice thing)
{
    return slice_eq(name, thing) ||
           (slice_starts(name, thing) && name.len > thing.len && name.ptr[thing.len] == '/');
}

static struct json *pick_overrides(struct ctl *ctl, struct slice thing, enum ctl_exit *code)
{
    const struct json *override;
    struct json *answer = ctl_get(ctl, "/v1/overrides", NULL, code);
    if (answer == NULL) {
        return NULL;
    }
    struct json *picked = json_new_array();
    json_for_each(override, json_get(answer, SLICE("overrides")))
    {
        if (concerns(ctl_text(override, "target"), thing)) {
            json_append(picked, json_copy(override));
        }
    }
    json_free(answer);
    return picked;
}

static struct json *last_events(struct ctl *ctl, const char *name, enum ctl_exit *code)
{
    const struct json *event;
    struct buf path;
    uint64_t at = 0;
    buf_init(&path, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&path, "/v1/events?limit=4096");
    ctl_query(&path, "name", name);
    struct json *answer = ctl_get(ctl, path.data, NULL, code);
    buf_fini(&path);
    if (answer == NULL) {
        return NULL;
    }
    const struct json *events = json_get(answer, SLICE("events"));
    uint64_t all = json_count(events);
    struct json *picked = json_new_array();
    json_for_each(event, events)
    {
        if (at++ + EVENTS_SHOWN >= all) {
            json_append(picked, json_copy(event));
        }
    }
    json_free(answer);
    return picked;
}

static enum ctl_exit ask(struct ctl *ctl, const struct kind_target *target, struct page *page)
{
    enum ctl_exit code = CTL_OK;
    struct rest_reply reply;
    struct buf path;
    struct buf name;
    rest_reply_init(&reply);
    buf_init(&path, (size_t)2 * CTL_PATH_MAX);
    buf_init(&name, (size_t)2 * CTL_PATH_MAX);
    buf_printf(&path, "%s/status", target->path.data);
    write_event_name(target, &name);
    page->config = ctl_get(ctl, target->path.data, &reply, &code);
    page->revision = reply.revision;
    if (code == CTL_NOT_FOUND) {
        ctl_hint(ctl, "lbctl get %s", target->kind->plural);
    }
    if (code == CTL_OK && has_status(target->kind)) {
        page->status = ctl_get(ctl, path.data, NULL, &code);
    }
    if (code == CTL_OK) {
        page->overrides = pick_overrides(ctl, buf_slice(&name), &code);
    }
    if (code == CTL_OK && target->kind->id != KIND_ROUTES &&
        target->kind->id != KIND_HEALTH_CHECKS) { /* nothing happens to those */
        page->events = last_events(ctl, name.data, &code);
    }
    buf_fini(&name);
    buf_fini(&path);
    rest_reply_fini(&reply);
    return code;
}

/* -- printing -- */

static void print_config(struct ctl *ctl, const struct page *page)
{
    struct buf text;
    struct json_write w;
    struct slice rest;
    struct slice line;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_PRETTY);
    json_write_json(&w, page->config);
    (void)fprintf(ctl->out, "\nconfiguration, revision %llu:\n",
                  (unsigned long long)page->revision);
    rest = buf_slice(&text);
    while (slice_split(&rest, '\n', &line)) {
        (void)fputs("  ", ctl->out);
        print_text(ctl->out, line);
        (void)fputc('\n', ctl->out);
    }
    buf_fini(&text);
}

static void print_conditions(struct ctl *ctl, const struct json *conditions)
{
    struct print_table table;
    const struct json *condition;
    print_table_init(&table);
    print_table_column(&table, "  CONDITION");
    print_table_column(&table, "STATUS");
    print_table_column(&table, "REASON");
    print_table_column(&table, "SINCE");
    print_table_column(&table, "MESSAGE");
    json_for_each(condition, conditions)
    {
        char since[WHEN_TEXT_MAX];
        struct slice type = ctl_text(condition, "type");
        bool is_true = json_bool(json_get(condition, SLICE("status")));
        bool is_bad = slice_eq(type, SLICE("Degraded")) || slice_eq(type, SLICE("Overloaded"));
        when_write_text(since, ctl_text(condition, "since"));
        print_table_cellf(&table, PRINT_PLAIN, "  %.*s", SLICE_ARG(type));
        print_table_cell(&table, is_true != is_bad ? PRINT_GOOD : PRINT_BAD,
                         is_true ? SLICE("yes") : SLICE("no"));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(condition, "reason"));
        print_table_cell(&table, PRINT_PLAIN, slice_from(since));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(condition, "message"));
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

static void print_servers(struct ctl *ctl, struct slice pool, const struct json *servers)
{
    struct print_table table;
    const struct json *server;
    print_table_init(&table);
    print_table_column(&table, "  SERVER");
    print_table_column(&table, "ADDRESS");
    print_table_column(&table, "HEALTH");
    print_table_column(&table, "ADMIN");
    print_table_column(&table, ">WEIGHT");
    print_table_column(&table, ">IN-USE");
    struct buf shown;
    buf_init(&shown, CTL_PATH_MAX);
    buf_printf(&shown, "  %.*s", SLICE_ARG(pool));
    json_for_each(server, servers)
    {
        cmd_status_server_cells(&table, buf_slice(&shown), json_key(server), server);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    buf_fini(&shown);
}

static void print_checks(struct ctl *ctl, const struct json *checks)
{
    struct print_table table;
    const struct json *check;
    print_table_init(&table);
    print_table_column(&table, "  CHECKED");
    print_table_column(&table, "RESULT");
    print_table_column(&table, ">MS");
    print_table_column(&table, "DETAIL");
    json_for_each(check, checks)
    {
        char time[WHEN_TEXT_MAX];
        struct slice result = ctl_text(check, "result");
        when_write_text(time, ctl_text(check, "time"));
        print_table_cellf(&table, PRINT_PLAIN, "  %s", time);
        print_table_cell(&table, slice_eq(result, SLICE("passed")) ? PRINT_GOOD : PRINT_BAD,
                         result);
        print_table_cellf(&table, PRINT_PLAIN, "%.1f",
                          json_number(json_get(check, SLICE("duration_ms"))));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(check, "detail"));
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

/* Whom a policy holds back. */
static void print_fullest(struct ctl *ctl, const struct json *keys)
{
    struct print_table table;
    const struct json *key;
    print_table_init(&table);
    print_table_column(&table, "  KEY");
    print_table_column(&table, ">USED");
    print_table_column(&table, ">LIMIT");
    print_table_column(&table, "NEXT-ONE");
    json_for_each(key, json_get(keys, SLICE("fullest")))
    {
        bool is_full = json_bool(json_get(key, SLICE("full")));
        struct slice name = ctl_text(key, "key");
        struct slice id = ctl_text(key, "id");
        print_table_cellf(&table, PRINT_PLAIN, name.len != 0 ? "  %.*s" : "  id %.*s",
                          SLICE_ARG(name.len != 0 ? name : id));
        print_table_cellf(&table, PRINT_PLAIN, "%llu", (unsigned long long)ctl_number(key, "used"));
        print_table_cellf(&table, PRINT_PLAIN, "%llu",
                          (unsigned long long)ctl_number(keys, "limit"));
        print_table_cell(&table, is_full ? PRINT_BAD : PRINT_PLAIN,
                         is_full ? SLICE("refused") : SLICE("passes"));
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

static enum print_color color_of(struct slice key, const struct json *value)
{
    if (slice_eq(key, SLICE("health"))) {
        return cmd_status_health_color(json_string(value));
    }
    return slice_eq(key, SLICE("admin")) ? cmd_status_admin_color(json_string(value)) : PRINT_PLAIN;
}

/* Members of a status that have a table of their own. */
static bool is_in_table(struct slice key)
{
    return slice_eq(key, SLICE("conditions")) || slice_eq(key, SLICE("servers")) ||
           slice_eq(key, SLICE("checks"));
}

/* "127.0.0.1:80, [::1]:80"; a place in the configuration as lbctl takes it: "listeners/web". */
static void append_texts(struct buf *text, const struct json *list)
{
    const struct json *one;
    json_for_each(one, list)
    {
        struct slice word = json_string(one);
        buf_append_text(text, one != json_first(list) ? ", " : "");
        buf_append_slice(text, slice_starts(word, SLICE("#/")) ? slice_from_at(word, 2) : word);
    }
}

static bool is_texts(const struct json *value)
{
    const struct json *one;
    json_for_each(one, value)
    {
        if (!json_is(one, JSON_STRING)) {
            return false;
        }
    }
    return json_is(value, JSON_ARRAY);
}

/* Is it shown as its own members? */
static bool is_opened(const struct json *member)
{
    return json_is(member, JSON_OBJECT) && json_count(member) != 0;
}

/* Of the longest label. */
static size_t label_width(const struct json *status)
{
    size_t width = LABEL_WIDTH;
    const struct json *member;
    const struct json *inner;
    json_for_each(member, status)
    {
        if (is_in_table(json_key(member))) {
            continue;
        }
        for (inner = is_opened(member) ? json_first(member) : NULL; inner != NULL;
             inner = json_next(inner)) {
            size_t both = print_width(json_key(member)) + 1 + print_width(json_key(inner));
            width = both > width ? both : width;
        }
    }
    return width;
}

/* A member of the status on one line, or its own members on one each ("drain.phase"). */
static void print_member(struct ctl *ctl, const char *prefix, size_t width,
                         const struct json *member)
{
    struct buf text;
    struct json_write w;
    struct slice key = json_key(member);
    const struct json *inner;
    buf_init(&text, CTL_TEXT_MAX);
    buf_printf(&text, "%s%.*s", prefix, SLICE_ARG(key));
    if (is_opened(member) && prefix[0] == '\0') {
        buf_append_char(&text, '.');
        json_for_each(inner, member)
        {
            if (slice_eq(json_key(inner), SLICE("fullest"))) {
                continue; /* a table of its own */
            }
            print_member(ctl, text.data, width, inner);
        }
        buf_fini(&text);
        return;
    }
    (void)fputs("  ", ctl->out);
    for (size_t used = text.len; used < width; used++) {
        buf_append_char(&text, ' ');
    }
    print_text(ctl->out, buf_slice(&text));
    (void)fputc(' ', ctl->out);
    buf_clear(&text);
    if (json_is(member, JSON_STRING)) { /* moments as a clock, the rest as it is */
        char when[WHEN_TEXT_MAX];
        uint64_t wall_ms;
        bool is_moment = when_parse(json_string(member), &wall_ms);
        when_write_text(when, json_string(member));
        buf_append_slice(&text, is_moment ? slice_from(when) : json_string(member));
    } else if (json_is(member, JSON_OBJECT) && json_count(member) == 0) {
        buf_append_text(&text, "none");
    } else if (is_texts(member)) {
        append_texts(&text, member);
        buf_append_text(&text, json_count(member) == 0 ? "none" : "");
    } else {
        json_write_init(&w, &text, JSON_COMPACT);
        json_write_json(&w, member);
    }
    print_colored(ctl->out, ctl->color, color_of(key, member), buf_slice(&text));
    (void)fputc('\n', ctl->out);
    buf_fini(&text);
}

static void print_status(struct ctl *ctl, const struct kind_target *target,
                         const struct json *status)
{
    const struct json *member;
    size_t width = label_width(status);
    (void)fputs("\nstatus:\n", ctl->out);
    json_for_each(member, status)
    {
        if (!is_in_table(json_key(member))) {
            print_member(ctl, "", width, member);
        }
    }
    if (json_count(json_get(status, SLICE("conditions"))) != 0) {
        print_conditions(ctl, json_get(status, SLICE("conditions")));
    }
    if (json_count(json_get(status, SLICE("servers"))) != 0) {
        print_servers(ctl, buf_slice(&target->name), json_get(status, SLICE("servers")));
    }
    if (json_count(ctl_member(status, "keys.fullest")) != 0) {
        print_fullest(ctl, json_get(status, SLICE("keys")));
    }
    if (json_count(json_get(status, SLICE("checks"))) != 0) {
        print_checks(ctl, json_get(status, SLICE("checks")));
    }
}

static void print_overrides(struct ctl *ctl, const struct json *overrides)
{
    const struct json *override;
    if (json_count(overrides) == 0) {
        return;
    }
    (void)fputs("\nchanged by hand:\n", ctl->out);
    json_for_each(override, overrides)
    {
        (void)fputs("  ", ctl->out);
        print_override(ctl, override);
        (void)fputc('\n', ctl->out);
    }
}

static void print_events(struct ctl *ctl, const struct json *events)
{
    const struct json *event;
    if (json_count(events) == 0) {
        return;
    }
    (void)fputs("\nlast events:\n", ctl->out);
    json_for_each(event, events)
    {
        (void)fputs("  ", ctl->out);
        cmd_events_print(ctl, event);
    }
}

/* The page as one object; it gives its parts away. */
static void print_as_json(struct ctl *ctl, struct page *page)
{
    struct json *all = json_new_object();
    json_set(all, SLICE("config"), page->config);
    page->config = NULL;
    if (page->status != NULL) {
        json_set(all, SLICE("status"), page->status);
        page->status = NULL;
    }
    if (page->overrides != NULL) {
        json_set(all, SLICE("overrides"), page->overrides);
        page->overrides = NULL;
    }
    if (page->events != NULL) {
        json_set(all, SLICE("events"), page->events);
        page->events = NULL;
    }
    ctl_print_json(ctl, all);
    json_free(all);
}

enum ctl_exit cmd_describe_target(struct ctl *ctl, const struct kind_target *target)
{
    struct page page = {.config = NULL};
    enum ctl_exit code = ask(ctl, target, &page);
    if (code == CTL_OK && ctl_wants_json(ctl)) {
        print_as_json(ctl, &page);
    } else if (code == CTL_OK) {
        if (target->kind->id != KIND_CONFIG) {
            (void)fprintf(ctl->out, "%s ", target->kind->singular);
        }
        print_text(ctl->out, buf_slice(&target->name));
        (void)fputc('\n', ctl->out);
        print_config(ctl, &page);
        if (page.status != NULL) {
            print_status(ctl, target, page.status);
        }
        print_overrides(ctl, page.overrides);
        print_events(ctl, page.events);
    }
    page_fini(&page);
    return code;
}

enum ctl_exit cmd_describe(struct ctl *ctl)
{
    struct kind_target target;
    enum ctl_exit code = CTL_OK;
    kind_split_pointer(ctl);
    const char *name = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    if (kind_target_read(ctl, ctl->args[0], name, &target, &code)) {
        struct pager pager;
        pager_begin(ctl, &pager);
        code = cmd_describe_target(ctl, &target);
        pager_end(ctl, &pager);
    }
    kind_target_fini(&target);
    return code;
}
