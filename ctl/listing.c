#include "ctl/listing.h"

#include <stdlib.h>

#include "conf/json/json_write.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

static bool column_is_shown(const struct ctl *ctl, const struct listing_column *column)
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

void listing_init(struct listing *listing)
{
    listing->round = 0;
    map_init(&listing->seen);
    print_table_init(&listing->table);
    print_table_column(&listing->table, "NAME");
    for (size_t i = 0; i < LISTING_COLUMNS_MAX; i++) {
        const struct listing_column *column = &listing->columns->columns[i];
        if (column_is_shown(listing->ctl, column)) {
            print_table_column(&listing->table, column->title);
        }
    }
}

void listing_fini(struct listing *listing)
{
    struct map_entry *entry;
    map_for_each (entry, &listing->seen) {
        free(entry->value);
    }
    map_fini(&listing->seen);
    print_table_fini(&listing->table);
}

/* {"name": "web/anna", ...the resource} on one line; a status where changes are watched */
static void print_line(struct ctl *ctl, struct slice name, const struct json *config,
                       const struct json *status)
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
    if (status != NULL) {
        json_write_key(&w, "status");
        json_write_json(&w, status);
    }
    json_write_object_end(&w);
    buf_append_char(&text, '\n');
    print_json(ctl->out, buf_slice(&text));
    buf_fini(&text);
}

static void add_cells(struct listing *listing, struct slice name, const struct json *config,
                      const struct json *status)
{
    print_table_cell(&listing->table, PRINT_PLAIN, name);
    for (size_t i = 0; i < LISTING_COLUMNS_MAX; i++) {
        const struct listing_column *column = &listing->columns->columns[i];
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

/* What was seen of a row. */
struct listing_row {
    uint64_t hash;
    uint32_t round; /* when it was there last */
};

static uint64_t hash_config(const struct json *config)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_json(&w, config);
    uint64_t hash = hash_fast(buf_slice(&text), 0);
    buf_fini(&text);
    return hash;
}

/* Columns that are no news when they change, by their place in the table. */
static uint32_t busy_columns(const struct listing *listing)
{
    uint32_t busy = 0;
    uint32_t at = 1; /* behind the name */
    for (size_t i = 0; i < LISTING_COLUMNS_MAX; i++) {
        const struct listing_column *column = &listing->columns->columns[i];
        if (column_is_shown(listing->ctl, column)) {
            busy |= column->is_busy ? UINT32_C(1) << at : 0;
            at++;
        }
    }
    return busy;
}

/* Is the row that was added last, of this resource, as it was the last time? Remembers it. */
static bool is_as_it_was(struct listing *listing, struct slice name, const struct json *config)
{
    uint64_t hash =
        hash_config(config) ^ print_table_hash_row(&listing->table, busy_columns(listing));
    struct listing_row *row = map_get(&listing->seen, name);
    if (row == NULL) {
        row = mem_zero(1, sizeof(*row));
        (void)map_put(&listing->seen, name, row);
        row->hash = ~hash;
    }
    bool is_same = row->hash == hash;
    row->hash = hash;
    row->round = listing->round;
    return is_same;
}

static void print_removed(struct ctl *ctl, struct slice name)
{
    struct json *removed = json_new_object();
    json_set(removed, SLICE("name"), json_new_string(name));
    json_set(removed, SLICE("removed"), json_new_bool(true));
    ctl_print_json(ctl, removed); /* CTL_JSONL: on one line */
    json_free(removed);
}

/* Says what was there the last time and is not any more. */
static void tell_gone(struct listing *listing)
{
    struct ctl *ctl = listing->ctl;
    struct map_entry *entry;
    map_for_each (entry, &listing->seen) {
        struct listing_row *row = entry->value;
        if (row->round == listing->round) {
            continue;
        }
        if (ctl->output == CTL_JSONL) {
            print_removed(ctl, entry->key);
        } else {
            print_text(ctl->out, entry->key);
            (void)fputs("  removed\n", ctl->out);
        }
        free(row);
        (void)map_remove(&listing->seen, entry->key);
    }
}

static void add(struct listing *listing, struct slice name, const struct json *config,
                const struct json *status)
{
    struct ctl *ctl = listing->ctl;
    if (!has_labels(ctl, config)) {
        return;
    }
    listing->is_found = true;
    if (ctl_wants_table(ctl) || listing->is_watched) {
        add_cells(listing, name, config, status);
    }
    if (listing->is_watched) {
        bool is_same = is_as_it_was(listing, name, config);
        if (is_same || !ctl_wants_table(ctl)) {
            print_table_drop_row(&listing->table);
        }
        if (is_same) {
            return;
        }
    }
    switch (ctl->output) {
    case CTL_NAME:
        print_text(ctl->out, name);
        (void)fputc('\n', ctl->out);
        return;
    case CTL_JSONL:
        print_line(ctl, name, config, listing->is_watched ? status : NULL);
        return;
    case CTL_JSON:
        json_add(listing->picked, name, json_copy(config));
        return;
    case CTL_TABLE:
    case CTL_WIDE:
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

/* Who watches is told by the exit code alone when lbd is away. */
static struct json *ask(const struct listing *listing, const char *target, enum ctl_exit *code)
{
    struct ctl *ctl = listing->ctl;
    return listing->round == 0 ? ctl_get(ctl, target, NULL, code)
                               : ctl_get_silently(ctl, target, ctl->timeout_ms, code);
}

enum ctl_exit listing_write(struct listing *listing, const char *name)
{
    struct ctl *ctl = listing->ctl;
    enum ctl_exit code = CTL_OK;
    struct buf target;
    struct json *status = NULL;
    bool needs_status = ctl_wants_table(ctl) || listing->is_watched;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "%s%s", listing->kind->path, ctl_wants_table(ctl) ? "?defaults=true" : "");
    struct json *objects = ask(listing, target.data, &code);
    if (objects != NULL && needs_status && listing->columns->status_path != NULL) {
        status = ask(listing, "/v1/status", &code);
    }
    if (code == CTL_OK) {
        listing->round++;
        listing->is_found = false;
        listing->picked = json_new_object();
        add_all(listing, objects, status);
        tell_gone(listing);
        if (listing->round == 1 && !listing->is_found && name != NULL) {
            code =
                ctl_fail(ctl, CTL_NOT_FOUND, "there is no %s '%s'", listing->kind->singular, name);
            ctl_hint(ctl, "lbctl get %s", listing->kind->plural);
        } else if (ctl_wants_table(ctl)) {
            print_table_write(&listing->table, ctl->out, ctl->color, ctl->width);
            print_table_clear(&listing->table);
        } else if (ctl->output == CTL_JSON) {
            ctl_print_json(ctl, listing->picked);
        }
        json_free(listing->picked);
        listing->picked = NULL;
    }
    json_free(objects);
    json_free(status);
    buf_fini(&target);
    return code;
}
