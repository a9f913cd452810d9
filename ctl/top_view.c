#include "ctl/top_view.h"

#include <string.h>

#include "ctl/cmd_status.h"
#include "ctl/print_table.h"
#include "ctl/when.h"

enum { NAME_LEAST = 8, CELL_MAX = 64 };

static const char reverse[] = "\033[7m";
static const char plain[] = "\033[0m";
static const char bold[] = "\033[1m";

/* -- numbers -- */

static void append_scaled(struct buf *out, double number)
{
    static const char units[] = "kMGTPE";
    size_t unit = 0;
    number /= 1000.0;
    while (number >= 999.5 && unit + 2 < sizeof(units)) {
        number /= 1000.0;
        unit++;
    }
    buf_printf(out, number < 9.95 ? "%.1f%c" : "%.0f%c", number, units[unit]);
}

void top_view_count(struct buf *out, uint64_t count)
{
    if (count < 100000) {
        buf_append_u64(out, count);
    } else {
        append_scaled(out, (double)count);
    }
}

void top_view_number(struct buf *out, double number)
{
    if (number < 0.005) {
        buf_append_char(out, '0');
    } else if (number < 9.995) {
        buf_printf(out, "%.2f", number);
    } else if (number < 99.95) {
        buf_printf(out, "%.1f", number);
    } else if (number < 99999.5) {
        buf_printf(out, "%.0f", number);
    } else {
        append_scaled(out, number);
    }
}

/* -- columns -- */

struct column {
    const char *title;
    uint32_t width;
    bool is_left;
    uint32_t views; /* bit n: shown in view n */
    void (*write)(const struct top_row *row, struct buf *out);
    enum print_color (*color)(const struct top_row *row);
};

static void write_health(const struct top_row *row, struct buf *out)
{
    buf_append_slice(out, row->health);
}

static enum print_color color_health(const struct top_row *row)
{
    return cmd_status_health_color(row->health);
}

static void write_admin(const struct top_row *row, struct buf *out)
{
    buf_append_slice(out, row->admin);
}

static enum print_color color_admin(const struct top_row *row)
{
    return cmd_status_admin_color(row->admin);
}

static void write_weight(const struct top_row *row, struct buf *out)
{
    buf_append_u64(out, row->weight);
}

static void write_usable(const struct top_row *row, struct buf *out)
{
    buf_printf(out, "%llu/%llu", (unsigned long long)row->usable, (unsigned long long)row->servers);
}

static enum print_color color_usable(const struct top_row *row)
{
    return row->usable == row->servers ? PRINT_GOOD : row->usable == 0 ? PRINT_BAD : PRINT_WARN;
}

static void write_connections(const struct top_row *row, struct buf *out)
{
    top_view_count(out, row->connections);
}

static void write_rate(const struct top_row *row, struct buf *out)
{
    top_view_number(out, row->rate);
}

static void write_errors(const struct top_row *row, struct buf *out)
{
    top_view_number(out, row->errors);
}

static enum print_color color_errors(const struct top_row *row)
{
    return row->errors >= 0.005 ? PRINT_BAD : PRINT_PLAIN;
}

static void write_ms(const struct top_row *row, struct buf *out, double ms)
{
    if (row->has_latency) {
        top_view_number(out, ms);
    } else {
        buf_append_char(out, '-');
    }
}

static void write_p50(const struct top_row *row, struct buf *out)
{
    write_ms(row, out, row->p50_ms);
}

static void write_p95(const struct top_row *row, struct buf *out)
{
    write_ms(row, out, row->p95_ms);
}

static void write_p99(const struct top_row *row, struct buf *out)
{
    write_ms(row, out, row->p99_ms);
}

#define VIEW(view) (UINT32_C(1) << (unsigned)(view))
#define HAS_TIMES  (VIEW(TOP_POOLS) | VIEW(TOP_LISTENERS))
#define ALL        (HAS_TIMES | VIEW(TOP_SERVERS) | VIEW(TOP_ROUTES))

