#include "ctl/print_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"

enum {
    TEXT_MAX = 256 * 1024 * 1024,
    GAP = 2,          /* spaces between columns */
    NARROWEST = 8,    /* characters that a column keeps when it gives way */
    CELLS_FIRST = 64, /* capacity */
};

static const char *const color_codes[] = {
    [PRINT_PLAIN] = "",         [PRINT_GOOD] = "\033[32m", [PRINT_WARN] = "\033[33m",
    [PRINT_BAD] = "\033[1;31m", [PRINT_DIM] = "\033[2m",
};

void print_table_init(struct print_table *table)
{
    *table = (struct print_table){.column_count = 0};
    buf_init(&table->text, TEXT_MAX);
}

void print_table_fini(struct print_table *table)
{
    free(table->cells);
    buf_fini(&table->text);
    *table = (struct print_table){.column_count = 0};
}

void print_table_column(struct print_table *table, const char *title)
{
    assert(table->column_count < PRINT_TABLE_COLUMNS_MAX && table->cell_count == 0);
    bool right = title[0] == '>';
    table->titles[table->column_count] = right ? title + 1 : title;
    table->right[table->column_count] = right;
    table->column_count++;
}

static struct print_cell *add_cell(struct print_table *table, enum print_color color)
{
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity != 0 ? table->cell_capacity * 2 : CELLS_FIRST;
        table->cells = mem_resize(table->cells, table->cell_capacity * sizeof(struct print_cell));
    }
    struct print_cell *cell = &table->cells[table->cell_count++];
    *cell = (struct print_cell){.offset = table->text.len, .color = color};
    return cell;
}

static void end_cell(struct print_table *table, struct print_cell *cell)
{
    cell->len = table->text.len - cell->offset;
    if (cell->len == 0) {
        buf_append_char(&table->text, '-');
        cell->len = table->text.len - cell->offset;
    }
}

void print_table_cell(struct print_table *table, enum print_color color, struct slice text)
{
    struct print_cell *cell = add_cell(table, color);
    buf_append_slice(&table->text, text);
    end_cell(table, cell);
}

void print_table_cellf(struct print_table *table, enum print_color color, const char *fmt, ...)
{
    va_list args;
    struct print_cell *cell = add_cell(table, color);
    va_start(args, fmt);
    buf_vprintf(&table->text, fmt, args);
    va_end(args);
    end_cell(table, cell);
}

/* Bytes of the next character; invalid ones count as one each. *printable: show it as it is. */
static size_t next_character(struct slice text, bool *printable)
{
    size_t len = utf8_length(text);
    unsigned char first = (unsigned char)text.ptr[0];
    if (len == 0) {
        *printable = false;
        return 1;
    }
    /* C0, DEL, and C1 (U+0080 to U+009F, "\xc2\x80" to "\xc2\x9f"): a terminal obeys them */
    bool is_c1 = len == 2 && first == 0xc2 && (unsigned char)text.ptr[1] < 0xa0;
    *printable = first >= ' ' && first != 0x7f && !is_c1;
    return len;
}

size_t print_width(struct slice text)
{
    bool printable;
    size_t width = 0;
    while (text.len != 0) {
        text = slice_from_at(text, next_character(text, &printable));
        width++;
    }
    return width;
}

size_t print_append(struct buf *out, struct slice text, size_t width)
{
    size_t used = 0;
    for (; text.len != 0 && used != width; used++) {
        bool printable;
        size_t len = next_character(text, &printable);
        if (printable) {
            buf_append(out, text.ptr, len);
        } else {
            buf_append_char(out, '?');
        }
        text = slice_from_at(text, len);
    }
    return used;
}

/* At most `width` characters. */
static void print_part(FILE *out, struct slice text, size_t width)
{
    for (; text.len != 0 && width != 0; width--) {
        bool printable;
        size_t len = next_character(text, &printable);
        if (printable) {
            (void)fwrite(text.ptr, 1, len, out);
        } else {
            (void)fputc('?', out);
        }
        text = slice_from_at(text, len);
    }
}

void print_text(FILE *out, struct slice text)
{
    print_part(out, text, SIZE_MAX);
}

