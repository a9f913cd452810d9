/*
 * print_table - aligned columns of text for people.
 *
 *     NAME       HEALTH  CONNECTIONS
 *     demo/anna  up               17
 *     demo/bert  down              0
 *
 * Fill it row by row, then write it once. Columns are as wide as their widest cell; when a terminal
 * is narrower than the table, the widest columns give way and end in "…". Colour only underlines
 * what a word says already. Whatever a cell holds, what comes out is printable text on one line.
 *
 * Limits: PRINT_TABLE_COLUMNS_MAX columns. Memory: the table owns copies of its cells; titles are
 * borrowed. Threads: the only one of lbctl.
 */
#ifndef CTL_PRINT_TABLE_H
#define CTL_PRINT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

enum { PRINT_TABLE_COLUMNS_MAX = 16 };

enum print_color { PRINT_PLAIN, PRINT_GOOD, PRINT_WARN, PRINT_BAD, PRINT_DIM };

struct print_cell {
    size_t offset; /* of its text */
    size_t len;    /* bytes */
    enum print_color color;
};

struct print_table {
    const char *titles[PRINT_TABLE_COLUMNS_MAX];
    bool right[PRINT_TABLE_COLUMNS_MAX]; /* aligned at the right: numbers */
    uint32_t column_count;
    size_t least[PRINT_TABLE_COLUMNS_MAX]; /* widths of what was written before */
    bool is_continued;                     /* and its titles with it */
    struct print_cell *cells;              /* row after row */
    size_t cell_count;
    size_t cell_capacity;
    struct buf text;
};

void print_table_init(struct print_table *table);
void print_table_fini(struct print_table *table);
/* All columns come before the first cell. A title that begins with '>' makes a column of numbers.
 */
void print_table_column(struct print_table *table, const char *title);
/* Adds the next cell; a row is full after column_count of them. An empty text becomes "-". */
void print_table_cell(struct print_table *table, enum print_color color, struct slice text);
void print_table_cellf(struct print_table *table, enum print_color color, const char *fmt, ...)
    LB_PRINTF(3, 4);
/* `width` is that of the terminal in characters; 0: as wide as it gets. */
void print_table_write(struct print_table *table, FILE *out, bool color, uint32_t width);
/* Forgets the rows. What is written next stands below what was written before, without titles. */
void print_table_clear(struct print_table *table);
/* Forgets the row that was filled last. */
void print_table_drop_row(struct print_table *table);
/* Of the texts in the row that was filled last, without the columns n whose bit n is set. */
uint64_t print_table_hash_row(const struct print_table *table, uint32_t without);

/* One text that came from elsewhere: control characters and invalid UTF-8 become '?'. */
void print_text(FILE *out, struct slice text);
/* The same in a colour, when `color` is true. */
void print_colored(FILE *out, bool color, enum print_color which, struct slice text);
/* A JSON text: what a terminal would obey is escaped, which is the same JSON. */
void print_json(FILE *out, struct slice json);
/* A text as print_text has it into a buf, at most `width` characters; returns how many. */
size_t print_append(struct buf *out, struct slice text, size_t width);
/* Characters, as a terminal counts them (each code point is one). */
size_t print_width(struct slice text);

#endif
