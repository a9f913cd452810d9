#include "lbd/control/overrides.h"

#include <stdlib.h>
#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"

#define WEIGHT_MAX  1000
#define PERCENT_MAX 100000

void overrides_init(struct overrides *overrides)
{
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        map_init(&overrides->kinds[i]);
    }
}

void override_free(struct override *override)
{
    if (override != NULL) {
        free(override->reason);
        free(override->who);
        free(override);
    }
}

void overrides_fini(struct overrides *overrides)
{
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &overrides->kinds[i]) {
            override_free(entry->value);
        }
        map_fini(&overrides->kinds[i]);
        map_init(&overrides->kinds[i]);
    }
}

struct slice overrides_server_key(struct slice pool, struct slice server,
                                  char out[OVERRIDES_KEY_MAX])
{
    if (pool.len + 1 + server.len > OVERRIDES_KEY_MAX) {
        return SLICE_NONE;
    }
    memcpy(out, pool.ptr, pool.len);
    out[pool.len] = '/';
    memcpy(out + pool.len + 1, server.ptr, server.len);
    return slice_of(out, pool.len + 1 + server.len);
}

const struct override *overrides_find(const struct overrides *overrides, enum override_kind kind,
                                      struct slice key)
{
    return map_get(&overrides->kinds[kind], key);
}

struct override *overrides_put(struct overrides *overrides, enum override_kind kind,
                               struct slice key, const struct override *value)
{
    struct override *copy = mem_zero(1, sizeof(*copy));
    *copy = *value;
    copy->reason = mem_strdup(value->reason != NULL ? value->reason : "");
    copy->who = mem_strdup(value->who != NULL ? value->who : "");
    return map_put(&overrides->kinds[kind], key, copy);
}

struct override *overrides_take(struct overrides *overrides, enum override_kind kind,
                                struct slice key)
{
    return map_remove(&overrides->kinds[kind], key);
}

void overrides_give(struct overrides *overrides, enum override_kind kind, struct slice key,
                    struct override *value)
{
    override_free(map_put(&overrides->kinds[kind], key, value));
}

uint32_t overrides_count(const struct overrides *overrides)
{
    size_t count = 0;
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        count += overrides->kinds[i].count;
    }
    return (uint32_t)count;
}

uint64_t overrides_next_expiry(const struct overrides *overrides)
{
    uint64_t next = 0;
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &overrides->kinds[i]) {
            uint64_t expires = ((const struct override *)entry->value)->expires_wall_us;
            if (expires != 0 && (next == 0 || expires < next)) {
                next = expires;
            }
        }
    }
    return next;
}

/* -- words -- */

bool overrides_parse_state(struct slice word, enum server_admin *out)
{
    static const enum server_admin states[] = {SERVER_READY, SERVER_DRAIN, SERVER_MAINT};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (slice_eq(word, slice_from(server_admin_word(states[i])))) {
            *out = states[i];
            return true;
        }
    }
    return false;
}

bool overrides_parse_end(struct slice word, enum override_end *out)
{
    bool is_keep = slice_eq(word, SLICE("keep"));
    *out = is_keep ? OVERRIDE_KEEP : OVERRIDE_CLOSE;
    return is_keep || slice_eq(word, SLICE("close"));
}

const char *override_end_word(enum override_end end)
{
    return end == OVERRIDE_KEEP ? "keep" : "close";
}

const char *override_kind_word(enum override_kind kind)
{
    switch (kind) {
    case OVERRIDE_ADMIN:
        return "admin_state";
    case OVERRIDE_WEIGHT:
        return "weight";
    case OVERRIDE_LISTENER:
        return "listener";
    case OVERRIDE_PROCESS:
        return "process";
    case OVERRIDE_KINDS:
        break;
    }
    return "";
}

/* -- as JSON -- */

/* In the file, each kind under its own key; in order of the keys. */
static const struct {
    const char *key;
    enum override_kind kind;
} sections[] = {
    {"listeners", OVERRIDE_LISTENER},
    {"process", OVERRIDE_PROCESS},
    {"servers", OVERRIDE_ADMIN},
    {"weights", OVERRIDE_WEIGHT},
};

static int by_key(const void *a, const void *b)
{
    const struct map_entry *const *left = a;
    const struct map_entry *const *right = b;
    return slice_compare((*left)->key, (*right)->key);
}

