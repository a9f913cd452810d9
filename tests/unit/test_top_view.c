#include <stdlib.h>
#include <string.h>

#include "ctl/print_table.h"
#include "ctl/top_view.h"
#include "tests/unit/unit.h"

START_TEST(numbers_are_short)
{
    static const struct {
        double number;
        const char *want;
    } numbers[] = {{0.0, "0"},      {0.12, "0.12"},     {9.99, "9.99"},     {12.34, "12.3"},
                   {123.4, "123"},  {99999.0, "99999"}, {123456.0, "123k"}, {1234567.0, "1.2M"},
                   {2.5e9, "2.5G"}, {9.99e5, "999k"},   {9.996e5, "1.0M"}};
    struct buf out;
    buf_init(&out, 64);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        buf_clear(&out);
        top_view_number(&out, numbers[i].number);
        ck_assert_str_eq(out.data, numbers[i].want);
        ck_assert_uint_le(out.len, 6);
    }
    buf_clear(&out);
    top_view_count(&out, 12345);
    ck_assert_str_eq(out.data, "12345");
    buf_clear(&out);
    top_view_count(&out, UINT64_MAX);
    ck_assert_uint_le(out.len, 6);
    buf_fini(&out);
}
END_TEST

static const char stats[] =
    "{\"time\":\"2026-11-26T11:00:00Z\",\"revision\":42,\"process\":{\"uptime_seconds\":90,"
    "\"workers\":2,\"connections\":1},\"pools\":{\"shop\":{\"servers\":4,\"usable\":3}},\"servers\":{"
    "\"a-name-that-is-much-longer-than-any-screen-is-wide/and-goes-on-and-on-and-on-and-on\":{"
    "\"health\":\"down\",\"admin\":\"ready\",\"weight\":0},"
    "\"w/1\":{\"health\":\"up\",\"admin\":\"drain\",\"weight\":100,\"connections\":7},"
    "\"w/2\":{\"health\":\"up\"},\"w/3\":{\"health\":\"up\"},\"w/4\":{\"health\":\"up\"}}}";

static void load(struct top_model *model, enum top_view view)
{
    top_model_init(model, view);
    top_model_feed(model, json_parse_trusted(slice_from(stats)));
}

/* What a terminal would show: lines without the sequences that paint. */
static char *shown(const struct buf *bytes)
{
    size_t len;
    struct buf text;
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < bytes->len; i++) {
        if (bytes->data[i] == '\033') {
            while (i < bytes->len && (bytes->data[i] < 'A' || bytes->data[i] == '[')) {
                i++; /* to the letter that ends it */
            }
        } else if (bytes->data[i] != '\r') {
            buf_append_char(&text, bytes->data[i]);
        }
    }
    return buf_take(&text, &len);
}

static void check_size(const char *text, uint32_t width, uint32_t height)
{
    struct slice rest = slice_from(text);
    struct slice line;
    uint32_t lines = 0;
    while (slice_split(&rest, '\n', &line)) {
        lines++;
        ck_assert_msg(print_width(line) <= width, "%u columns: '%.*s'", width, SLICE_ARG(line));
    }
    ck_assert_msg(lines == height, "%u lines, not %u:\n%s", lines, height, text);
}

START_TEST(a_screen_of_80_columns)
{
    struct top_model model;
    struct buf out;
    struct top_view_state state = {.width = 80, .height = 10, .color = true, .selected = 1};
    buf_init(&out, 1024 * 1024);
    load(&model, TOP_SERVERS);
    model.sort = TOP_BY_NAME;
    top_model_arrange(&model);
    top_view_draw(&model, &state, &out);
    char *text = shown(&out);
    ck_assert_str_eq(
        text, "lbd  revision 42  up 1m 30s  2 workers\n"
              "1 connection  0 req/s  0% errors  p50 -  p95 -  p99 - ms\n"
              "pools [servers] listeners routes   by name  5 of 5\n"
              "  NAME                         HEALTH   ADMIN WEIGHT   OPEN  REQ/S  ERR% MEAN ms\n"
              "  a-name-that-is-much-longer-t down     ready      0      0      0     0       -\n"
              "> w/1                          up       drain    100      7      0     0       -\n"
              "  w/2                          up                  0      0      0     0       -\n"
              "  w/3                          up                  0      0      0     0       -\n"
              "  w/4                          up                  0      0      0     0       -\n"
              "q quit  Tab view  c r e l n sort  / filter  Enter describe  d drain  E enable");
    free(text);
    buf_fini(&out);
    top_model_fini(&model);
}
END_TEST

START_TEST(any_size_is_kept)
{
    static const uint32_t widths[] = {1, 2, 10, 40, 79, 80, 200};
    static const uint32_t heights[] = {1, 4, 5, 6, 24};
    for (unsigned view = 0; view < TOP_VIEW_COUNT; view++) {
        for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
            for (size_t h = 0; h < ARRAY_LEN(heights); h++) {
                struct top_model model;
                struct buf out;
                struct top_view_state state = {
                    .width = widths[w], .height = heights[h], .selected = 4};
                buf_init(&out, 1024 * 1024);
                load(&model, (enum top_view)view);
                top_view_draw(&model, &state, &out);
                char *text = shown(&out);
                if (widths[w] >= 10) { /* a name keeps some letters */
                    check_size(text, widths[w],
                               heights[h] >= TOP_VIEW_HEAD_LINES + TOP_VIEW_FOOT_LINES
                                   ? heights[h]
                                   : TOP_VIEW_HEAD_LINES + TOP_VIEW_FOOT_LINES);
                }
                free(text);
                buf_fini(&out);
                top_model_fini(&model);
            }
        }
    }
}
END_TEST

START_TEST(the_selected_row_stays_in_sight)
{
    struct top_model model;
    struct buf out;
    struct top_view_state state = {.width = 80, .height = 7, .selected = 4};
    buf_init(&out, 1024 * 1024);
    load(&model, TOP_SERVERS);
    model.sort = TOP_BY_NAME;
    top_model_arrange(&model);
    top_view_draw(&model, &state, &out);
    ck_assert_uint_eq(state.first, 3);
    ck_assert_ptr_nonnull(strstr(out.data, "> w/4"));
    state.selected = 1;
    buf_clear(&out);
    top_view_draw(&model, &state, &out);
    ck_assert_uint_eq(state.first, 1);
    state.selected = 99; /* some have gone */
    top_view_draw(&model, &state, &out);
    ck_assert_uint_eq(state.selected, 4);
    buf_fini(&out);
    top_model_fini(&model);
}
END_TEST

START_TEST(a_text_is_shown_from_any_line)
{
    struct buf out;
    const struct top_view_state state = {
        .width = 5, .height = 4, .foot = SLICE_INIT("foot"), .color = false};
    buf_init(&out, 4096);
    ck_assert_uint_eq(
        top_view_draw_text(SLICE("a\nb\nc\nd much too long\n\033[2Je"), 2, &state, &out), 5);
    char *text = shown(&out);
    ck_assert_str_eq(text, "c\nd muc\n?[2Je\nfoot");
    free(text);
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("top_view", numbers_are_short, a_screen_of_80_columns, any_size_is_kept,
           the_selected_row_stays_in_sight, a_text_is_shown_from_any_line)
