/*
 * hpack_table - the static table of HPACK and a decoder's dynamic one (RFC 7541 2.3).
 *
 * hpack.c asks for the line behind an index and inserts what the peer says to remember. An entry is
 * a finished line, `name: value` CRLF, with what is known of it: so a field that comes by its index
 * is copied once and never looked at again.
 *
 *     bytes: | oldest line | ... | newest line |   free   | newest entry | ... | oldest entry | gap
 * | ^ lines_end               entries_at ^ (count of them)
 *
 * Lines grow up, entries grow down. What is evicted leaves holes at both ends, which are closed
 * when there is no room in between. Line and entry are 12 bytes beyond name and value, and RFC 7541
 * 4.1 counts 32: the block is never larger than the size it counts.
 *
 * Limits: HPACK_TABLE_MAX. Memory: one block, doubled as needed, owned by its decoder.
 * Threads: any, one at a time.
 */
#ifndef LBD_HTTP_HPACK_TABLE_H
#define LBD_HTTP_HPACK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/http/headers.h"

enum {
    HPACK_STATIC_COUNT = 61,
    HPACK_ENTRY_COST = 32,  /* RFC 7541 4.1 */
    HPACK_LINE_EXTRA = 4,   /* ": " and CRLF */
    HPACK_COPY = 16,        /* lines are copied so many bytes at a time: such a step may be read
                               beyond the end of one */
    HPACK_STATIC_LINE = 32, /* the longest line of the static table */
};

/* How a representation begins (RFC 7541 6). */
enum {
    HPACK_INDEXED = 0x80,
    HPACK_INSERTED = 0x40,
    HPACK_SIZE_UPDATE = 0x20,
    HPACK_NEVER_INDEXED = 0x10,
};

/* By enum hpack_pseudo. */
extern const struct slice hpack_pseudo_names[];

/* What is known of a line. */
enum {
    HPACK_KIND_PSEUDO = 0x0f, /* 1 + enum hpack_pseudo, or 0 */
    HPACK_KIND_BAD_NAME = 0x40,
    HPACK_KIND_BAD_VALUE = 0x80,
};

struct hpack_line {
    const char *bytes; /* name, ": ", value, CRLF */
    uint32_t name_len;
    uint32_t value_len;
    uint8_t id; /* enum header_id */
    uint8_t kind;
};

struct hpack_entry {
    uint16_t at; /* of its line in table->bytes */
    uint16_t name_len;
    uint16_t value_len;
    uint8_t id;
    uint8_t kind;
};

struct hpack_table {
    uint16_t size;       /* as RFC 7541 4.1 counts it */
    uint16_t count;      /* entries */
    uint16_t room;       /* bytes of `bytes`, a multiple of 8 */
    uint16_t lines_end;  /* in `bytes` */
    uint16_t entries_at; /* in `bytes`: of the newest; a multiple of 8 away from `room` */
    char bytes[] __attribute__((aligned(8)));
};

static inline uint32_t hpack_line_len(const struct hpack_line *line)
{
    return line->name_len + line->value_len + HPACK_LINE_EXTRA;
}

struct hpack_static_line {
    char bytes[HPACK_STATIC_LINE];
    uint8_t name_len;
    uint8_t value_len;
    uint8_t id;
    uint8_t kind;
};

extern const struct hpack_static_line hpack_static[HPACK_STATIC_COUNT + 1]; /* [0] is none */

/* The line behind an index of both tables; `table` may be NULL. False: there is none. It lies in
 * the table until the next insertion. */
static inline bool hpack_table_find(const struct hpack_table *table, uint32_t index,
                                    struct hpack_line *line)
{
    if (index <= HPACK_STATIC_COUNT) {
        const struct hpack_static_line *row = &hpack_static[index];
        *line = (struct hpack_line){row->bytes, row->name_len, row->value_len, row->id, row->kind};
        return index != 0;
    }
    index -= HPACK_STATIC_COUNT + 1;
    if (table == NULL || index >= table->count) {
        return false;
    }
    const struct hpack_entry *entry =
        (const struct hpack_entry *)(const void *)(table->bytes + table->entries_at) + index;
    *line = (struct hpack_line){table->bytes + entry->at, entry->name_len, entry->value_len,
                                entry->id, entry->kind};
    return true;
}

/* Evicts until the entries are at most `max` bytes as RFC 7541 counts; with 0 nothing is left, not
 * even the block. *table may be NULL. */
void hpack_table_shrink(struct hpack_table **table, uint32_t max);
/* Inserts a copy of the line, which is not one of the table's own; one larger than `max` empties it
 * (RFC 7541 4.4). False: there is no memory, and the table is not what the peer thinks. */
LB_MUST_CHECK bool hpack_table_insert(struct hpack_table **table, uint32_t max,
                                      const struct hpack_line *line);
/* Bytes of memory. */
uint32_t hpack_table_memory(const struct hpack_table *table);

#endif
