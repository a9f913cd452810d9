#include <dirent.h>
#include <stdio.h>

#include "conf/conf_document.h"
#include "conf/conf_schema.h"
#include "tests/unit/unit.h"

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

static void check_file(const char *path)
{
    struct buf text = read_file(path);
    struct conf_errors errors;
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    conf_errors_init(&errors);
    bool ok = conf_document_from_file_text(buf_slice(&text), &document, &daemon, &errors);
    struct buf line;
    buf_init(&line, 4096);
    if (!ok) {
        conf_errors_describe(&errors.errors[0], slice_from(path), &line);
    }
    ck_assert_msg(ok, "%s", line.data);
    conf_document_unref(document);
    conf_daemon_free(daemon);
    conf_errors_fini(&errors);
    buf_fini(&line);
    buf_fini(&text);
}

START_TEST(every_example_is_valid)
{
    uint32_t count = 0;
    DIR *dir = opendir("conf/examples");
    ck_assert_msg(dir != NULL, "no conf/examples (tests run at the top of the source)");
    const struct dirent *entry = NULL;
    while ((entry = readdir(dir)) != NULL) {
        if (slice_ends(slice_from(entry->d_name), SLICE(".json"))) {
            char path[512];
            (void)snprintf(path, sizeof path, "conf/examples/%s", entry->d_name);
            check_file(path);
            count++;
        }
    }
    (void)closedir(dir);
    ck_assert_uint_ge(count, 5);
}
END_TEST

START_TEST(the_shipped_file_is_valid)
{
    check_file("conf/lbd.json");
}
END_TEST

/* Its commented-out parts are valid too: what a reader uncomments must work. */
START_TEST(the_shipped_file_is_valid_with_its_comments_taken_away)
{
    struct buf text = read_file("conf/lbd.json");
    for (size_t i = 0; i + 3 < text.len; i++) {
        bool begins_line = i > 0 && (text.data[i - 1] == ' ' || text.data[i - 1] == '\n');
        size_t back = i;
        while (back > 0 && text.data[back - 1] == ' ') {
            back--;
        }
        bool is_first = begins_line && back > 0 && text.data[back - 1] == '\n' && back != i;
        if (is_first && memcmp(text.data + i, "// ", 3) == 0 &&
            memchr("\" }", text.data[i + 3], 3) != NULL) {
            memcpy(text.data + i, "  ", 2);
        }
    }
    struct conf_errors errors;
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct buf line;
    buf_init(&line, 4096);
    conf_errors_init(&errors);
    bool ok = conf_document_from_file_text(buf_slice(&text), &document, &daemon, &errors);
    if (!ok) {
        conf_errors_describe(&errors.errors[0], SLICE("conf/lbd.json"), &line);
    }
    /* The pool of the sample route is left to the reader. */
    ck_assert_msg(!ok && errors.error_count == 1, "%s", line.data);
    ck_assert_msg(slice_eq(errors.errors[0].pointer, SLICE("/routes/api/action/pool")), "%s",
                  line.data);
    conf_document_unref(document);
    conf_daemon_free(daemon);
    conf_errors_fini(&errors);
    buf_fini(&line);
    buf_fini(&text);
}
END_TEST

/* The example of each setting in the reference is a value that is accepted there. */
static void append_examples(const struct conf_object *object, struct buf *out)
{
    bool first = true;
    (void)buf_append_char(out, '{');
    for (size_t i = 0; i < object->field_count; i++) {
        const struct conf_field *field = &object->fields[i];
        bool is_elsewhere =
            field->only_when_key != NULL && strcmp(field->only_when_word, "http") != 0;
        if (field->choice > 1 || field->type == CONF_TYPE_MAP || is_elsewhere) {
            continue; /* one of those that exclude each other */
        }
        bool is_word = slice_eq(slice_from(field->key), SLICE("type")) &&
                       slice_eq(slice_from(object->name), SLICE("health_check"));
        (void)buf_printf(out, "%s\"%s\":%s", first ? "" : ",", field->key,
                         is_word ? "\"http\"" : field->example);
        first = false;
    }
    (void)buf_append_char(out, '}');
}

static void check_examples(const struct conf_object *object)
{
    if (object != conf_schema_document && object->is_named) {
        struct buf text;
        struct conf_errors errors;
        const char *title = object->title;
        bool is_server = slice_eq(slice_from(object->name), SLICE("server"));
        bool is_entry = slice_eq(slice_from(object->name), SLICE("mail_map.entry"));
        const char *inside = is_server  ? "{\"pools\":{\"p\":{\"servers\":{\"x\":"
                             : is_entry ? "{\"mail_maps\":{\"p\":{\"entries\":{\"x\":"
                                        : NULL;
        buf_init(&text, 65536);
        if (inside != NULL) {
            (void)buf_append_text(&text, inside);
        } else {
            (void)buf_printf(&text, "{\"%s\":{\"x\":", title);
        }
        append_examples(object, &text);
        (void)buf_append_text(&text, inside != NULL ? "}}}}" : "}}");
        conf_errors_init(&errors);
        struct conf_document *document = conf_document_from_text(buf_slice(&text), &errors);
        for (uint32_t i = 0; i < errors.error_count; i++) { /* what they refer to is elsewhere */
            ck_assert_msg(slice_eq(errors.errors[i].code, SLICE("unknown-reference")),
                          "%s: %.*s: %.*s", text.data, SLICE_ARG(errors.errors[i].pointer),
                          SLICE_ARG(errors.errors[i].detail));
        }
        conf_document_unref(document);
        conf_errors_fini(&errors);
        buf_fini(&text);
    }
    for (size_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].object != NULL) {
            check_examples(object->fields[i].object);
        }
    }
}

START_TEST(every_example_of_the_reference_is_valid)
{
    check_examples(conf_schema_document);
}
END_TEST

UNIT_TESTS("conf_examples", every_example_is_valid, the_shipped_file_is_valid,
           the_shipped_file_is_valid_with_its_comments_taken_away,
           every_example_of_the_reference_is_valid)
