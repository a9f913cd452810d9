#include <stdio.h>

#include "conf/conf_document.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "lbd_version.h"
#include "tests/unit/unit.h"

/* Calls `look` for every field of the file; the path is its keys joined by dots. */
typedef void look_fn(const struct conf_object *object, const struct conf_field *field,
                     const char *path);

static void walk(const struct conf_object *object, const char *prefix, look_fn *look)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        char path[200];
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", field->key);
        look(object, field, path);
        if (field->object != NULL) {
            walk(field->object, path, look);
        }
    }
}

static void walk_all(look_fn *look)
{
    walk(conf_schema_document, "", look);
    walk(conf_schema_daemon, "daemon", look);
}

/* "0.12.1" is 12. */
static unsigned version_of(const char *text)
{
    unsigned major = 0;
    unsigned minor = 0;
    ck_assert_int_eq(sscanf(text, "%u.%u", &major, &minor), 2);
    return major * 1000 + minor;
}

static void look_sane(const struct conf_object *object, const struct conf_field *field,
                      const char *path)
{
    bool has_words = field->type == CONF_TYPE_ENUM;
    bool has_object = field->type == CONF_TYPE_OBJECT || field->type == CONF_TYPE_MAP;
    struct json *example = json_parse_trusted(slice_from(field->example));
    ck_assert_msg(field->doc != NULL && field->doc[strlen(field->doc) - 1] == '.', "%s: doc", path);
    ck_assert_msg(example != NULL, "%s: example", path);
    ck_assert_msg(field->since != NULL && version_of(field->since) <= version_of(LBD_VERSION),
                  "%s: since", path);
    ck_assert_msg(!has_words || field->words != NULL, "%s: words", path);
    ck_assert_msg(has_object == (field->object != NULL), "%s: object", path);
    ck_assert_msg(has_object || field->type == CONF_TYPE_ENUM || field->type == CONF_TYPE_BOOL ||
                      field->max > 0,
                  "%s: max", path);
    ck_assert_msg(field->min <= field->max || field->max == 0, "%s: range", path);
    ck_assert_msg(conf_schema_find(object, slice_from(field->key)) == field, "%s: twice", path);
    json_free(example);
}

START_TEST(every_row_is_complete)
{
    walk_all(look_sane);
}
END_TEST

static void look_up(const struct conf_object *object, const struct conf_field *field,
                    const char *path)
{
    const struct conf_object *found_object = NULL;
    const struct conf_field *found = NULL;
    ck_assert_msg(conf_schema_lookup(slice_from(path), &found_object, &found), "%s", path);
    ck_assert_ptr_eq(found, field);
    ck_assert_ptr_eq(found_object, field->object != NULL ? field->object : object);
}

START_TEST(looks_up_by_path)
{
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    walk_all(look_up);
    ck_assert(conf_schema_lookup(SLICE(""), &object, &field));
    ck_assert(object == conf_schema_document && field == NULL);
    ck_assert(conf_schema_lookup(SLICE("daemon"), &object, &field));
    ck_assert(object == conf_schema_daemon && field == NULL);
    static const char *const none[] = {"pool",        "pools.", "pools.servers.weight.x",
                                       "daemon.none", ".",      "daemons"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        ck_assert_msg(!conf_schema_lookup(slice_from(none[i]), &object, &field), "%s", none[i]);
    }
}
END_TEST

