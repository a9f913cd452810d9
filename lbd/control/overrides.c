#include "lbd/control/overrides.h"

#include <stdlib.h>
#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"

#define KEY_MAX 160 /* two names of at most 63 bytes and a slash */

void overrides_init(struct overrides *overrides)
{
    map_init(&overrides->servers);
}

static void free_override(struct override *override)
{
    if (override != NULL) {
        free(override->reason);
        free(override->who);
        free(override);
    }
}

void overrides_fini(struct overrides *overrides)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &overrides->servers) {
        free_override(entry->value);
    }
    map_fini(&overrides->servers);
    map_init(&overrides->servers);
}

/* An empty key when the names are too long to be any. */
static struct slice key_of(struct slice pool, struct slice server, char key[KEY_MAX])
{
    if (pool.len + 1 + server.len > KEY_MAX) {
        return SLICE_NONE;
    }
    memcpy(key, pool.ptr, pool.len);
    key[pool.len] = '/';
    memcpy(key + pool.len + 1, server.ptr, server.len);
    return slice_of(key, pool.len + 1 + server.len);
}

const struct override *overrides_find(const struct overrides *overrides, struct slice pool,
                                      struct slice server)
{
    char key[KEY_MAX];
    return map_get(&overrides->servers, key_of(pool, server, key));
}

static void put(struct overrides *overrides, struct slice key, const struct override *value)
{
    struct override *copy = mem_zero(1, sizeof(*copy));
    *copy = *value;
    copy->reason = mem_strdup(value->reason != NULL ? value->reason : "");
    copy->who = mem_strdup(value->who != NULL ? value->who : "");
    free_override(map_put(&overrides->servers, key, copy));
}

void overrides_put(struct overrides *overrides, struct slice pool, struct slice server,
                   const struct override *value)
{
    char key[KEY_MAX];
    put(overrides, key_of(pool, server, key), value);
}

bool overrides_remove(struct overrides *overrides, struct slice pool, struct slice server)
{
    char key[KEY_MAX];
    struct override *removed = map_remove(&overrides->servers, key_of(pool, server, key));
    free_override(removed);
    return removed != NULL;
}

void overrides_copy(struct overrides *out, const struct overrides *overrides)
{
    struct map_entry *entry = NULL;
    map_for_each (entry, &overrides->servers) {
        put(out, entry->key, entry->value);
    }
}

void overrides_swap(struct overrides *a, struct overrides *b)
{
    struct overrides both = *a;
    *a = *b;
    *b = both;
}

/* -- as JSON -- */

static int by_key(const void *a, const void *b)
{
    const struct map_entry *const *left = a;
    const struct map_entry *const *right = b;
    return slice_compare((*left)->key, (*right)->key);
}

void overrides_write(const struct overrides *overrides, struct buf *out)
{
    const struct map_entry **sorted =
        mem_alloc((overrides->servers.count + 1) * sizeof(const struct map_entry *));
    size_t count = 0;
    struct map_entry *entry = NULL;
    map_for_each (entry, &overrides->servers) {
        sorted[count++] = entry;
    }
    qsort(sorted, count, sizeof(const struct map_entry *), by_key);

    struct json_write w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_key(&w, "servers");
    json_write_object_begin(&w);
    for (size_t i = 0; i < count; i++) {
        const struct override *override = sorted[i]->value;
        json_write_key_slice(&w, sorted[i]->key);
        json_write_object_begin(&w);
        json_write_member_text(&w, "base", server_admin_word(override->base));
        json_write_member_text(&w, "reason", override->reason);
        json_write_member_u64(&w, "since", override->since_wall_us);
        json_write_member_text(&w, "state", server_admin_word(override->state));
        json_write_member_text(&w, "who", override->who);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    json_write_object_end(&w);
    free(sorted);
}

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

static bool read_one(struct overrides *overrides, const struct json *json)
{
    struct override value = {0};
    int64_t since = 0;
    if (json_key(json).len > KEY_MAX ||
        !overrides_parse_state(json_string(json_get(json, SLICE("state"))), &value.state) ||
        !overrides_parse_state(json_string(json_get(json, SLICE("base"))), &value.base) ||
        !json_integer(json_get(json, SLICE("since")), &since) || since < 0) {
        return false;
    }
    value.since_wall_us = (uint64_t)since;
    value.reason = mem_slicedup(json_string(json_get(json, SLICE("reason"))));
    value.who = mem_slicedup(json_string(json_get(json, SLICE("who"))));
    put(overrides, json_key(json), &value);
    free(value.reason);
    free(value.who);
    return true;
}

bool overrides_read(struct overrides *overrides, struct slice text, struct err *err)
{
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
    bool ok = true;
    const struct json *item = NULL;
    json_for_each(item, json_get(json, SLICE("servers")))
    {
        if (!read_one(&read, item)) {
            ok = err_set(err, ERR_MALFORMED, "the entry '%.*s' is not an override",
                         SLICE_ARG(json_key(item)));
            break;
        }
    }
    if (ok) {
        overrides_copy(overrides, &read);
    }
    overrides_fini(&read);
    json_free(json);
    return ok;
}
