#include "ctl/cmd_events.h"

#include <string.h>

#include "ctl/event_feed.h"
#include "ctl/print_table.h"
#include "ctl/when.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

enum { SHOWN = 100, HELD_MAX = 4096, TYPE_WIDTH = 19, NAME_WIDTH = 20 };

const char *const cmd_events_types[] = {
    "config.applied",     "config.rejected",  "config.rolled_back",
    "config.unconfirmed", "config.confirmed", "server.health",
    "server.error",       "server.admin",     "override.set",
    "override.cleared",   "override.expired", "override.superseded",
    "drain.started",      "drain.progress",   "drain.done",
    "listener.up",        "listener.drain",   "daemon.drain",
    "api.denied",         "cert.loaded",      "cert.expiring",
    "cert.expired",       "cert.failed",      "pool.capabilities",
    "server.outlier",     "server.kept",      "server.interview",
    "dns.changed",        "dns.failed",       "keys.changed",
    "keys.failed",        "daemon.overload",  NULL};

/* A text and the spaces up to the next column. */
static void print_padded(struct ctl *ctl, enum print_color color, struct slice text, size_t width)
{
    print_colored(ctl->out, ctl->color, color, text);
    for (size_t used = print_width(text); used < width; used++) {
        (void)fputc(' ', ctl->out);
    }
    (void)fputs("  ", ctl->out);
}

/* What needs somebody, and what is good news; the words say it too. */
static enum print_color color_of(const struct json *event)
{
    struct slice type = ctl_text(event, "type");
    if (slice_eq(type, SLICE("server.health"))) {
        struct slice to = ctl_text(event, "data.to");
        return slice_eq(to, SLICE("up"))         ? PRINT_GOOD
               : slice_eq(to, SLICE("down"))     ? PRINT_BAD
               : slice_eq(to, SLICE("degraded")) ? PRINT_WARN
                                                 : PRINT_PLAIN;
    }
    if (slice_eq(type, SLICE("config.rejected")) || slice_eq(type, SLICE("config.rolled_back")) ||
        slice_eq(type, SLICE("config.unconfirmed")) || slice_eq(type, SLICE("server.error")) ||
        slice_eq(type, SLICE("pool.capabilities")) || slice_eq(type, SLICE("server.outlier")) ||
        slice_eq(type, SLICE("server.kept")) || slice_eq(type, SLICE("server.interview")) ||
        slice_eq(type, SLICE("api.denied")) || slice_eq(type, SLICE("keys.failed"))) {
        return PRINT_WARN;
    }
    if (slice_eq(type, SLICE("daemon.overload"))) {
        return slice_eq(ctl_text(event, "data.to"), SLICE("normal")) ? PRINT_GOOD : PRINT_WARN;
    }
    if (slice_eq(type, SLICE("cert.expiring"))) {
        return PRINT_WARN;
    }
    if (slice_eq(type, SLICE("cert.expired")) || slice_eq(type, SLICE("cert.failed"))) {
        return PRINT_BAD;
    }
    return PRINT_PLAIN;
}

void cmd_events_print(struct ctl *ctl, const struct json *event)
{
    char when[WHEN_TEXT_MAX];
    struct slice name = ctl_text(event, "name");
    when_write_text(when, ctl_text(event, "time"));
    print_padded(ctl, PRINT_PLAIN, slice_from(when), 0);
    print_padded(ctl, color_of(event), ctl_text(event, "type"), TYPE_WIDTH);
    print_padded(ctl, PRINT_PLAIN, name.len != 0 ? name : SLICE("-"), NAME_WIDTH);
    print_text(ctl->out, ctl_text(event, "message"));
    (void)fputc('\n', ctl->out);
}

/* "a,b" of the words on the command line; *types is NULL when there are none. */
static const char *join_types(const struct ctl *ctl, struct buf *joined)
{
    for (uint32_t i = 0; i < ctl->arg_count; i++) {
        buf_append_text(joined, i != 0 ? "," : "");
        buf_append_text(joined, ctl->args[i]);
    }
    return joined->data;
}

/* -- events -- */

/* How many of the list, from its end, are to be shown. */
static uint64_t count_shown(const struct ctl *ctl, const struct json *events)
{
    uint64_t limit = SHOWN;
    uint64_t since_ms = 0;
    uint64_t young = 0;
    const struct json *event;
    bool has_limit = ctl->limit != NULL && num_parse_u64(slice_from(ctl->limit), &limit);
    if (ctl->since == NULL || !num_parse_duration_ms(slice_from(ctl->since), &since_ms)) {
        return limit;
    }
    uint64_t begin_ms = now_wall_us() / 1000 - since_ms;
    json_for_each(event, events)
    {
        uint64_t wall_ms;
        bool is_known = when_parse(ctl_text(event, "time"), &wall_ms);
        young += !is_known || wall_ms >= begin_ms ? 1 : 0;
    }
    return has_limit && limit < young ? limit : young;
}

static void print_events(struct ctl *ctl, const struct json *events)
{
    uint64_t all = json_count(events);
    uint64_t shown = count_shown(ctl, events);
    uint64_t skipped = shown < all ? all - shown : 0;
    uint64_t at = 0;
    const struct json *event;
    bool is_table = ctl_wants_table(ctl);
    json_for_each(event, events)
    {
        if (at++ < skipped) {
            continue;
        }
        if (is_table) {
            cmd_events_print(ctl, event);
        } else {
            ctl_print_json(ctl, event);
        }
    }
    if (is_table && skipped != 0 && ctl->since == NULL && ctl->limit == NULL) {
        (void)fflush(ctl->out);
        ctl_hint(ctl, "%llu older: lbctl events -n %u", (unsigned long long)skipped, HELD_MAX);
    }
}

enum ctl_exit cmd_events(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct buf target;
    struct buf types;
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_init(&types, CTL_PATH_MAX);
    buf_printf(&target, "/v1/events?limit=%u", HELD_MAX);
    ctl_query(&target, "types", join_types(ctl, &types));
    ctl_query(&target, "name", ctl->pool);
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL && ctl->output == CTL_JSON) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL) {
        print_events(ctl, json_get(answer, SLICE("events")));
    }
    json_free(answer);
    buf_fini(&types);
    buf_fini(&target);
    return code;
}

/* -- watch -- */

struct watch {
    struct ctl *ctl;
    uint64_t left; /* events to print */
};

static bool print_as_it_comes(void *user, const struct json *event)
{
    struct watch *watch = user;
    struct ctl *ctl = watch->ctl;
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, event);
    } else {
        cmd_events_print(ctl, event);
    }
    /* who reads through a pipe is not to wait; and nobody who reads is no reason to go on */
    return fflush(ctl->out) == 0 && --watch->left != 0;
}

enum ctl_exit cmd_events_watch(struct ctl *ctl)
{
    struct buf types;
    struct watch watch = {.ctl = ctl, .left = UINT64_MAX};
    buf_init(&types, CTL_PATH_MAX);
    if (ctl->output == CTL_JSON) { /* a stream is a line each */
        ctl->output = CTL_JSONL;
    }
    if (ctl->limit != NULL && !num_parse_u64(slice_from(ctl->limit), &watch.left)) {
        watch.left = UINT64_MAX; /* the parser has seen to it */
    }
    const struct event_feed feed = {.ctl = ctl,
                                    .types = join_types(ctl, &types),
                                    .name = ctl->pool,
                                    .on_event = print_as_it_comes,
                                    .user = &watch};
    enum ctl_exit code = event_feed_run(&feed);
    buf_fini(&types);
    return code;
}
