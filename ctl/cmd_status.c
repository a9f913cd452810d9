#include "ctl/cmd_status.h"

#include <string.h>

#include "ctl/print_override.h"
#include "ctl/when.h"
#include "lbd_version.h"

enum { BY_HAND_SHOWN = 10, POLICIES_SHOWN = 5, QUEUES_SHOWN = 5, RESTING_SHOWN = 10 };

enum print_color cmd_status_health_color(struct slice health)
{
    if (slice_eq(health, SLICE("up"))) {
        return PRINT_GOOD;
    }
    return slice_eq(health, SLICE("down")) ? PRINT_BAD : PRINT_WARN;
}

enum print_color cmd_status_admin_color(struct slice admin)
{
    if (slice_eq(admin, SLICE("ready"))) {
        return PRINT_PLAIN;
    }
    return slice_eq(admin, SLICE("maint")) ? PRINT_DIM : PRINT_WARN;
}

/* Does it rest, as an outlier of its pool? One that only would, in shadow mode, gets its share. */
static bool server_rests(const struct json *server)
{
    return slice_eq(ctl_text(server, "outlier.mode"), SLICE("enforce"));
}

static bool server_is_well(const struct json *server)
{
    return !server_rests(server) && slice_eq(ctl_text(server, "health"), SLICE("up")) &&
           slice_eq(ctl_text(server, "admin"), SLICE("ready"));
}

void cmd_status_server_cells(struct print_table *table, struct slice pool, struct slice name,
                             const struct json *server)
{
    struct slice health = ctl_text(server, "health");
    struct slice admin = ctl_text(server, "admin");
    print_table_cellf(table, PRINT_PLAIN, "%.*s/%.*s", SLICE_ARG(pool), SLICE_ARG(name));
    print_table_cell(table, PRINT_PLAIN, ctl_text(server, "address"));
    print_table_cell(table, cmd_status_health_color(health), health);
    print_table_cell(table, cmd_status_admin_color(admin), admin);
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(server, "effective_weight"));
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(server, "connections"));
}

enum ctl_exit cmd_status_print_health(struct ctl *ctl, const struct server_name *name)
{
    enum ctl_exit code = CTL_OK;
    struct buf path;
    buf_init(&path, (size_t)2 * CTL_PATH_MAX);
    server_name_path(name, &path);
    buf_append_text(&path, "/status");
    struct json *status = ctl_get(ctl, path.data, NULL, &code);
    struct slice health = ctl_text(status, "health");
    print_colored(ctl->out, ctl->color, cmd_status_health_color(health), health);
    json_free(status);
    buf_fini(&path);
    return code;
}

static void print_headline(struct ctl *ctl, const struct json *status)
{
    char uptime[WHEN_TEXT_MAX];
    FILE *out = ctl->out;
    uint64_t workers = ctl_number(status, "workers");
    struct slice state = ctl_text(status, "state");
    bool well = slice_eq(state, SLICE("ready")) || slice_eq(state, SLICE("running"));
    when_write_span(uptime, ctl_number(status, "uptime_seconds"));
    (void)fputs("lbd ", out);
    print_text(out, ctl_text(status, "version"));
    (void)fputs("  ", out);
    print_colored(out, ctl->color, well ? PRINT_GOOD : PRINT_WARN, state);
    (void)fprintf(out, "  revision %llu (", (unsigned long long)ctl_number(status, "revision"));
    print_text(out, ctl_text(status, "source"));
    (void)fprintf(out, ")  up %s  %llu %s\n", uptime, (unsigned long long)workers,
                  ctl_plural(workers, "worker", "workers"));
}

static void write_addresses(struct buf *text, const struct json *addresses)
{
    const struct json *address;
    buf_clear(text);
    json_for_each(address, addresses)
    {
        if (text->len != 0) {
            buf_append_text(text, ", ");
        }
        buf_append_slice(text, json_string(address));
    }
}