static void write_time(struct json_write *w, const char *key, uint64_t wall_us)
{
    if (wall_us != 0) {
        json_write_member_u64(w, key, wall_us);
    }
}

static void write_one(struct json_write *w, enum override_kind kind,
                      const struct override *override)
{
    json_write_object_begin(w);
    if (kind == OVERRIDE_WEIGHT) {
        json_write_member_u64(w, "base", override->base_weight);
        if (override->base_percent != 0) {
            json_write_member_u64(w, "base_percent", override->base_percent);
        }
    } else if (kind == OVERRIDE_ADMIN) {
        json_write_member_text(w, "base", server_admin_word(override->base));
    }
    write_time(w, "deadline", override->deadline_wall_us);
    write_time(w, "expires", override->expires_wall_us);
    if (override->deadline_wall_us != 0) {
        json_write_member_text(w, "on_deadline", override_end_word(override->on_deadline));
    }
    if (override->percent != 0) {
        json_write_member_u64(w, "percent", override->percent);
    }
    json_write_member_text(w, "reason", override->reason);
    json_write_member_u64(w, "since", override->since_wall_us);
    if (kind != OVERRIDE_WEIGHT) {
        json_write_member_text(w, "state", server_admin_word(override->state));
    } else {
        json_write_member_u64(w, "weight", override->weight);
    }
    json_write_member_text(w, "who", override->who);
    json_write_object_end(w);
}

static void write_kind(struct json_write *w, enum override_kind kind, const struct map *map)
{
    const struct map_entry **sorted =
        mem_alloc((map->count + 1) * sizeof(const struct map_entry *));
    size_t count = 0;
    struct map_entry *entry = NULL;
    map_for_each (entry, map) {
        sorted[count++] = entry;
    }
    qsort(sorted, count, sizeof(const struct map_entry *), by_key);
    json_write_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_write_key_slice(w, sorted[i]->key);
        write_one(w, kind, sorted[i]->value);
    }
    json_write_object_end(w);
    free(sorted);
}

void overrides_write(const struct overrides *overrides, uint64_t tag, struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "tag", tag);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        json_write_key(&w, sections[i].key);
        write_kind(&w, sections[i].kind, &overrides->kinds[sections[i].kind]);
    }
    json_write_object_end(&w);
}