static const struct column columns[] = {
    {"HEALTH", 8, true, VIEW(TOP_SERVERS), write_health, color_health},
    {"ADMIN", 5, true, VIEW(TOP_SERVERS), write_admin, color_admin},
    {"WEIGHT", 6, false, VIEW(TOP_SERVERS), write_weight, NULL},
    {"USABLE", 8, false, VIEW(TOP_POOLS), write_usable, color_usable},
    {"OPEN", 6, false, ALL & ~VIEW(TOP_ROUTES), write_connections, NULL},
    {"REQ/S", 6, false, ALL, write_rate, NULL},
    {"ERR%", 5, false, ALL, write_errors, color_errors},
    {"MEAN ms", 7, false, VIEW(TOP_SERVERS), write_p50, NULL},
    {"P50 ms", 6, false, HAS_TIMES, write_p50, NULL},
    {"P95 ms", 6, false, HAS_TIMES, write_p95, NULL},
    {"P99 ms", 6, false, HAS_TIMES, write_p99, NULL},
};

static bool is_shown(const struct column *column, enum top_view view)
{
    return (column->views & VIEW(view)) != 0;
}

/* -- the screen -- */

static void fill(struct buf *out, size_t count)
{
    for (; count != 0; count--) {
        buf_append_char(out, ' ');
    }
}

static void append_cell(struct buf *out, struct slice text, size_t width, bool is_left,
                        const char *paint)
{
    size_t len = print_width(text);
    size_t gap = len < width ? width - len : 0;
    fill(out, is_left ? 0 : gap);
    buf_append_text(out, paint);
    (void)print_append(out, text, width);
    buf_append_text(out, paint[0] != '\0' ? plain : "");
    fill(out, is_left ? gap : 0);
}

static size_t name_width(enum top_view view, uint32_t width)
{
    size_t others = 2; /* the mark of the selected row */
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        others += is_shown(&columns[i], view) ? columns[i].width + 1 : 0;
    }
    return others + NAME_LEAST < width ? width - others : NAME_LEAST;
}

/* Ends a line of which `used` characters are there. */
static void end_line(struct buf *out)
{
    buf_append_text(out, "\033[K\r\n");
}

/* A line of plain text, cut to the screen. */
static void append_line(struct buf *out, const struct top_view_state *state, struct slice text)
{
    (void)print_append(out, text, state->width);
    end_line(out);
}

static void write_head(const struct top_model *model, struct buf *line)
{
    char uptime[WHEN_TEXT_MAX];
    uint64_t workers = ctl_number(model->now, "process.workers");
    when_write_span(uptime, ctl_number(model->now, "process.uptime_seconds"));
    buf_printf(line, "lbd  revision %llu  up %s  %llu %s",
               (unsigned long long)ctl_number(model->now, "revision"), uptime,
               (unsigned long long)workers, ctl_plural(workers, "worker", "workers"));
    if (model->mail.is_there) {
        buf_append_text(line, "  mail: ");
        top_view_count(line, model->mail.sessions);
        buf_append_text(line, ctl_plural(model->mail.sessions, " session  ", " sessions  "));
        top_view_number(line, model->mail.rate);
        buf_append_text(line, " logins/s  ");
        top_view_number(line, model->mail.failed);
        buf_append_text(line, "% failed");
    }
}

static void write_numbers(const struct top_model *model, struct buf *line)
{
    const struct top_row *all = &model->process;
    top_view_count(line, all->connections);
    buf_append_text(line, ctl_plural(all->connections, " connection  ", " connections  "));
    top_view_number(line, all->rate);
    buf_append_text(line, " req/s  ");
    top_view_number(line, all->errors);
    buf_append_text(line, "% errors  p50 ");
    write_p50(all, line);
    buf_append_text(line, "  p95 ");
    write_p95(all, line);
    buf_append_text(line, "  p99 ");
    write_p99(all, line);
    buf_append_text(line, " ms");
}

