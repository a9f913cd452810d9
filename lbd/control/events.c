#include "lbd/control/events.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"

static const char *const types[] = {
    "config.applied",   "config.rejected",  "config.rolled_back", "config.unconfirmed",
    "config.confirmed", "server.health",    "server.error",       "server.admin",
    "override.set",     "override.cleared", "override.expired",   "override.superseded",
    "drain.started",    "drain.progress",   "drain.done",         "listener.up",
    "listener.drain",   "daemon.drain",     "api.denied",         "cert.loaded",
    "cert.expiring",    "cert.expired",     "cert.failed",        "pool.capabilities",
    "server.outlier",   "server.kept",      "server.interview",   "dns.changed",
    "dns.failed",       "keys.changed",     "keys.failed",        "daemon.overload",
};

struct events {
    struct events_item items[EVENTS_HELD_MAX]; /* by sequence modulo its size */
    uint64_t first;                            /* the number that the first one had */
    uint64_t next;
    struct list_node subscribers;
    uint64_t posted[ARRAY_LEN(types)];
};

struct events *events_new(uint64_t first)
{
    struct events *events = mem_zero(1, sizeof(*events));
    events->first = first;
    events->next = first;
    list_init(&events->subscribers);
    return events;
}

/* All texts of an event lie in one piece of memory that begins with its name. */
static void clear(struct events_item *item)
{
    free((char *)(uintptr_t)item->name);
    *item = (struct events_item){0};
}

void events_free(struct events *events)
{
    if (events == NULL) {
        return;
    }
    assert(list_is_empty(&events->subscribers));
    for (size_t i = 0; i < EVENTS_HELD_MAX; i++) {
        clear(&events->items[i]);
    }
    free(events);
}

static size_t type_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(types[i], word) == 0) {
            return i;
        }
    }
    return ARRAY_LEN(types);
}

void events_post(struct events *events, const char *type, struct slice name, const char *data_json,
                 const char *fmt, ...)
{
    char message[EVENTS_MESSAGE_MAX + 1];
    va_list args;
    if (events == NULL) {
        return;
    }
    size_t which = type_of(type);
    assert(which < ARRAY_LEN(types));
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    size_t name_len = name.len < EVENTS_NAME_MAX ? name.len : EVENTS_NAME_MAX;
    size_t message_len = strlen(message);
    size_t data_len = data_json != NULL ? strlen(data_json) : 0;
    if (data_len > EVENTS_DATA_MAX) {
        data_len = 0;
    }
    char *text = mem_alloc(name_len + message_len + data_len + 3);
    if (name_len != 0) {
        memcpy(text, name.ptr, name_len);
    }
    text[name_len] = '\0';
    memcpy(text + name_len + 1, message, message_len + 1);
    char *data = NULL;
    if (data_len != 0) {
        data = text + name_len + message_len + 2;
        memcpy(data, data_json, data_len + 1);
    }

    struct events_item *item = &events->items[events->next % EVENTS_HELD_MAX];
    clear(item); /* the oldest one, when the ring is full */
    *item = (struct events_item){
        .sequence = events->next,
        .wall_us = now_wall_us(),
        .type = types[which],
        .name = text,
        .message = text + name_len + 1,
        .data = data,
    };
    events->next++;
    events->posted[which]++;

    struct list_node *node = NULL;
    list_for_each (node, &events->subscribers) {
        struct events_subscriber *subscriber = list_entry(node, struct events_subscriber, link);
        subscriber->notify(subscriber);
    }
}

uint64_t events_oldest(const struct events *events)
{
    uint64_t count = events->next - events->first;
    return count < EVENTS_HELD_MAX ? events->first : events->next - EVENTS_HELD_MAX;
}

uint64_t events_next(const struct events *events)
{
    return events->next;
}

bool events_holds(const struct events *events, uint64_t sequence)
{
    return sequence >= events_oldest(events) && sequence <= events->next;
}

const struct events_item *events_at(const struct events *events, uint64_t sequence)
{
    if (!events_holds(events, sequence) || sequence == events->next) {
        return NULL;
    }
    return &events->items[sequence % EVENTS_HELD_MAX];
}

void events_subscribe(struct events *events, struct events_subscriber *subscriber)
{
    list_push_back(&events->subscribers, &subscriber->link);
}

void events_unsubscribe(struct events_subscriber *subscriber)
{
    list_remove(&subscriber->link);
}

/* -- which ones -- */

/* "drain.*" and "drain." are every type that begins with "drain.". */
static bool word_is(struct slice word, const char *type)
{
    if (slice_ends(word, SLICE(".*"))) {
        word.len--;
    }
    if (word.len > 1 && slice_ends(word, SLICE("."))) {
        return slice_starts(slice_from(type), word);
    }
    return slice_eq(word, slice_from(type));
}

bool events_filter_is_known(const struct events_filter *filter, struct slice *bad)
{
    struct slice rest = filter->types;
    struct slice word;
    while (rest.len != 0 && slice_split(&rest, ',', &word)) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(types) && !is_known; i++) {
            is_known = word_is(word, types[i]);
        }
        if (!is_known) {
            *bad = word;
            return false;
        }
    }
    return true;
}

static bool type_matches(const char *type, struct slice rest)
{
    struct slice word;
    if (rest.len == 0) {
        return true;
    }
    while (rest.len != 0 && slice_split(&rest, ',', &word)) {
        if (word_is(word, type)) {
            return true;
        }
    }
    return false;
}

bool events_matches(const struct events_item *item, const struct events_filter *filter)
{
    struct slice name = slice_from(item->name);
    bool is_name = filter->name.len == 0 || slice_eq(name, filter->name) ||
                   (name.len > filter->name.len && slice_starts(name, filter->name) &&
                    name.ptr[filter->name.len] == '/');
    return is_name && type_matches(item->type, filter->types);
}

void events_write(const struct events_item *item, struct json_write *w)
{
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, item->wall_us);
    json_write_object_begin(w);
    json_write_member_u64(w, "sequence", item->sequence);
    json_write_member_text(w, "time", date);
    json_write_member_text(w, "type", item->type);
    json_write_member_text(w, "name", item->name);
    json_write_member_text(w, "message", item->message);
    if (item->data != NULL) {
        json_write_key(w, "data");
        json_write_raw(w, slice_from(item->data));
    }
    json_write_object_end(w);
}

/* -- for the metrics -- */

size_t events_type_count(void)
{
    return ARRAY_LEN(types);
}

const char *events_type_word(size_t type)
{
    return types[type];
}

uint64_t events_posted(const struct events *events, size_t type)
{
    return events->posted[type];
}
