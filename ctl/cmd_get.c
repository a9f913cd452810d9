#include "ctl/cmd_get.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_status.h"
#include "ctl/command.h"
#include "ctl/server_name.h"

const char *const cmd_get_kind_words[] = {"listeners",     "routes", "pools", "servers",
                                          "health-checks", "config", NULL};

/* -- cells that are more than one value -- */

/* "shop.example.com, *.example.org", or "any" */
static void cell_host(struct print_table *table, const struct json *config,
                      const struct json *status)
{
    struct buf text;
    const struct json *host;
    (void)status;
    buf_init(&text, CTL_PATH_MAX);
    json_for_each(host, ctl_member(config, "match.host"))
    {
        if (text.len != 0) {
            buf_append_text(&text, ", ");
        }
        buf_append_slice(&text, json_string(host));
    }
    print_table_cell(table, PRINT_PLAIN, text.len != 0 ? buf_slice(&text) : SLICE("any"));
    buf_fini(&text);
}

/* "/exact", or "/prefix/..." */
static void cell_path(struct print_table *table, const struct json *config,
                      const struct json *status)
{
    struct slice path = ctl_text(config, "match.path");
    struct slice prefix = ctl_text(config, "match.path_prefix");
    (void)status;
    if (path.len != 0) {
        print_table_cell(table, PRINT_PLAIN, path);
    } else if (prefix.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "%.*s%s", SLICE_ARG(prefix),
                          slice_ends(prefix, SLICE("/")) ? "..." : "/...");
    } else {
        print_table_cell(table, PRINT_PLAIN, SLICE("any"));
    }
}

static void cell_action(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice pool = ctl_text(config, "action.pool");
    struct slice location = ctl_text(config, "action.redirect.location");
    (void)status;
    if (pool.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "pool %.*s", SLICE_ARG(pool));
    } else if (ctl_member(config, "action.redirect") != NULL) {
        print_table_cellf(table, PRINT_PLAIN, "redirect %llu %.*s",
                          (unsigned long long)ctl_number(config, "action.redirect.status"),
                          SLICE_ARG(location));
    } else {
        print_table_cellf(table, PRINT_PLAIN, "respond %llu",
                          (unsigned long long)ctl_number(config, "action.respond.status"));
    }
}

static void cell_usable(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    uint64_t all = json_count(ctl_member(config, "servers"));
    uint64_t usable = ctl_number(status, "usable");
    enum print_color color = usable == all ? PRINT_GOOD : usable == 0 ? PRINT_BAD : PRINT_WARN;
    print_table_cellf(table, all == 0 ? PRINT_WARN : color, "%llu/%llu", (unsigned long long)usable,
                      (unsigned long long)all);
}

static void cell_health(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice health = ctl_text(status, "health");
    (void)config;
    print_table_cell(table, cmd_status_health_color(health), health);
}

static void cell_admin(struct print_table *table, const struct json *config,
                       const struct json *status)
{
    struct slice admin = ctl_text(status, "admin");
    (void)config;
    print_table_cell(table, cmd_status_admin_color(admin), admin);
}

static void cell_target(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice host = ctl_text(config, "host");
    (void)status;
    if (!slice_eq(ctl_text(config, "type"), SLICE("http"))) {
        print_table_cell(table, PRINT_PLAIN, SLICE("connect"));
        return;
    }
    struct slice method = ctl_text(config, "method");
    struct slice path = ctl_text(config, "path");
    print_table_cellf(table, PRINT_PLAIN, "%.*s %.*s%.*s", SLICE_ARG(method), SLICE_ARG(host),
                      SLICE_ARG(path));
}

/* -- the kinds -- */