void print_json(FILE *out, struct slice json)
{
    size_t begin = 0;
    for (size_t i = 0; i < json.len; i++) {
        unsigned char byte = (unsigned char)json.ptr[i];
        unsigned char next = i + 1 < json.len ? (unsigned char)json.ptr[i + 1] : 0;
        bool is_c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;
        if (byte != 0x7f && !is_c1) { /* lower ones are escaped already */
            continue;
        }
        (void)fwrite(json.ptr + begin, 1, i - begin, out);
        (void)fprintf(out, "\\u00%02x", is_c1 ? next : byte);
        i += is_c1 ? 1 : 0;
        begin = i + 1;
    }
    (void)fwrite(json.ptr + begin, 1, json.len - begin, out);
}

void print_colored(FILE *out, bool color, enum print_color which, struct slice text)
{
    bool painted = color && which != PRINT_PLAIN;
    if (painted) {
        (void)fputs(color_codes[which], out);
    }
    print_text(out, text);
    if (painted) {
        (void)fputs("\033[0m", out);
    }
}

static struct slice cell_text(const struct print_table *table, const struct print_cell *cell)
{
    return slice_of(table->text.data + cell->offset, cell->len);
}

static void spaces(FILE *out, size_t count)
{
    for (; count != 0; count--) {
        (void)fputc(' ', out);
    }
}

static void write_cell(FILE *out, struct slice text, size_t width, bool right, bool is_last,
                       const char *color)
{
    size_t own = print_width(text);
    bool cut = own > width;
    size_t shown = cut ? width : own;
    if (right) {
        spaces(out, width - shown);
    }
    (void)fputs(color, out);
    print_part(out, text, cut ? width - 1 : SIZE_MAX);
    if (cut) {
        (void)fputs("…", out);
    }
    if (color[0] != '\0') {
        (void)fputs("\033[0m", out);
    }
    if (!is_last) {
        spaces(out, GAP + (right ? 0 : width - shown));
    }
}

/* Takes characters off the widest columns until the table fits or none may give more. */
static void fit(size_t *widths, uint32_t count, uint32_t width)
{
    size_t total = count != 0 ? (size_t)GAP * (count - 1) : 0;
    for (uint32_t i = 0; i < count; i++) {
        total += widths[i];
    }
    while (total > width) {
        uint32_t widest = 0;
        for (uint32_t i = 1; i < count; i++) {
            if (widths[i] > widths[widest]) {
                widest = i;
            }
        }
        if (widths[widest] <= NARROWEST) {
            return;
        }
        widths[widest]--;
        total--;
    }
}

void print_table_write(struct print_table *table, FILE *out, bool color, uint32_t width)
{
    size_t widths[PRINT_TABLE_COLUMNS_MAX] = {0};
    uint32_t columns = table->column_count;
    for (uint32_t i = 0; i < columns; i++) {
        size_t title = print_width(slice_from(table->titles[i]));
        widths[i] = title > table->least[i] ? title : table->least[i];
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t own = print_width(cell_text(table, &table->cells[i]));
        if (own > widths[i % columns]) {
            widths[i % columns] = own;
        }
    }
    if (width != 0) {
        fit(widths, columns, width);
    }

    if (!table->is_continued) {
        for (uint32_t i = 0; i < columns; i++) {
            write_cell(out, slice_from(table->titles[i]), widths[i], table->right[i],
                       i + 1 == columns, "");
        }
        (void)fputc('\n', out);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        const struct print_cell *cell = &table->cells[i];
        size_t at = i % columns;
        bool is_last = at + 1 == columns;
        write_cell(out, cell_text(table, cell), widths[at], table->right[at], is_last,
                   color ? color_codes[cell->color] : "");
        if (is_last) {
            (void)fputc('\n', out);
        }
    }
    memcpy(table->least, widths, sizeof(widths));
}

void print_table_clear(struct print_table *table)
{
    table->cell_count = 0;
    buf_clear(&table->text);
    table->is_continued = true;
}

/* The cells of the row that was filled last. */
static const struct print_cell *last_row(const struct print_table *table)
{
    assert(table->cell_count >= table->column_count &&
           table->cell_count % table->column_count == 0);
    return &table->cells[table->cell_count - table->column_count];
}

void print_table_drop_row(struct print_table *table)
{
    table->text.len = last_row(table)->offset;
    table->cell_count -= table->column_count;
}

uint64_t print_table_hash_row(const struct print_table *table, uint32_t without)
{
    const struct print_cell *row = last_row(table);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if ((without >> i & 1U) == 0) {
            hash = hash_fast(cell_text(table, &row[i]), hash);
        }
    }
    return hash;
}
