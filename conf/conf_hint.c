#include "conf/conf_hint.h"

#include "conf/conf_suggest.h"

enum {
    KNOWN_MAX = 12,    /* keys that are listed; more would hide the mistake */
    BELOW_DISTANCE = 1 /* far from what was written a likeness means little: "rate" is no "name" */
};

/* Which objects below `object` know `key`? Adds to *count and leaves the first one's name in
 * *owner. */
static void find_owners(const struct conf_object *object, struct slice key, const char **owner,
                        uint32_t *count)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_object *inner = object->fields[i].object;
        if (inner == NULL) {
            continue;
        }
        if (conf_schema_find(inner, key) != NULL) {
            *owner = *count == 0 ? inner->title : *owner;
            (*count)++;
        }
        find_owners(inner, key, owner, count);
    }
}

/* The one object elsewhere that knows `key`, or NULL when it could be several. */
static const char *owner_elsewhere(struct slice key)
{
    const char *owner = NULL;
    uint32_t count = 0;
    find_owners(conf_schema_document, key, &owner, &count);
    find_owners(conf_schema_daemon, key, &owner, &count);
    if (conf_schema_find(conf_schema_daemon, key) != NULL) {
        owner = conf_schema_daemon->title;
        count++;
    }
    return count == 1 ? owner : NULL;
}

/* The nearest key below `object`; *owner is its place. */
static void offer_below(const struct conf_object *object, struct conf_suggest *suggest,
                        const char **owner)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_object *inner = object->fields[i].object;
        for (size_t j = 0; inner != NULL && j < inner->field_count; j++) {
            struct slice before = suggest->best;
            conf_suggest_offer(suggest, slice_from(inner->fields[j].key));
            if (suggest->best.ptr != before.ptr) {
                *owner = inner->title;
            }
        }
        if (inner != NULL) {
            offer_below(inner, suggest, owner);
        }
    }
}

struct conf_hint conf_hint_unknown(const struct conf_object *object, struct slice key)
{
    struct conf_hint hint = {.key = key};
    struct conf_suggest suggest;
    uint32_t count = 0;
    conf_suggest_init(&suggest, key);
    for (size_t i = 0; i < object->field_count; i++) {
        conf_suggest_offer(&suggest, slice_from(object->fields[i].key));
    }
    /* "pool" beside "pools" is a slip, though there is a "pool" below routes */
    if (suggest.best.len != 0 && suggest.distance <= 1) {
        hint.suggestion = suggest.best;
        return hint;
    }
    find_owners(object, key, &hint.belongs, &count);
    if (hint.belongs != NULL) {
        return hint;
    }
    hint.suggestion = suggest.best;
    if (hint.suggestion.len == 0) {
        hint.belongs = owner_elsewhere(key);
    }
    if (hint.suggestion.len == 0 && hint.belongs == NULL) {
        if (suggest.distance > BELOW_DISTANCE + 1) {
            suggest.distance = BELOW_DISTANCE + 1;
        }
        offer_below(object, &suggest, &hint.belongs);
        hint.key = hint.belongs != NULL ? suggest.best : key;
    }
    if (hint.suggestion.len == 0 && hint.belongs == NULL && object->field_count <= KNOWN_MAX) {
        hint.known = object;
    }
    return hint;
}

void conf_hint_describe(const struct conf_hint *hint, struct slice shown, struct buf *out)
{
    (void)buf_printf(out, "'%.*s' is not a known key", SLICE_ARG(shown));
    if (hint->known != NULL) {
        for (size_t i = 0; i < hint->known->field_count; i++) {
            (void)buf_printf(out, "%s%s", i == 0 ? "; known are " : ", ",
                             hint->known->fields[i].key);
        }
    }
    if (hint->belongs == NULL) {
        return;
    }
    (void)buf_append_text(out, " here; ");
    if (slice_starts(hint->key, shown)) { /* the same, shortened or not */
        (void)buf_append_text(out, "it");
    } else {
        (void)buf_printf(out, "'%.*s'", SLICE_ARG(hint->key));
    }
    (void)buf_printf(out, " belongs under '%s'", hint->belongs);
}