static const struct cmd_get_kind kinds[] = {
    {
        .plural = "listeners",
        .singular = "listener",
        .path = "/v1/listeners",
        .status_path = "listeners",
        .columns =
            {
                {.title = "PROTOCOL", .path = "protocol"},
                {.title = "BIND", .path = "bind", .is_wide = true},
                {.title = "ADDRESS", .path = "addresses", .from_status = true},
                {.title = "STATE", .path = "state", .from_status = true},
                {.title = ">CONNECTIONS", .path = "connections", .from_status = true},
                {.title = ">LIMIT", .path = "limits.connections", .is_wide = true},
                {.title = "KEEP-ALIVE", .path = "timeouts.keep_alive", .is_wide = true},
                {.title = "DEFAULT-POOL", .path = "default_pool"},
            },
    },
    {
        .plural = "routes",
        .singular = "route",
        .path = "/v1/routes",
        .columns =
            {
                {.title = "LISTENER", .path = "listener"},
                {.title = ">PRIORITY", .path = "priority"},
                {.title = "HOST", .cell = cell_host},
                {.title = "PATH", .cell = cell_path},
                {.title = "ACTION", .cell = cell_action},
            },
    },
    {
        .plural = "pools",
        .singular = "pool",
        .path = "/v1/pools",
        .status_path = "pools",
        .columns =
            {
                {.title = "ALGORITHM", .path = "algorithm"},
                {.title = "HEALTH-CHECK", .path = "health_check"},
                {.title = ">RETRIES", .path = "retries", .is_wide = true},
                {.title = "CONNECT", .path = "timeouts.connect", .is_wide = true},
                {.title = "RESPONSE", .path = "timeouts.response", .is_wide = true},
                {.title = ">USABLE", .cell = cell_usable},
            },
    },
    {
        .plural = "servers",
        .singular = "server",
        .path = "/v1/pools",
        .status_path = "servers", /* of its pool's */
        .is_server = true,
        .columns =
            {
                {.title = "ADDRESS", .path = "address"},
                {.title = "HEALTH", .cell = cell_health},
                {.title = "ADMIN", .cell = cell_admin},
                {.title = ">WEIGHT", .path = "weight"},
                {.title = ">CONNECTIONS", .path = "connections", .from_status = true},
                {.title = ">LIMIT", .path = "max_connections", .is_wide = true},
                {.title = "LAST-CHECK", .path = "last_check", .from_status = true, .is_wide = true},
            },
    },
    {
        .plural = "health-checks",
        .singular = "health-check",
        .path = "/v1/health-checks",
        .columns =
            {
                {.title = "TYPE", .path = "type"},
                {.title = "ASKS", .cell = cell_target},
                {.title = "INTERVAL", .path = "interval"},
                {.title = "TIMEOUT", .path = "timeout"},
                {.title = ">RISE", .path = "rise"},
                {.title = ">FALL", .path = "fall"},
            },
    },
    {.plural = "config", .singular = "config"},
};

const struct cmd_get_kind *cmd_get_find_kind(const char *word)
{
    for (size_t i = 0; word != NULL && i < ARRAY_LEN(kinds); i++) {
        if (strcmp(word, kinds[i].plural) == 0 || strcmp(word, kinds[i].singular) == 0) {
            return &kinds[i];
        }
    }
    /* the document spells it with '_' */
    bool underscored =
        word != NULL && (strcmp(word, "health_checks") == 0 || strcmp(word, "health_check") == 0);
    return underscored ? cmd_get_find_kind("health-checks") : NULL;
}

/* -- printing -- */

static bool column_is_shown(const struct ctl *ctl, const struct cmd_get_column *column)
{
    return column->title != NULL && (!column->is_wide || ctl->output == CTL_WIDE);
}

static void value_cell(struct print_table *table, const struct json *value)
{
    int64_t number;
    const struct json *element;
    struct buf text;
    buf_init(&text, CTL_TEXT_MAX);
    if (json_is(value, JSON_ARRAY)) {
        json_for_each(element, value)
        {
            buf_append_text(&text, text.len != 0 ? ", " : "");
            buf_append_slice(&text, json_string(element));
        }
    } else if (json_integer(value, &number)) {
        buf_printf(&text, "%lld", (long long)number);
    } else {
        buf_append_slice(&text, json_string(value));
    }
    print_table_cell(table, PRINT_PLAIN, buf_slice(&text));
    buf_fini(&text);
}

/* The member with this key. Looks behind *last first: both documents keep the same order, and a
 * walk from the front for each of 100,000 servers would take minutes. */
static const struct json *member_beside(const struct json *container, const struct json **last,
                                        struct slice key)
{
    const struct json *found = *last != NULL ? json_next(*last) : json_first(container);
    if (found == NULL || !slice_eq(json_key(found), key)) {
        found = json_get(container, key);
    }
    if (found != NULL) {
        *last = found;
    }
    return found;
}