static void write_tabs(const struct top_model *model, struct buf *line)
{
    static const char *const sorts[] = {
        [TOP_BY_RATE] = "req/s",    [TOP_BY_CONNECTIONS] = "connections",
        [TOP_BY_ERRORS] = "errors", [TOP_BY_LATENCY] = "latency",
        [TOP_BY_NAME] = "name",
    };
    for (unsigned i = 0; i < TOP_VIEW_COUNT; i++) {
        bool is_this = i == (unsigned)model->view;
        buf_printf(line, is_this ? "[%s] " : "%s ", top_view_words[i]);
    }
    buf_printf(line, "  by %s  %u of %u", sorts[model->sort], model->count, model->all);
    if (model->filter[0] != '\0') {
        buf_printf(line, "  /%s", model->filter);
    }
}

static void append_titles(const struct top_model *model, const struct top_view_state *state,
                          struct buf *out)
{
    struct buf line;
    buf_init(&line, (size_t)16 * CELL_MAX);
    buf_append_text(&line, "  ");
    append_cell(&line, SLICE("NAME"), name_width(model->view, state->width), true, "");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (is_shown(&columns[i], model->view)) {
            buf_append_char(&line, ' ');
            append_cell(&line, slice_from(columns[i].title), columns[i].width, columns[i].is_left,
                        "");
        }
    }
    buf_append_text(out, state->color ? bold : "");
    (void)print_append(out, buf_slice(&line), state->width);
    buf_append_text(out, state->color ? plain : "");
    end_line(out);
    buf_fini(&line);
}

static const char *paint_of(enum print_color color)
{
    switch (color) {
    case PRINT_GOOD:
        return "\033[32m";
    case PRINT_WARN:
        return "\033[33m";
    case PRINT_BAD:
        return "\033[1;31m";
    case PRINT_DIM:
        return "\033[2m";
    case PRINT_PLAIN:
        break;
    }
    return "";
}

static void append_row(const struct top_model *model, const struct top_view_state *state,
                       uint32_t index, struct buf *out)
{
    const struct top_row *row = &model->rows[index];
    bool is_selected = index == state->selected;
    size_t left = state->width;
    struct buf cell;
    buf_init(&cell, CELL_MAX);
    buf_append_text(out, is_selected ? reverse : "");
    buf_append_text(out, is_selected ? "> " : "  ");
    size_t width = name_width(model->view, state->width);
    left -= left < width + 2 ? left : width + 2;
    append_cell(out, row->name, width, true, "");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const struct column *column = &columns[i];
        if (!is_shown(column, model->view) || left < column->width + 1) {
            continue; /* a narrow screen shows the first ones */
        }
        bool is_painted = state->color && !is_selected && column->color != NULL;
        buf_clear(&cell);
        column->write(row, &cell);
        buf_append_char(out, ' ');
        append_cell(out, buf_slice(&cell), column->width, column->is_left,
                    is_painted ? paint_of(column->color(row)) : "");
        left -= column->width + 1;
    }
    buf_append_text(out, is_selected ? plain : "");
    end_line(out);
    buf_fini(&cell);
}

static void append_foot(const struct top_view_state *state, struct buf *out)
{
    struct slice keys =
        SLICE("q quit  Tab view  c r e l n sort  / filter  Enter describe  d drain  E enable");
    bool is_bad = state->foot_is_bad && state->color;
    buf_append_text(out, is_bad ? paint_of(PRINT_BAD) : "");
    (void)print_append(out, state->foot.len != 0 ? state->foot : keys, state->width);
    buf_append_text(out, is_bad ? plain : "");
    buf_append_text(out, "\033[K");
}

/* Rows that fit between head and foot. */
static uint32_t row_lines(const struct top_view_state *state)
{
    uint32_t others = TOP_VIEW_HEAD_LINES + TOP_VIEW_FOOT_LINES;
    return state->height > others ? state->height - others : 0;
}

