#include "lbd/http/hpack_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/http/hpack.h"

enum { ROOM_FIRST = 512 };

_Static_assert(HEADER_ID_COUNT <= UINT8_MAX, "an id fits into an entry");
_Static_assert(sizeof(struct hpack_entry) + HPACK_LINE_EXTRA < HPACK_ENTRY_COST,
               "an entry costs less than it counts");
_Static_assert((HPACK_TABLE_MAX | ROOM_FIRST) % sizeof(struct hpack_entry) == 0 &&
                   HPACK_TABLE_MAX < UINT16_MAX,
               "every place in a table is a number of 16 bits");

const struct slice hpack_pseudo_names[HPACK_PSEUDO_COUNT] = {
    [HPACK_METHOD] = SLICE_INIT(":method"),       [HPACK_SCHEME] = SLICE_INIT(":scheme"),
    [HPACK_AUTHORITY] = SLICE_INIT(":authority"), [HPACK_PATH] = SLICE_INIT(":path"),
    [HPACK_PROTOCOL] = SLICE_INIT(":protocol"),   [HPACK_STATUS] = SLICE_INIT(":status"),
};

/* The length is said, so that one that is exactly full needs no NUL. */
#define ROW(name, value, id, kind)                                                                 \
    {                                                                                              \
        name ": " value "\r\n", sizeof(name) - 1, sizeof(value) - 1, (id), (kind)                  \
    }

const struct hpack_static_line hpack_static[HPACK_STATIC_COUNT + 1] = {
#define PSEUDO(index, NAME, name, value) [index] = ROW(name, value, HEADER_OTHER, 1 + HPACK_##NAME),
#define KNOWN(index, ID, name, value)    [index] = ROW(name, value, HEADER_##ID, 0),
#define OTHER(index, name, value)        [index] = ROW(name, value, HEADER_OTHER, 0),
#include "lbd/http/hpack_static.def"
#undef PSEUDO
#undef KNOWN
#undef OTHER
};

/* The newest first. */
static struct hpack_entry *entries_of(struct hpack_table *table)
{
    return (struct hpack_entry *)(void *)(table->bytes + table->entries_at);
}

static void evict_oldest(struct hpack_table *table)
{
    const struct hpack_entry *oldest = &entries_of(table)[--table->count];
    table->size = (uint16_t)(table->size - oldest->name_len - oldest->value_len - HPACK_ENTRY_COST);
}

static void evict(struct hpack_table *table, uint32_t max)
{
    while (table->size > max) {
        evict_oldest(table);
    }
}

/* Lines and entries of `from` to both ends of `to`, which may be the same. */
static void pack(struct hpack_table *to, struct hpack_table *from, uint16_t room)
{
    uint16_t count = from->count;
    struct hpack_entry *entries = entries_of(from);
    uint16_t first = count > 0 ? entries[count - 1].at : from->lines_end;
    uint16_t lines_len = (uint16_t)(from->lines_end - first);
    size_t entries_len = count * sizeof(*entries);
    memmove(to->bytes, from->bytes + first, lines_len);
    to->size = from->size;
    to->count = count;
    to->room = room;
    to->lines_end = lines_len;
    to->entries_at = (uint16_t)(room - entries_len);
    memmove(to->bytes + to->entries_at, entries, entries_len);
    entries = entries_of(to);
    for (uint16_t i = 0; i < count; i++) {
        entries[i].at = (uint16_t)(entries[i].at - first);
    }
}

static uint32_t memory_of(uint32_t room)
{
    return (uint32_t)sizeof(struct hpack_table) + room + HPACK_COPY;
}

static struct hpack_table *new_table(uint32_t room)
{
    return (struct hpack_table *)mem_try(memory_of(room));
}

/* Makes `need` bytes free between lines and entries. What is live and `need` are together less than
 * `max`. */
static bool make_room(struct hpack_table **table, uint32_t max, uint32_t need)
{
    struct hpack_table *old = *table;
    if (old == NULL) {
        uint32_t room = ROOM_FIRST;
        while (room < need) {
            room *= 2;
        }
        *table = new_table(room);
        if (*table != NULL) {
            **table = (struct hpack_table){.room = (uint16_t)room, .entries_at = (uint16_t)room};
        }
        return *table != NULL;
    }
    if ((uint32_t)(old->entries_at - old->lines_end) >= need) {
        return true;
    }
    pack(old, old, old->room);
    uint32_t live = old->lines_end + (uint32_t)(old->room - old->entries_at);
    if (old->room - live >= need) {
        return true;
    }
    uint32_t room = old->room;
    while (room - live < need) {
        room *= 2;
    }
    assert(room <= HPACK_TABLE_MAX && live + need <= max);
    (void)max;
    struct hpack_table *grown = new_table(room);
    if (grown == NULL) {
        return false;
    }
    pack(grown, old, (uint16_t)room);
    free(old);
    *table = grown;
    return true;
}

void hpack_table_shrink(struct hpack_table **table, uint32_t max)
{
    if (*table == NULL) {
        return;
    }
    evict(*table, max);
    if (max == 0) {
        free(*table);
        *table = NULL;
    }
}

bool hpack_table_insert(struct hpack_table **table, uint32_t max, const struct hpack_line *line)
{
    uint64_t size = (uint64_t)line->name_len + line->value_len + HPACK_ENTRY_COST;
    if (size > max) {
        if (*table != NULL) {
            evict(*table, 0);
        }
        return true;
    }
    if (*table != NULL) {
        evict(*table, max - (uint32_t)size);
    }
    uint32_t len = hpack_line_len(line);
    if (!make_room(table, max, len + (uint32_t)sizeof(struct hpack_entry))) {
        return false;
    }

    struct hpack_table *into = *table;
    into->entries_at = (uint16_t)(into->entries_at - sizeof(struct hpack_entry));
    *entries_of(into) = (struct hpack_entry){.at = into->lines_end,
                                             .name_len = (uint16_t)line->name_len,
                                             .value_len = (uint16_t)line->value_len,
                                             .id = line->id,
                                             .kind = line->kind};
    memcpy(into->bytes + into->lines_end, line->bytes, len);
    into->lines_end = (uint16_t)(into->lines_end + len);
    into->count++;
    into->size = (uint16_t)(into->size + size);
    return true;
}

uint32_t hpack_table_memory(const struct hpack_table *table)
{
    return table == NULL ? 0 : memory_of(table->room);
}