/* A number from `least` to `most`; not there: *out stays. */
static bool read_number(const struct json *json, const char *key, uint64_t least, uint64_t most,
                        uint64_t *out)
{
    const struct json *item = json_get(json, slice_from(key));
    int64_t value = 0;
    if (item == NULL) {
        return true;
    }
    if (!json_integer(item, &value) || value < 0 || (uint64_t)value < least ||
        (uint64_t)value > most) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool read_weights(const struct json *json, struct override *value)
{
    uint64_t weight = 0;
    uint64_t base = 0;
    uint64_t base_percent = 0;
    uint64_t percent = 0;
    if (!read_number(json, "weight", 1, WEIGHT_MAX, &weight) || weight == 0 ||
        !read_number(json, "base", 1, UINT32_MAX, &base) || base == 0 ||
        !read_number(json, "base_percent", 1, 100, &base_percent) ||
        !read_number(json, "percent", 1, PERCENT_MAX, &percent)) {
        return false;
    }
    value->weight = (uint32_t)weight;
    value->base_weight = (uint32_t)base;
    value->base_percent = (uint32_t)base_percent;
    value->percent = (uint32_t)percent;
    return true;
}

static bool read_states(const struct json *json, enum override_kind kind, struct override *value)
{
    const struct json *end = json_get(json, SLICE("on_deadline"));
    return overrides_parse_state(json_string(json_get(json, SLICE("state"))), &value->state) &&
           (kind != OVERRIDE_ADMIN ||
            overrides_parse_state(json_string(json_get(json, SLICE("base"))), &value->base)) &&
           (end == NULL || overrides_parse_end(json_string(end), &value->on_deadline));
}

/* `target` NULL: only looked at. */
static bool read_value(struct overrides *target, enum override_kind kind, struct slice key,
                       const struct json *json, struct override *value)
{
    if (key.len == 0 || key.len > OVERRIDES_KEY_MAX || json_get(json, SLICE("since")) == NULL ||
        !read_number(json, "since", 0, INT64_MAX, &value->since_wall_us) ||
        !read_number(json, "expires", 0, INT64_MAX, &value->expires_wall_us) ||
        !read_number(json, "deadline", 0, INT64_MAX, &value->deadline_wall_us) ||
        !(kind == OVERRIDE_WEIGHT ? read_weights(json, value) : read_states(json, kind, value))) {
        return false;
    }
    if (target != NULL) {
        value->reason = mem_slicedup(json_string(json_get(json, SLICE("reason"))));
        value->who = mem_slicedup(json_string(json_get(json, SLICE("who"))));
        override_free(overrides_put(target, kind, key, value));
        free(value->reason);
        free(value->who);
    }
    return true;
}

static bool read_one(struct overrides *overrides, enum override_kind kind, const struct json *json)
{
    struct override value = {0};
    return read_value(overrides, kind, json_key(json), json, &value);
}

static bool read_kind(struct overrides *overrides, enum override_kind kind,
                      const struct json *section, struct err *err)
{
    const struct json *item = NULL;
    if (section != NULL && !json_is(section, JSON_OBJECT)) {
        return err_set(err, ERR_MALFORMED, "'%.*s' is not an object", SLICE_ARG(json_key(section)));
    }
    json_for_each(item, section)
    {
        if (!read_one(overrides, kind, item)) {
            return err_set(err, ERR_MALFORMED, "the entry '%.*s' is not an override",
                           SLICE_ARG(json_key(item)));
        }
    }
    return true;
}

bool overrides_read(struct overrides *overrides, struct slice text, uint64_t *tag, struct err *err)
{
    uint64_t found = 0;
    if (tag != NULL) {
        *tag = 0;
    }
    if (text.len == 0) {
        return true;
    }

    struct json_error why;
    struct json *json = json_parse(text, JSON_STRICT, &json_limits_document, &why);
    if (json == NULL) {
        return err_set(err, ERR_MALFORMED, "line %u, column %u: %s", why.line, why.column,
                       why.text);
    }
    struct overrides read;
    overrides_init(&read);
    bool ok = json_is(json, JSON_OBJECT) || err_set(err, ERR_MALFORMED, "it is not an object");
    ok = ok && (read_number(json, "tag", 0, INT64_MAX, &found) ||
                err_set(err, ERR_MALFORMED, "the tag is not a number"));
    for (size_t i = 0; ok && i < ARRAY_LEN(sections); i++) {
        ok = read_kind(&read, sections[i].kind, json_get(json, slice_from(sections[i].key)), err);
    }
    for (size_t i = 0; ok && i < OVERRIDE_KINDS; i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &read.kinds[i]) {
            override_free(
                overrides_put(overrides, (enum override_kind)i, entry->key, entry->value));
        }
    }
    if (ok && tag != NULL) {
        *tag = found;
    }
    overrides_fini(&read);
    json_free(json);
    return ok;
}

/* -- changes -- */

void overrides_write_change(struct json_write *w, enum override_kind kind, struct slice key,
                            const struct override *value)
{
    json_write_array_begin(w);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (sections[i].kind == kind) {
            json_write_text(w, sections[i].key);
        }
    }
    json_write_string(w, key);
    if (value != NULL) {
        write_one(w, kind, value);
    } else {
        json_write_null(w);
    }
    json_write_array_end(w);
}

/* [section, key, value or null]; `target` NULL: only looked at. */
static bool read_change(struct overrides *target, const struct json *change)
{
    struct slice section = json_string(json_at(change, 0));
    struct slice key = json_string(json_at(change, 1));
    const struct json *value = json_at(change, 2);
    struct override override = {0};
    if (value == NULL || key.len == 0 || key.len > OVERRIDES_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!slice_eq(section, slice_from(sections[i].key))) {
            continue;
        }
        if (json_is(value, JSON_NULL)) {
            if (target != NULL) {
                override_free(overrides_take(target, sections[i].kind, key));
            }
            return true;
        }
        return read_value(target, sections[i].kind, key, value, &override);
    }
    return false;
}

bool overrides_read_record(struct overrides *overrides, struct slice record)
{
    struct json_error why;
    struct json *json = json_parse(record, JSON_STRICT, &json_limits_document, &why);
    const struct json *change = NULL;
    bool ok = json != NULL && json_is(json, JSON_ARRAY);
    json_for_each(change, json)
    {
        ok = ok && read_change(NULL, change);
    }
    json_for_each(change, json)
    {
        ok = ok && read_change(overrides, change);
    }
    json_free(json);
    return ok;
}
