#include "lbd/stats/recent.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"

enum { ALIGNMENT = 16 };

/* What an entry points to is its own block's, or is only read. */
#define PART(type, pointer) ((struct type *)(uintptr_t)(pointer))

/* Every text of an entry, one after the other. NULL: there is no more. */
static struct slice *text_at(struct recent_entry *entry, uint32_t index)
{
    struct access_record *record = &entry->record;
    struct slice *const texts[] = {&record->path,          &record->listener, &record->method,
                                   &record->host,          &record->protocol, &record->tls,
                                   &record->cipher,        &record->sni,      &record->subject,
                                   &record->route,         &record->pool,     &record->server,
                                   &record->request_id,    &record->detail,   &record->setting,
                                   &record->setting_value, &record->trace_id, &record->policy_key};
    if (index < ARRAY_LEN(texts)) {
        return texts[index];
    }
    index -= (uint32_t)ARRAY_LEN(texts);
    if (index < entry->try_count) {
        return &PART(recent_try, entry->tries)[index].server;
    }
    index -= entry->try_count;
    if (index < entry->candidate_count) {
        return &PART(recent_candidate, entry->candidates)[index].server;
    }
    index -= entry->candidate_count;
    return index < entry->policy_count ? &PART(recent_policy, entry->policies)[index].name : NULL;
}

static size_t kept_len(struct slice text, uint32_t index)
{
    size_t most = index == 0 ? RECENT_PATH : RECENT_TEXT;
    return text.len < most ? text.len : most;
}

/* The block: entry, tries, candidates, policies, texts. */
static size_t fixed_bytes(const struct recent_entry *entry)
{
    return sizeof(*entry) + entry->try_count * sizeof(struct recent_try) +
           entry->candidate_count * sizeof(struct recent_candidate) +
           entry->policy_count * sizeof(struct recent_policy);
}

static size_t size_of(const struct recent_entry *from)
{
    struct recent_entry entry = *from;
    size_t size = fixed_bytes(from);
    const struct slice *text;
    for (uint32_t i = 0; (text = text_at(&entry, i)) != NULL; i++) {
        size += kept_len(*text, i);
    }
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct recent_entry *copy_to(void *block, const struct recent_entry *from)
{
    struct recent_entry *entry = block;
    struct recent_try *tries = (void *)(entry + 1);
    struct recent_candidate *candidates = (void *)(tries + from->try_count);
    struct recent_policy *policies = (void *)(candidates + from->candidate_count);
    char *at = (char *)block + fixed_bytes(from);
    *entry = *from;
    for (uint32_t i = 0; i < from->try_count; i++) {
        tries[i] = from->tries[i];
    }
    for (uint32_t i = 0; i < from->candidate_count; i++) {
        candidates[i] = from->candidates[i];
    }
    for (uint32_t i = 0; i < from->policy_count; i++) {
        policies[i] = from->policies[i];
    }
    entry->tries = tries;
    entry->candidates = candidates;
    entry->policies = policies;
    struct slice *text;
    for (uint32_t i = 0; (text = text_at(entry, i)) != NULL; i++) {
        size_t len = kept_len(*text, i);
        if (len != 0) {
            memcpy(at, text->ptr, len);
        }
        *text = slice_of(at, len);
        at += len;
    }
    return entry;
}

/* -- the ring: an entry lies in one piece -- */

static const struct recent_entry *entry_at(const struct recent *recent, uint32_t index)
{
    uint32_t offset = recent->offsets[(recent->first + index) % RECENT_ENTRIES];
    return (const void *)(recent->bytes + offset);
}

static void drop_oldest(struct recent *recent)
{
    recent->first = (recent->first + 1) % RECENT_ENTRIES;
    recent->count--;
}

/* Offsets of those that are kept rise from the oldest to the end of the bytes and go on at their
 * start: what lies in the way of the next one is the oldest. */
static void make_room(struct recent *recent, uint32_t from, uint32_t to)
{
    while (recent->count > 0) {
        uint32_t oldest = recent->offsets[recent->first];
        if (recent->count < RECENT_ENTRIES && (oldest < from || oldest >= to)) {
            return;
        }
        drop_oldest(recent);
    }
}

void recent_put(struct recent *recent, const struct recent_entry *entry)
{
    size_t size = size_of(entry);
    assert(size <= RECENT_BYTES / 4 && entry->try_count <= RECENT_TRIES &&
           entry->candidate_count <= RECENT_CANDIDATES && entry->policy_count <= RECENT_POLICIES);
    if (recent->bytes == NULL) {
        recent->bytes = mem_alloc(RECENT_BYTES);
    }
    if (RECENT_BYTES - recent->at < size) {
        make_room(recent, recent->at, RECENT_BYTES); /* the rest of the bytes is left empty */
        recent->at = 0;
    }
    make_room(recent, recent->at, recent->at + (uint32_t)size);
    (void)copy_to(recent->bytes + recent->at, entry);
    recent->offsets[(recent->first + recent->count) % RECENT_ENTRIES] = recent->at;
    recent->count++;
    recent->at += (uint32_t)size;
}

void recent_each(const struct recent *recent,
                 bool (*visit)(const struct recent_entry *entry, void *arg), void *arg)
{
    for (uint32_t i = recent->count; i > 0; i--) {
        if (!visit(entry_at(recent, i - 1), arg)) {
            return;
        }
    }
}

struct recent_entry *recent_copy(const struct recent_entry *entry)
{
    return copy_to(mem_alloc(size_of(entry)), entry);
}

void recent_fini(struct recent *recent)
{
    free(recent->bytes);
    *recent = (struct recent){0};
}