/* Texts of defaults and ranges, as they stand in the reference. */
static const struct {
    const char *path;
    const char *type;
    const char *preset; /* NULL: none */
    const char *range;  /* NULL: none */
} texts[] = {
    {"pools.servers.weight", "integer or percentage", "100", "1 to 1000, or 1% to 100%"},
    {"pools.servers.address", "string", NULL, "at most 270 bytes"},
    {"pools.servers.admin_state", "word", "\"ready\"", "one of \"ready\", \"drain\", \"maint\""},
    {"routes.priority", "integer", "0", "-1000000 to 1000000"},
    {"routes.action.redirect.status", "integer", "302", "one of 301, 302, 303, 307, 308"},
    {"listeners.timeouts.header", "duration", "\"10s\"", "10ms to 1h"},
    {"listeners.limits.header_size", "size", "\"64KiB\"", "1KiB to 64KiB"},
    {"health_checks.expect.status", "list of statuses", "[\"2xx\"]", "at most 64"},
    {"daemon.workers", "\"auto\" or integer", "\"auto\"", "1 to 64"},
    {"pools.health_check", "string", NULL, NULL},
    {"pools.timeouts", "object", NULL, NULL},
};

START_TEST(says_types_defaults_and_ranges)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct conf_object *object = NULL;
        const struct conf_field *field = NULL;
        struct buf out;
        buf_init(&out, 1000);
        ck_assert(conf_schema_lookup(slice_from(texts[i].path), &object, &field));
        ck_assert_str_eq(conf_schema_type_text(field), texts[i].type);
        ck_assert_msg(conf_schema_default_text(field, &out) == (texts[i].preset != NULL), "%s",
                      texts[i].path);
        ck_assert(texts[i].preset == NULL || strcmp(out.data, texts[i].preset) == 0);
        buf_clear(&out);
        ck_assert_msg(conf_schema_range_text(field, &out) == (texts[i].range != NULL), "%s",
                      texts[i].path);
        ck_assert_msg(texts[i].range == NULL || strcmp(out.data, texts[i].range) == 0, "%s: %s",
                      texts[i].path, out.data);
        buf_fini(&out);
    }
}
END_TEST

static struct buf read_file(const char *path)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "cannot open %s (tests run at the top of the source)", path);
    size_t n = 1;
    while (n > 0 && buf_reserve(&text, 4096)) {
        n = fread(text.data + text.len, 1, 4096, file);
        text.len += n;
    }
    (void)fclose(file);
    return text;
}

/* LBD_WRITE_REFERENCE=1 writes the file instead of comparing it. */
START_TEST(the_reference_is_up_to_date)
{
    static const char path[] = "docs/reference.md";
    struct buf want;
    buf_init(&want, 1024 * 1024);
    conf_schema_write_markdown(&want);
    ck_assert(!want.overflow);
    if (getenv("LBD_WRITE_REFERENCE") != NULL) {
        FILE *file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        (void)fwrite(want.data, 1, want.len, file);
        ck_assert_int_eq(fclose(file), 0);
    }
    struct buf is = read_file(path);
    ck_assert_msg(slice_eq(buf_slice(&is), buf_slice(&want)),
                  "%s is not what conf_schema.def says: run LBD_WRITE_REFERENCE=1 on this test",
                  path);
    buf_fini(&is);
    buf_fini(&want);
}
END_TEST

/* Between its two marks the manual page is what the table says; LBD_WRITE_REFERENCE=1 puts it
 * there. */
START_TEST(the_manual_page_is_up_to_date)
{
    static const char path[] = "docs/man/lbd.json.5";
    static const char begin[] = ".\\\" the table of settings begins; made by test_conf_schema\n";
    static const char end[] = ".\\\" the table of settings ends\n";
    struct buf want;
    buf_init(&want, 1024 * 1024);
    conf_schema_write_mdoc(&want);
    ck_assert(!want.overflow);
    struct buf is = read_file(path);
    (void)buf_append_char(&is, '\0');
    const char *from = strstr(is.data, begin);
    const char *to = strstr(is.data, end);
    ck_assert_msg(from != NULL && to != NULL && from < to, "%s has lost its marks", path);
    from += strlen(begin);
    if (getenv("LBD_WRITE_REFERENCE") != NULL) {
        FILE *file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        (void)fwrite(is.data, 1, (size_t)(from - is.data), file);
        (void)fwrite(want.data, 1, want.len, file);
        (void)fputs(to, file);
        ck_assert_int_eq(fclose(file), 0);
    } else {
        ck_assert_msg(slice_eq(slice_of(from, (size_t)(to - from)), buf_slice(&want)),
                      "%s is not what conf_schema.def says: run LBD_WRITE_REFERENCE=1 on this test",
                      path);
    }
    buf_fini(&is);
    buf_fini(&want);
}
END_TEST