static void print_listeners(struct ctl *ctl, const struct json *listeners)
{
    struct print_table table;
    struct buf text;
    const struct json *listener;
    if (json_count(listeners) == 0) {
        return;
    }
    print_table_init(&table);
    buf_init(&text, CTL_PATH_MAX);
    print_table_column(&table, "LISTENER");
    print_table_column(&table, "ADDRESS");
    print_table_column(&table, "STATE");
    print_table_column(&table, ">CONNECTIONS");
    json_for_each(listener, listeners)
    {
        struct slice state = ctl_text(listener, "state");
        bool well = slice_eq(state, SLICE("up"));
        write_addresses(&text, ctl_member(listener, "addresses"));
        print_table_cell(&table, PRINT_PLAIN, json_key(listener));
        print_table_cell(&table, PRINT_PLAIN, buf_slice(&text));
        print_table_cell(&table, well ? PRINT_GOOD : PRINT_WARN, state);
        print_table_cellf(&table, PRINT_PLAIN, "%llu",
                          (unsigned long long)ctl_number(listener, "connections"));
    }
    (void)fputc('\n', ctl->out);
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    buf_fini(&text);
    print_table_fini(&table);
}

static uint64_t count_servers(const struct json *pools)
{
    uint64_t count = 0;
    const struct json *pool;
    json_for_each(pool, pools)
    {
        count += json_count(ctl_member(pool, "servers"));
    }
    return count;
}

static void print_servers(struct ctl *ctl, const struct json *pools)
{
    struct print_table table;
    const struct json *pool;
    const struct json *server;
    uint64_t all = count_servers(pools);
    uint64_t listed = 0;
    bool all_fit = all <= CMD_STATUS_SERVERS_MAX;
    print_table_init(&table);
    print_table_column(&table, "SERVER");
    print_table_column(&table, "ADDRESS");
    print_table_column(&table, "HEALTH");
    print_table_column(&table, "ADMIN");
    print_table_column(&table, ">WEIGHT");
    print_table_column(&table, ">IN-USE");
    json_for_each(pool, pools)
    {
        json_for_each(server, ctl_member(pool, "servers"))
        {
            bool wanted = all_fit || !server_is_well(server);
            if (wanted && listed < CMD_STATUS_SERVERS_MAX) {
                cmd_status_server_cells(&table, json_key(pool), json_key(server), server);
                listed++;
            }
        }
    }
    if (listed != 0) {
        (void)fputc('\n', ctl->out);
        print_table_write(&table, ctl->out, ctl->color, ctl->width);
    }
    if (all != 0 && listed == 0) {
        (void)fprintf(ctl->out, "\n%llu servers, all up and ready: lbctl get servers\n",
                      (unsigned long long)all);
    } else if (listed < all) {
        (void)fprintf(ctl->out, "%llu more: lbctl get servers\n",
                      (unsigned long long)(all - listed));
    }
    print_table_fini(&table);
}

/* Requests that wait while every server has all that it may have. */
static void print_queues(struct ctl *ctl, const struct json *pools)
{
    const struct json *pool;
    uint32_t shown = 0;
    json_for_each(pool, pools)
    {
        uint64_t queued = ctl_number(pool, "queued");
        if (queued == 0 || shown == QUEUES_SHOWN) {
            continue;
        }
        (void)fputs(shown++ == 0 ? "\npool " : "pool ", ctl->out);
        print_text(ctl->out, json_key(pool));
        (void)fprintf(ctl->out, ": %llu queued: lbctl describe pool ", (unsigned long long)queued);
        print_text(ctl->out, json_key(pool));
        (void)fputc('\n', ctl->out);
    }
}

static bool is_shadow(const struct json *policy)
{
    return slice_eq(ctl_text(policy, "mode"), SLICE("shadow"));
}

/* Of requests; in shadow mode those that it would have. */
static uint64_t refusals(const struct json *policy)
{
    return ctl_number(policy, is_shadow(policy) ? "decisions.shadow" : "decisions.deny");
}

/* The one that refused the most of those behind `last`, which comes before others that refused as
 * many. */
static const struct json *next_refuser(const struct json *policies, const struct json *last)
{
    const struct json *policy;
    const struct json *best = NULL;
    bool is_behind = last == NULL;
    json_for_each(policy, policies)
    {
        uint64_t count = refusals(policy);
        bool is_left =
            last == NULL || count < refusals(last) || (is_behind && count == refusals(last));
        if (count != 0 && is_left && (best == NULL || count > refusals(best))) {
            best = policy;
        }
        is_behind = is_behind || policy == last;
    }
    return best;
}

