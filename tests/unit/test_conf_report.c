#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/json/json.h"
#include "lbd/control/conf_report.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text; /* of the file */
    uint32_t line;
    uint32_t column;
    const char *shown; /* below the message; "" for nothing */
} cases[] = {
    {"{\n  \"a\": 1\n}\n", 2, 3, "    2 |   \"a\": 1\n      |   ^\n"},
    {"{\"a\": 1}", 1, 2, "    1 | {\"a\": 1}\n      |  ^\n"},
    {"\t\t\"a\": 1", 1, 3, "    1 | \t\t\"a\": 1\n      | \t\t^\n"},
    {"\"\xC3\xA4\xE2\x82\xAC\": x", 1, 6, "    1 | \"\xC3\xA4\xE2\x82\xAC\": x\n      |      ^\n"},
    {"a\r\nb\r\n", 2, 1, "    2 | b\n      | ^\n"},
    {"a\n", 2, 1, ""}, /* behind the end */
    {"a\n", 1, 9, "    1 | a\n      |  ^\n"},
    {"\xFF\n", 1, 1, ""}, /* no text */
    {"a\x1B[2Jb", 1, 1, "    1 | a?[2Jb\n      | ^\n"},
    {"a\n", 0, 0, ""},
};

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_entry(struct conf_errors *errors, uint32_t line, uint32_t column)
{
    conf_errors_init(errors);
    conf_errors_add_at(errors, SLICE("/p"), "unknown-key", SLICE("q"), "not known");
    conf_errors_warn_at(errors, SLICE("/w"), "single-server", "one server");
    errors->errors[0].line = line;
    errors->errors[0].column = column;
}

START_TEST(a_place_is_shown_with_its_line)
{
    char path[] = "/tmp/lbd-unit-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errors;
        struct buf out;
        char want[512];
        write_file(path, cases[i].text, strlen(cases[i].text));
        make_entry(&errors, cases[i].line, cases[i].column);
        buf_init(&out, 65536);
        conf_report_text(&errors, path, true, &out);
        uint32_t line = cases[i].line != 0 ? cases[i].line : 1;
        uint32_t column = cases[i].line != 0 ? cases[i].column : 1;
        (void)snprintf(want, sizeof want,
                       "%s:%u:%u: #/p: not known; did you mean 'q'?\n%s"
                       "%s:1:1: warning: #/w: one server\n",
                       path, line, column, cases[i].shown, path);
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(want)), "case %zu:\n%.*s", i,
                      SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
        conf_errors_fini(&errors);
    }
    (void)unlink(path);
}
END_TEST

START_TEST(a_long_line_is_shown_around_the_place)
{
    char path[] = "/tmp/lbd-unit-XXXXXX";
    char text[5000];
    struct conf_errors errors;
    struct buf out;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    memset(text, 'a', sizeof text);
    text[2999] = 'X';
    write_file(path, text, sizeof text);
    make_entry(&errors, 1, 3000);
    buf_init(&out, 65536);
    conf_report_text(&errors, path, true, &out);
    (void)buf_append_char(&out, '\0');
    ck_assert_uint_lt(out.len, 700);
    const char *line = strstr(out.data, "    1 | ");
    const char *caret = strstr(out.data, "      | ");
    ck_assert(line != NULL && caret != NULL);
    ck_assert_int_eq(line[strcspn(caret, "^")], 'X'); /* they stand below each other */
    buf_fini(&out);
    conf_errors_fini(&errors);
    (void)unlink(path);
}
END_TEST

START_TEST(without_a_terminal_one_line_each)
{
    struct conf_errors errors;
    struct buf out;
    make_entry(&errors, 7, 3);
    buf_init(&out, 65536);
    conf_report_text(&errors, "/nowhere/lbd.json", false, &out);
    ck_assert(
        slice_eq(buf_slice(&out), SLICE("/nowhere/lbd.json:7:3: #/p: not known; did you mean 'q'?\n"
                                        "/nowhere/lbd.json:1:1: warning: #/w: one server\n")));
    buf_fini(&out);
    conf_errors_fini(&errors);
}
END_TEST

START_TEST(programs_get_json)
{
    struct conf_errors errors;
    struct buf out;
    make_entry(&errors, 7, 3);
    errors.warnings[0].file = SLICE("conf.d/x.json");
    buf_init(&out, 65536);
    conf_report_json(&errors, "lbd.json", "1 error", &out);
    struct json *json = json_parse_trusted(buf_slice(&out));
    const struct json *error = json_at(json_get(json, SLICE("errors")), 0);
    const struct json *warning = json_at(json_get(json, SLICE("warnings")), 0);
    int64_t line = 0;
    ck_assert(json_is(json_get(json, SLICE("valid")), JSON_BOOL));
    ck_assert(!json_bool(json_get(json, SLICE("valid"))));
    ck_assert(json_integer(json_get(error, SLICE("line")), &line));
    ck_assert_int_eq(line, 7);
    ck_assert(slice_eq(json_string(json_get(error, SLICE("file"))), SLICE("lbd.json")));
    ck_assert(slice_eq(json_string(json_get(error, SLICE("pointer"))), SLICE("#/p")));
    ck_assert(slice_eq(json_string(json_get(error, SLICE("suggestion"))), SLICE("q")));
    ck_assert(slice_eq(json_string(json_get(warning, SLICE("file"))), SLICE("conf.d/x.json")));
    ck_assert(json_get(warning, SLICE("line")) == NULL);
    json_free(json);
    buf_clear(&out);
    conf_errors_clear(&errors);
    conf_report_json(&errors, "lbd.json", NULL, &out);
    json = json_parse_trusted(buf_slice(&out));
    ck_assert(json_bool(json_get(json, SLICE("valid"))));
    ck_assert_uint_eq(json_count(json_get(json, SLICE("errors"))), 0);
    json_free(json);
    buf_fini(&out);
    conf_errors_fini(&errors);
}
END_TEST

UNIT_TESTS("conf_report", a_place_is_shown_with_its_line, a_long_line_is_shown_around_the_place,
           without_a_terminal_one_line_each, programs_get_json)