static void look_documented(const struct conf_object *object, const struct conf_field *field,
                            const char *path)
{
    static struct buf text;
    if (text.data == NULL) {
        buf_init(&text, 1024 * 1024);
        conf_schema_write_markdown(&text);
    }
    char row[100];
    (void)object;
    (void)snprintf(row, sizeof row, "\n| `%s` | %s | ", field->key, conf_schema_type_text(field));
    ck_assert_msg(strstr(text.data, row) != NULL, "%s", path);
}

/* A heading is what links go to. */
START_TEST(no_section_is_there_twice)
{
    struct buf text;
    buf_init(&text, (size_t)1024 * 1024);
    conf_schema_write_markdown(&text);
    struct slice rest = buf_slice(&text);
    struct slice line;
    size_t headings = 0;
    while (slice_split(&rest, '\n', &line)) {
        if (slice_starts(line, SLICE("## "))) {
            char whole[200];
            (void)snprintf(whole, sizeof whole, "\n%.*s\n", SLICE_ARG(line));
            const char *first = strstr(text.data, whole);
            ck_assert_ptr_nonnull(first);
            ck_assert_msg(strstr(first + 1, whole) == NULL, "twice: %s", whole);
            headings++;
        }
        if (rest.len == 0) {
            break;
        }
    }
    ck_assert_uint_gt(headings, 50);
    buf_fini(&text);
}
END_TEST

START_TEST(every_key_is_in_the_reference)
{
    walk_all(look_documented);
}
END_TEST

/* The definition of an object in the JSON Schema, and of those below it. */
static void compare_schema(const struct conf_object *object, const struct json *definitions)
{
    char name[CONF_SCHEMA_NAME_MAX];
    conf_schema_object_name(object, name);
    const struct json *schema = json_get(definitions, slice_from(name));
    ck_assert_msg(schema != NULL, "%s", name);
    const struct json *properties = json_get(schema, SLICE("properties"));
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        const struct json *property = json_get(properties, slice_from(field->key));
        ck_assert_msg(property != NULL, "%s", field->key);
        ck_assert(json_get(property, SLICE("description")) != NULL);
        if (field->object != NULL) {
            compare_schema(field->object, definitions);
        }
        struct buf preset;
        buf_init(&preset, 1000);
        if (conf_schema_default_text(field, &preset)) {
            struct json *want = json_parse_trusted(buf_slice(&preset));
            ck_assert_msg(json_equal(want, json_get(property, SLICE("default"))), "%s", field->key);
            json_free(want);
        }
        buf_fini(&preset);
    }
    ck_assert(json_is(json_get(schema, SLICE("additionalProperties")), JSON_BOOL));
}

START_TEST(the_json_schema_says_the_same)
{
    struct buf text;
    struct json_error error;
    buf_init(&text, 1024 * 1024);
    conf_schema_write_json(&text);
    ck_assert(!text.overflow);
    struct json *schema = json_parse(buf_slice(&text), JSON_STRICT, &json_limits_document, &error);
    ck_assert_msg(schema != NULL, "%s", error.text);
    compare_schema(conf_schema_document, json_get(schema, SLICE("$defs")));
    compare_schema(conf_schema_daemon, json_get(schema, SLICE("$defs")));
    json_free(schema);
    buf_fini(&text);
}
END_TEST

UNIT_TESTS("conf_schema", every_row_is_complete, looks_up_by_path, says_types_defaults_and_ranges,
           the_reference_is_up_to_date, the_manual_page_is_up_to_date, no_section_is_there_twice,
           every_key_is_in_the_reference, the_json_schema_says_the_same)