/* The policies that have refused the most: whoever is woken up because clients are turned away
 * finds here by what. */
static void print_refusers(struct ctl *ctl, const struct json *policies)
{
    const struct json *policy = NULL;
    for (uint32_t i = 0; i < POLICIES_SHOWN; i++) {
        policy = next_refuser(policies, policy);
        if (policy == NULL) {
            return;
        }
        uint64_t passed = ctl_number(policy, "decisions.allow");
        (void)fputs(i == 0 ? "\n" : "", ctl->out);
        (void)fputs("policy ", ctl->out);
        print_text(ctl->out, json_key(policy));
        (void)fputs(" (", ctl->out);
        print_text(ctl->out, ctl_text(policy, "kind"));
        (void)fprintf(ctl->out, "%s %llu of %llu",
                      is_shadow(policy) ? ") would have refused or changed" : ") refused",
                      (unsigned long long)refusals(policy),
                      (unsigned long long)(passed + refusals(policy)));
        (void)fputs(" requests: lbctl describe policy ", ctl->out);
        print_text(ctl->out, json_key(policy));
        (void)fputc('\n', ctl->out);
    }
}

/* What to do about a condition that is not as it should be; "": nothing but look. */
static const char *remedy_of(struct slice type)
{
    if (slice_eq(type, SLICE("ConfigConfirmed"))) {
        return " (lbctl confirm, or lbctl reject)";
    }
    return slice_eq(type, SLICE("SeedInSync")) ? " (lbctl diff --seed)" : "";
}

static void print_sentence(struct ctl *ctl, struct slice text)
{
    struct buf said;
    buf_init(&said, CTL_TEXT_MAX);
    when_write_sentence(&said, text);
    print_text(ctl->out, buf_slice(&said));
    buf_fini(&said);
}

/* Conditions that somebody should know of. Ready is told by the problems. Returns how many. */
static uint32_t print_conditions(struct ctl *ctl, const struct json *conditions)
{
    const struct json *condition;
    uint32_t count = 0;
    json_for_each(condition, conditions)
    {
        struct slice type = ctl_text(condition, "type");
        bool wanted = !slice_eq(type, SLICE("Degraded")) && !slice_eq(type, SLICE("Overloaded"));
        if (json_bool(json_get(condition, SLICE("status"))) == wanted ||
            slice_eq(type, SLICE("Ready"))) {
            continue;
        }
        (void)fputs("note: ", ctl->out);
        print_colored(ctl->out, ctl->color, PRINT_WARN, type);
        (void)fputs(": ", ctl->out);
        print_sentence(ctl, ctl_text(condition, "message"));
        (void)fprintf(ctl->out, "%s\n", remedy_of(type));
        count++;
    }
    return count;
}

static void print_problems(struct ctl *ctl, const struct json *problems)
{
    const struct json *problem;
    json_for_each(problem, problems)
    {
        struct slice pointer = ctl_text(problem, "pointer");
        if (slice_starts(pointer, SLICE("#"))) {
            pointer = slice_from_at(pointer, 1);
        }
        (void)fputs("problem: ", ctl->out);
        print_colored(ctl->out, ctl->color, PRINT_BAD, pointer);
        (void)fputs(pointer.len != 0 ? ": " : "", ctl->out);
        print_text(ctl->out, ctl_text(problem, "message"));
        (void)fputc('\n', ctl->out);
    }
}

/* Is anything not as it is configured, because a person wants it so? */
static bool is_set_by_hand(const struct json *status)
{
    const struct json *pool;
    const struct json *server;
    const struct json *listener;
    json_for_each(listener, ctl_member(status, "listeners"))
    {
        if (!slice_eq(ctl_text(listener, "state"), SLICE("up"))) {
            return true;
        }
    }
    json_for_each(pool, ctl_member(status, "pools"))
    {
        json_for_each(server, json_get(pool, SLICE("servers")))
        {
            if (json_bool(json_get(server, SLICE("overridden")))) {
                return true;
            }
        }
    }
    return false;
}