/* What a listing is made of. */
struct listing {
    struct ctl *ctl;
    const struct cmd_get_kind *kind;
    const char *only;         /* this name alone; NULL: all */
    struct print_table table; /* CTL_TABLE, CTL_WIDE */
    uint32_t count;
};

static void begin(struct listing *listing)
{
    print_table_init(&listing->table);
    print_table_column(&listing->table, "NAME");
    for (size_t i = 0; i < CMD_GET_COLUMNS_MAX; i++) {
        const struct cmd_get_column *column = &listing->kind->columns[i];
        if (column_is_shown(listing->ctl, column)) {
            print_table_column(&listing->table, column->title);
        }
    }
}

/* {"name": "web/anna", ...the resource} on one line */
static void print_line(struct ctl *ctl, struct slice name, const struct json *config)
{
    struct buf text;
    struct json_write w;
    const struct json *member;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_string(&w, "name", name);
    json_for_each(member, config)
    {
        json_write_key_slice(&w, json_key(member));
        json_write_json(&w, member);
    }
    json_write_object_end(&w);
    buf_append_char(&text, '\n');
    (void)fwrite(text.data, 1, text.len, ctl->out);
    buf_fini(&text);
}

static void add(struct listing *listing, struct slice name, const struct json *config,
                const struct json *status)
{
    struct ctl *ctl = listing->ctl;
    listing->count++;
    if (ctl->output == CTL_NAME) {
        print_text(ctl->out, name);
        (void)fputc('\n', ctl->out);
        return;
    }
    if (ctl->output == CTL_JSONL) {
        print_line(ctl, name, config);
        return;
    }
    print_table_cell(&listing->table, PRINT_PLAIN, name);
    for (size_t i = 0; i < CMD_GET_COLUMNS_MAX; i++) {
        const struct cmd_get_column *column = &listing->kind->columns[i];
        if (!column_is_shown(ctl, column)) {
            continue;
        }
        if (column->cell != NULL) {
            column->cell(&listing->table, config, status);
        } else {
            value_cell(&listing->table,
                       ctl_member(column->from_status ? status : config, column->path));
        }
    }
}

static void add_servers(struct listing *listing, const struct json *pool, const char *server_only,
                        const struct json *status)
{
    const struct json *server;
    const struct json *states = ctl_member(status, "servers");
    const struct json *last = NULL;
    struct buf name;
    buf_init(&name, CTL_PATH_MAX);
    json_for_each(server, ctl_member(pool, "servers"))
    {
        struct slice left = json_key(pool);
        struct slice right = json_key(server);
        if (server_only == NULL || slice_eq(right, slice_from(server_only))) {
            buf_clear(&name);
            buf_printf(&name, "%.*s/%.*s", SLICE_ARG(left), SLICE_ARG(right));
            add(listing, buf_slice(&name), server, member_beside(states, &last, right));
        }
    }
    buf_fini(&name);
}

/* `only` is a name, or for servers POOL or POOL/SERVER. */
static enum ctl_exit add_all(struct listing *listing, const struct json *objects,
                             const struct json *status)
{
    struct server_name wanted = {.pool = ""};
    const struct cmd_get_kind *kind = listing->kind;
    const struct json *object;
    enum ctl_exit code = CTL_OK;
    if (kind->is_server && listing->only != NULL &&
        !server_name_read(listing->ctl, listing->only, &wanted, &code)) {
        return code;
    }
    const char *only = kind->is_server && listing->only != NULL ? wanted.pool : listing->only;
    const char *server_only = wanted.server[0] != '\0' ? wanted.server : NULL;
    const char *status_path = kind->is_server ? "pools" : kind->status_path;
    const struct json *states = status_path != NULL ? ctl_member(status, status_path) : NULL;
    const struct json *last = NULL;
    json_for_each(object, objects)
    {
        if (only != NULL && !slice_eq(json_key(object), slice_from(only))) {
            continue;
        }
        const struct json *state = member_beside(states, &last, json_key(object));
        if (kind->is_server) {
            add_servers(listing, object, server_only, state);
            listing->count += server_only == NULL ? 1 : 0; /* an empty pool is there, too */
        } else {
            add(listing, json_key(object), object, state);
        }
    }
    if (listing->only != NULL && listing->count == 0) {
        return ctl_fail(listing->ctl, CTL_NOT_FOUND, "there is no %s '%s'", kind->singular,
                        listing->only);
    }
    return CTL_OK;
}