void top_view_draw(const struct top_model *model, struct top_view_state *state, struct buf *out)
{
    struct buf line;
    uint32_t lines = row_lines(state);
    buf_init(&line, (size_t)16 * CELL_MAX);
    if (state->selected >= model->count) {
        state->selected = model->count != 0 ? model->count - 1 : 0;
    }
    if (state->selected < state->first) {
        state->first = state->selected;
    } else if (lines != 0 && state->selected >= state->first + lines) {
        state->first = state->selected - lines + 1;
    }
    buf_append_text(out, "\033[H");
    write_head(model, &line);
    append_line(out, state, buf_slice(&line));
    buf_clear(&line);
    write_numbers(model, &line);
    append_line(out, state, buf_slice(&line));
    buf_clear(&line);
    write_tabs(model, &line);
    append_line(out, state, buf_slice(&line));
    append_titles(model, state, out);
    for (uint32_t i = 0; i < lines; i++) {
        if (state->first + i < model->count) {
            append_row(model, state, state->first + i, out);
        } else {
            end_line(out);
        }
    }
    append_foot(state, out);
    buf_append_text(out, "\033[J");
    buf_fini(&line);
}

uint32_t top_view_draw_text(struct slice text, uint32_t first, const struct top_view_state *state,
                            struct buf *out)
{
    struct slice line;
    uint32_t count = 0;
    uint32_t lines = state->height > 1 ? state->height - 1 : 0;
    uint32_t drawn = 0;
    buf_append_text(out, "\033[H");
    while (slice_split(&text, '\n', &line)) {
        if (count >= first && drawn < lines) {
            append_line(out, state, line);
            drawn++;
        }
        count++;
    }
    for (; drawn < lines; drawn++) {
        end_line(out);
    }
    append_foot(state, out);
    buf_append_text(out, "\033[J");
    return count;
}

/* -- without a screen -- */

void top_view_print(const struct top_model *model, struct ctl *ctl)
{
    struct print_table table;
    struct buf text;
    buf_init(&text, (size_t)16 * CELL_MAX);
    write_head(model, &text);
    buf_append_char(&text, '\n');
    write_numbers(model, &text);
    (void)fwrite(text.data, 1, text.len, ctl->out);
    (void)fputs("\n\n", ctl->out);
    print_table_init(&table);
    print_table_column(&table, "NAME");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (is_shown(&columns[i], model->view)) {
            print_table_column(&table, columns[i].title);
            table.right[table.column_count - 1] = !columns[i].is_left;
        }
    }
    for (uint32_t row = 0; row < model->count; row++) {
        print_table_cell(&table, PRINT_PLAIN, model->rows[row].name);
        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            if (is_shown(&columns[i], model->view)) {
                buf_clear(&text);
                columns[i].write(&model->rows[row], &text);
                print_table_cell(&table,
                                 columns[i].color != NULL ? columns[i].color(&model->rows[row])
                                                          : PRINT_PLAIN,
                                 buf_slice(&text));
            }
        }
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    buf_fini(&text);
}

static void write_json_row(const struct top_row *row, struct json_write *w)
{
    json_write_object_begin(w);
    if (row->health.len != 0) {
        json_write_member_string(w, "health", row->health);
        json_write_member_string(w, "admin", row->admin);
        json_write_member_u64(w, "weight", row->weight);
    }
    json_write_member_u64(w, "connections", row->connections);
    json_write_member_double(w, "requests_per_second", row->rate);
    json_write_member_double(w, "error_percent", row->errors);
    if (row->has_latency) {
        json_write_member_double(w, "p50_ms", row->p50_ms);
        json_write_member_double(w, "p95_ms", row->p95_ms);
        json_write_member_double(w, "p99_ms", row->p99_ms);
    }
    json_write_object_end(w);
}

void top_view_write_json(const struct top_model *model, struct json_write *w)
{
    json_write_object_begin(w);
    json_write_member_u64(w, "revision", ctl_number(model->now, "revision"));
    json_write_key(w, "process");
    write_json_row(&model->process, w);
    if (model->mail.is_there) {
        json_write_key(w, "mail");
        json_write_object_begin(w);
        json_write_member_u64(w, "sessions", model->mail.sessions);
        json_write_member_double(w, "logins_per_second", model->mail.rate);
        json_write_member_double(w, "failed_percent", model->mail.failed);
        json_write_object_end(w);
    }
    json_write_key(w, top_view_words[model->view]);
    json_write_object_begin(w);
    for (uint32_t i = 0; i < model->count; i++) {
        json_write_key_slice(w, model->rows[i].name);
        write_json_row(&model->rows[i], w);
    }
    json_write_object_end(w);
    json_write_object_end(w);
}
