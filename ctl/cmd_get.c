#include "ctl/cmd_get.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_status.h"
#include "ctl/kind.h"
#include "ctl/server_name.h"

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

static const struct cmd_get_kind kinds[KIND_COUNT] = {
    [KIND_LISTENERS] =
        {
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
    [KIND_ROUTES] =
        {
            .columns =
                {
                    {.title = "LISTENER", .path = "listener"},
                    {.title = ">PRIORITY", .path = "priority"},
                    {.title = "HOST", .cell = cell_host},
                    {.title = "PATH", .cell = cell_path},
                    {.title = "ACTION", .cell = cell_action},
                },
        },
    [KIND_POOLS] =
        {
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
    [KIND_SERVERS] =
        {
            .status_path = "pools",
            .columns =
                {
                    {.title = "ADDRESS", .path = "address"},
                    {.title = "HEALTH", .cell = cell_health},
                    {.title = "ADMIN", .cell = cell_admin},
                    {.title = ">WEIGHT", .path = "weight"},
                    {.title = ">CONNECTIONS", .path = "connections", .from_status = true},
                    {.title = ">LIMIT", .path = "max_connections", .is_wide = true},
                    {.title = "LAST-CHECK",
                     .path = "last_check",
                     .from_status = true,
                     .is_wide = true},
                },
        },
    [KIND_HEALTH_CHECKS] =
        {
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
};

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

/* What a listing is made of. */
struct listing {
    struct ctl *ctl;
    const struct kind *kind;
    const struct cmd_get_kind *columns;
    struct server_name wanted; /* servers: of this pool, this one; "": all */
    const char *only;          /* other kinds: this name alone; NULL: all */
    struct print_table table;  /* CTL_TABLE, CTL_WIDE */
    struct json *picked;       /* CTL_JSON */
    bool is_found;             /* there is something of that name, labels or not */
};

static bool is_table(const struct ctl *ctl)
{
    return ctl->output == CTL_TABLE || ctl->output == CTL_WIDE;
}

static void begin(struct listing *listing)
{
    print_table_init(&listing->table);
    print_table_column(&listing->table, "NAME");
    for (size_t i = 0; i < CMD_GET_COLUMNS_MAX; i++) {
        const struct cmd_get_column *column = &listing->columns->columns[i];
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

static void add_cells(struct listing *listing, struct slice name, const struct json *config,
                      const struct json *status)
{
    print_table_cell(&listing->table, PRINT_PLAIN, name);
    for (size_t i = 0; i < CMD_GET_COLUMNS_MAX; i++) {
        const struct cmd_get_column *column = &listing->columns->columns[i];
        if (!column_is_shown(listing->ctl, column)) {
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

/* Does it have every label that was asked for? */
static bool has_labels(const struct ctl *ctl, const struct json *config)
{
    const struct json *labels = ctl_member(config, "meta.labels");
    for (uint32_t i = 0; i < ctl->label_count; i++) {
        struct slice value = slice_from(ctl->labels[i]);
        struct slice key;
        bool has_value = slice_split(&value, '=', &key);
        if (!has_value || !slice_eq(json_string(json_get(labels, key)), value)) {
            return false;
        }
    }
    return true;
}

static void add(struct listing *listing, struct slice name, const struct json *config,
                const struct json *status)
{
    struct ctl *ctl = listing->ctl;
    if (!has_labels(ctl, config)) {
        return;
    }
    listing->is_found = true;
    switch (ctl->output) {
    case CTL_NAME:
        print_text(ctl->out, name);
        (void)fputc('\n', ctl->out);
        return;
    case CTL_JSONL:
        print_line(ctl, name, config);
        return;
    case CTL_JSON:
        json_add(listing->picked, name, json_copy(config));
        return;
    case CTL_TABLE:
    case CTL_WIDE:
        add_cells(listing, name, config, status);
        return;
    }
}

static void add_servers(struct listing *listing, const struct json *pool, const struct json *status)
{
    const struct json *server;
    const struct json *states = ctl_member(status, "servers");
    const struct json *last = NULL;
    const char *only = listing->wanted.server;
    struct buf name;
    buf_init(&name, CTL_PATH_MAX);
    json_for_each(server, ctl_member(pool, "servers"))
    {
        struct slice left = json_key(pool);
        struct slice right = json_key(server);
        if (only[0] == '\0' || slice_eq(right, slice_from(only))) {
            buf_clear(&name);
            buf_printf(&name, "%.*s/%.*s", SLICE_ARG(left), SLICE_ARG(right));
            add(listing, buf_slice(&name), server, ctl_member_beside(states, &last, right));
        }
    }
    buf_fini(&name);
}

static void add_all(struct listing *listing, const struct json *objects, const struct json *status)
{
    bool is_server = listing->kind->id == KIND_SERVERS;
    const char *only = is_server ? listing->wanted.pool : listing->only;
    const char *status_path = listing->columns->status_path;
    const struct json *states = status_path != NULL ? ctl_member(status, status_path) : NULL;
    const struct json *last = NULL;
    const struct json *object;
    json_for_each(object, objects)
    {
        if (only != NULL && only[0] != '\0' && !slice_eq(json_key(object), slice_from(only))) {
            continue;
        }
        const struct json *state = ctl_member_beside(states, &last, json_key(object));
        listing->is_found = listing->is_found || listing->wanted.server[0] == '\0';
        if (is_server) {
            add_servers(listing, object, state);
        } else {
            add(listing, json_key(object), object, state);
        }
    }
}

static enum ctl_exit list(struct listing *listing, const char *name)
{
    struct ctl *ctl = listing->ctl;
    enum ctl_exit code = CTL_OK;
    struct buf target;
    struct json *status = NULL;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "%s%s", listing->kind->path, is_table(ctl) ? "?defaults=true" : "");
    struct json *objects = ctl_get(ctl, target.data, NULL, &code);
    if (objects != NULL && is_table(ctl) && listing->columns->status_path != NULL) {
        status = ctl_get(ctl, "/v1/status", NULL, &code);
    }
    if (code != CTL_OK) {
        goto out;
    }
    begin(listing);
    listing->picked = json_new_object();
    add_all(listing, objects, status);
    if (!listing->is_found && name != NULL) {
        code = ctl_fail(ctl, CTL_NOT_FOUND, "there is no %s '%s'", listing->kind->singular, name);
    } else if (is_table(ctl)) {
        print_table_write(&listing->table, ctl->out, ctl->color, ctl->width);
    } else if (ctl->output == CTL_JSON) {
        ctl_print_json(ctl, listing->picked);
    }
    json_free(listing->picked);
    print_table_fini(&listing->table);
out:
    json_free(objects);
    json_free(status);
    buf_fini(&target);
    return code;
}

/* The resource as the API has it. */
static enum ctl_exit print_resource(struct ctl *ctl, const char *target)
{
    enum ctl_exit code = CTL_OK;
    struct json *json = ctl_get(ctl, target, NULL, &code);
    if (json != NULL) {
        ctl_print_json(ctl, json);
    }
    json_free(json);
    return code;
}

/* One thing, or a whole collection, is a document of the API already. */
static enum ctl_exit print_document(struct ctl *ctl, const struct kind *kind, const char *name)
{
    struct kind_target target;
    enum ctl_exit code = CTL_OK;
    if (name == NULL) {
        return print_resource(ctl, kind->path);
    }
    if (kind_target_read(ctl, kind->singular, name, &target, &code)) {
        code = print_resource(ctl, target.path.data);
    }
    kind_target_fini(&target);
    return code;
}

enum ctl_exit cmd_get(struct ctl *ctl)
{
    const char *name = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    enum ctl_exit code = CTL_OK;
    const struct kind *kind = kind_read(ctl, ctl->args[0], &code);
    if (kind == NULL) {
        return code;
    }
    if (kind->id == KIND_CONFIG && name != NULL) {
        return ctl_fail(ctl, CTL_USAGE, "config is one document: it has no names");
    }
    struct listing listing = {.ctl = ctl,
                              .kind = kind,
                              .columns = &kinds[kind->id],
                              .wanted = {.pool = ""},
                              .only = name};
    bool is_server = kind->id == KIND_SERVERS;
    if (is_server && name != NULL && !server_name_read(ctl, name, &listing.wanted, &code)) {
        return code;
    }
    bool is_one = !is_server || listing.wanted.server[0] != '\0';
    bool is_whole = !is_server && name == NULL && ctl->label_count == 0;
    if (kind->id == KIND_CONFIG ||
        (ctl->output == CTL_JSON && (is_whole || (is_one && name != NULL)))) {
        return print_document(ctl, kind, name);
    }
    return list(&listing, name);
}
