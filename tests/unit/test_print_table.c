#include <stdlib.h>

#include "ctl/print_table.h"
#include "tests/unit/unit.h"

static char *write_table(struct print_table *table, bool color, uint32_t width)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    print_table_write(table, out, color, width);
    (void)fclose(out);
    return text;
}

static void fill(struct print_table *table)
{
    print_table_init(table);
    print_table_column(table, "NAME");
    print_table_column(table, "HEALTH");
    print_table_column(table, ">CONNECTIONS");
    print_table_column(table, "NOTE");
    print_table_cell(table, PRINT_PLAIN, SLICE("demo/anna"));
    print_table_cell(table, PRINT_GOOD, SLICE("up"));
    print_table_cellf(table, PRINT_PLAIN, "%d", 17);
    print_table_cell(table, PRINT_PLAIN, SLICE("quite a long note about her"));
    print_table_cell(table, PRINT_PLAIN, SLICE("demo/ö"));
    print_table_cell(table, PRINT_BAD, SLICE("down"));
    print_table_cellf(table, PRINT_PLAIN, "%d", 0);
    print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
}

static const struct {
    bool color;
    uint32_t width;
    const char *want;
} cases[] = {
    {false, 0,
     "NAME       HEALTH  CONNECTIONS  NOTE\n"
     "demo/anna  up               17  quite a long note about her\n"
     "demo/ö     down              0  -\n"},
    {true, 0,
     "NAME       HEALTH  CONNECTIONS  NOTE\n"
     "demo/anna  \033[32mup\033[0m               17  quite a long note about her\n"
     "demo/ö     \033[1;31mdown\033[0m              0  -\n"},
    {false, 59, /* it just fits */
     "NAME       HEALTH  CONNECTIONS  NOTE\n"
     "demo/anna  up               17  quite a long note about her\n"
     "demo/ö     down              0  -\n"},
    {false, 50, /* the widest gives way */
     "NAME       HEALTH  CONNECTIONS  NOTE\n"
     "demo/anna  up               17  quite a long note…\n"
     "demo/ö     down              0  -\n"},
    {false, 3, /* nothing becomes unreadable, whatever the terminal says */
     "NAME      HEALTH  CONNECT…  NOTE\n"
     "demo/an…  up            17  quite a…\n"
     "demo/ö    down           0  -\n"},
};

START_TEST(columns_are_aligned)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct print_table table;
        fill(&table);
        char *text = write_table(&table, cases[i].color, cases[i].width);
        ck_assert_msg(strcmp(text, cases[i].want) == 0, "width %u: got\n%s\nexpected\n%s",
                      cases[i].width, text, cases[i].want);
        free(text);
        print_table_fini(&table);
    }
}
END_TEST

START_TEST(an_empty_table_has_titles)
{
    struct print_table table;
    print_table_init(&table);
    print_table_column(&table, "NAME");
    print_table_column(&table, ">N");
    char *text = write_table(&table, false, 0);
    ck_assert_str_eq(text, "NAME  N\n");
    free(text);
    print_table_fini(&table);
}
END_TEST

START_TEST(nothing_reaches_the_terminal_that_it_obeys)
{
    static const struct {
        const char *text;
        const char *want;
    } texts[] = {
        {"plain", "plain"},
        {"a\033[31mred\r\n\tb\x7f", "a?[31mred???b?"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* CSI as one C1 character */
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff\xc3", "??"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        print_text(out, slice_from(texts[i].text));
        (void)fclose(out);
        ck_assert_str_eq(text, texts[i].want);
        free(text);
    }
}
END_TEST

START_TEST(many_rows_keep_their_cells)
{
    enum { ROWS = 1000 };
    struct print_table table;
    print_table_init(&table);
    print_table_column(&table, ">N");
    for (int i = 0; i < ROWS; i++) {
        print_table_cellf(&table, PRINT_PLAIN, "%d", i);
    }
    char *text = write_table(&table, false, 0);
    ck_assert_ptr_nonnull(strstr(text, "\n  0\n  1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n998\n999\n"));
    free(text);
    print_table_fini(&table);
}
END_TEST

START_TEST(json_holds_nothing_that_a_terminal_obeys)
{
    static const struct {
        const char *json;
        const char *want;
    } texts[] = {
        {"{}", "{}"},
        {"\"\xc2\x9b\"", "\"\\u009b\""},
        {"\"a\x7f\xc2\x80z\"", "\"a\\u007f\\u0080z\""},
        {"\"\xc3\xa4 \xc2\xa0\"", "\"\xc3\xa4 \xc2\xa0\""}, /* letters stay */
        {"\xc2", "\xc2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        print_json(out, slice_from(texts[i].json));
        (void)fclose(out);
        ck_assert_str_eq(text, texts[i].want);
        free(text);
    }
}
END_TEST

START_TEST(rows_that_come_later_stand_below)
{
    struct print_table table;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    print_table_init(&table);
    print_table_column(&table, "NAME");
    print_table_column(&table, ">BUSY");
    print_table_cell(&table, PRINT_PLAIN, SLICE("a long name"));
    print_table_cell(&table, PRINT_PLAIN, SLICE("1"));
    uint64_t first = print_table_hash_row(&table, 2);
    print_table_write(&table, out, false, 0);
    print_table_clear(&table);
    print_table_cell(&table, PRINT_PLAIN, SLICE("a long name"));
    print_table_cell(&table, PRINT_PLAIN, SLICE("22"));
    ck_assert_uint_eq(print_table_hash_row(&table, 2), first);
    ck_assert_uint_ne(print_table_hash_row(&table, 0), first);
    print_table_drop_row(&table);
    print_table_cell(&table, PRINT_PLAIN, SLICE("b"));
    print_table_cell(&table, PRINT_PLAIN, SLICE("333"));
    print_table_write(&table, out, false, 0);
    (void)fclose(out);
    ck_assert_str_eq(text, "NAME         BUSY\n"
                           "a long name     1\n"
                           "b             333\n");
    free(text);
    print_table_fini(&table);
}
END_TEST

UNIT_TESTS("print_table", json_holds_nothing_that_a_terminal_obeys,
           rows_that_come_later_stand_below, columns_are_aligned, an_empty_table_has_titles,
           nothing_reaches_the_terminal_that_it_obeys, many_rows_keep_their_cells)