/* Who did it, why and until when: whoever looks at night was not there. */
static void print_set_by_hand(struct ctl *ctl, const struct json *status)
{
    enum ctl_exit code = CTL_OK;
    const struct json *override;
    uint32_t shown = 0;
    if (!is_set_by_hand(status)) {
        return;
    }
    struct json *answer = ctl_get(ctl, "/v1/overrides", NULL, &code);
    const struct json *overrides = ctl_member(answer, "overrides");
    json_for_each(override, overrides)
    {
        if (shown++ == BY_HAND_SHOWN) {
            (void)fprintf(ctl->out, "by hand: ... and %u more\n",
                          json_count(overrides) - BY_HAND_SHOWN);
            break;
        }
        (void)fputs("by hand: ", ctl->out);
        print_override(ctl, override);
        (void)fputs(" (undo: ", ctl->out);
        print_override_remedy(ctl, override);
        (void)fputs(")\n", ctl->out);
    }
    json_free(answer);
}

/* Servers that are up and ready and get nothing all the same, as they failed too often. Returns how
 * many. */
static uint32_t print_resting(struct ctl *ctl, const struct json *pools)
{
    const struct json *pool;
    const struct json *server;
    uint32_t count = 0;
    json_for_each(pool, pools)
    {
        json_for_each(server, json_get(pool, SLICE("servers")))
        {
            char until[WHEN_TEXT_MAX];
            if (!server_rests(server) || count++ >= RESTING_SHOWN) {
                continue;
            }
            when_write_text(until, ctl_text(server, "outlier.until"));
            (void)fputs("note: ", ctl->out);
            print_text(ctl->out, json_key(pool));
            (void)fputc('/', ctl->out);
            print_text(ctl->out, json_key(server));
            (void)fputs(" rests until ", ctl->out);
            print_text(ctl->out, slice_from(until));
            (void)fputs(": ", ctl->out);
            print_text(ctl->out, ctl_text(server, "outlier.detail"));
            (void)fputc('\n', ctl->out);
        }
    }
    if (count > RESTING_SHOWN) {
        (void)fprintf(ctl->out, "note: ... and %u more rest\n", count - RESTING_SHOWN);
    }
    return count;
}

static void print_what_is_wrong(struct ctl *ctl, const struct json *status)
{
    const struct json *problems = ctl_member(status, "problems");
    (void)fputc('\n', ctl->out);
    print_set_by_hand(ctl, status);
    uint32_t notes = print_conditions(ctl, ctl_member(status, "conditions"));
    notes += print_resting(ctl, ctl_member(status, "pools"));
    print_problems(ctl, problems);
    if (notes + json_count(problems) == 0) {
        (void)fputs("no problems\n", ctl->out);
    }
}

enum ctl_exit cmd_status(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct json *status = ctl_get(ctl, "/v1/status", NULL, &code);
    if (status == NULL) {
        return code;
    }
    if (ctl->output == CTL_JSON || ctl->output == CTL_JSONL) {
        ctl_print_json(ctl, status);
    } else {
        print_headline(ctl, status);
        print_listeners(ctl, ctl_member(status, "listeners"));
        print_servers(ctl, ctl_member(status, "pools"));
        print_queues(ctl, ctl_member(status, "pools"));
        print_refusers(ctl, ctl_member(status, "policies"));
        print_what_is_wrong(ctl, status);
    }
    json_free(status);
    return CTL_OK;
}

enum ctl_exit cmd_status_version(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    bool as_json = ctl->output == CTL_JSON || ctl->output == CTL_JSONL;
    if (!as_json) {
        (void)fprintf(ctl->out, "lbctl %s\n", LBD_VERSION);
        (void)fflush(ctl->out);
    }
    struct json *answer = ctl_get(ctl, "/v1/version", NULL, &code);
    if (answer == NULL) {
        return code;
    }
    if (as_json) {
        struct json *both = json_new_object();
        json_set(both, SLICE("lbctl"), json_new_string(SLICE(LBD_VERSION)));
        json_set(both, SLICE("lbd"), json_new_string(ctl_text(answer, "version")));
        ctl_print_json(ctl, both);
        json_free(both);
    } else {
        (void)fputs("lbd   ", ctl->out);
        print_text(ctl->out, ctl_text(answer, "version"));
        (void)fputc('\n', ctl->out);
    }
    json_free(answer);
    return CTL_OK;
}