/* Tables, names, lines: the collection, and the status beside it. */
static enum ctl_exit list(struct ctl *ctl, const struct cmd_get_kind *kind, const char *only)
{
    struct listing listing = {.ctl = ctl, .kind = kind, .only = only};
    bool as_table = ctl->output == CTL_TABLE || ctl->output == CTL_WIDE;
    enum ctl_exit code = CTL_OK;
    struct json *status = NULL;
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "%s%s", kind->path, as_table ? "?defaults=true" : "");
    struct json *objects = ctl_get(ctl, target.data, NULL, &code);
    if (objects != NULL && as_table && kind->status_path != NULL) {
        status = ctl_get(ctl, "/v1/status", NULL, &code);
    }
    if (code == CTL_OK) {
        begin(&listing);
        code = add_all(&listing, objects, status);
        if (code == CTL_OK && as_table) {
            print_table_write(&listing.table, ctl->out, ctl->color, ctl->width);
        }
        print_table_fini(&listing.table);
    }
    buf_fini(&target);
    json_free(status);
    json_free(objects);
    return code;
}

/* All servers of all pools as one object: the API has no such document. */
static enum ctl_exit print_all_servers(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    const struct json *pool;
    const struct json *server;
    struct json *pools = ctl_get(ctl, "/v1/pools", NULL, &code);
    if (pools == NULL) {
        return code;
    }
    struct buf name;
    struct buf text;
    struct json_write w;
    buf_init(&name, CTL_PATH_MAX);
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_PRETTY);
    json_write_object_begin(&w);
    json_for_each(pool, pools)
    {
        json_for_each(server, ctl_member(pool, "servers"))
        {
            struct slice left = json_key(pool);
            struct slice right = json_key(server);
            buf_clear(&name);
            buf_printf(&name, "%.*s/%.*s", SLICE_ARG(left), SLICE_ARG(right));
            json_write_key_slice(&w, buf_slice(&name));
            json_write_json(&w, server);
        }
    }
    json_write_object_end(&w);
    buf_append_char(&text, '\n');
    (void)fwrite(text.data, 1, text.len, ctl->out);
    buf_fini(&text);
    buf_fini(&name);
    json_free(pools);
    return CTL_OK;
}

/* The resource as the API has it. */
static enum ctl_exit print_resource(struct ctl *ctl, const struct cmd_get_kind *kind,
                                    const char *only)
{
    struct server_name name;
    enum ctl_exit code = CTL_OK;
    struct json *json = NULL;
    struct buf target;
    if (kind->is_server && only == NULL) {
        return print_all_servers(ctl);
    }
    buf_init(&target, CTL_PATH_MAX);
    if (kind->is_server) {
        if (!server_name_read(ctl, only, &name, &code)) {
            goto out;
        }
        server_name_path(&name, &target);
        buf_append_text(&target, name.server[0] == '\0' ? "/servers" : "");
    } else {
        buf_append_text(&target, kind->path != NULL ? kind->path : "/v1/config");
        if (only != NULL) {
            rest_client_append_segment(&target, slice_from(only));
        }
    }
    if (target.overflow) {
        code = ctl_fail(ctl, CTL_USAGE, "the name is too long");
        goto out;
    }
    json = ctl_get(ctl, target.data, NULL, &code);
    if (json != NULL) {
        ctl_print_json(ctl, json);
    }
out:
    json_free(json);
    buf_fini(&target);
    return code;
}

enum ctl_exit cmd_get(struct ctl *ctl)
{
    const char *word = ctl->args[0];
    const char *only = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    const struct cmd_get_kind *kind = cmd_get_find_kind(word);
    if (kind == NULL) {
        const char *near = command_near(word, cmd_get_kind_words);
        if (near != NULL) {
            return ctl_fail(ctl, CTL_USAGE, "no kind '%s'; did you mean '%s'?", word, near);
        }
        return ctl_fail(ctl, CTL_USAGE,
                        "no kind '%s': listeners, routes, pools, servers, health-checks, config",
                        word);
    }
    if (kind->path == NULL && only != NULL) {
        return ctl_fail(ctl, CTL_USAGE, "config is one document: it has no names");
    }
    if (kind->path == NULL || ctl->output == CTL_JSON) {
        return print_resource(ctl, kind, only);
    }
    return list(ctl, kind, only);
}
