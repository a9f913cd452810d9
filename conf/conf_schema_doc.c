/*
 * conf_schema_doc - the table of settings for people: the second part of conf_schema.h.
 *
 * docs/reference.md is the output of conf_schema_write_markdown; a test compares the two.
 *
 * Memory: keeps nothing. Threads: any.
 */
#include "conf/conf_schema.h"

enum { CELL_BYTES_MAX = 4096 };

static const char introduction[] =
    "# Settings\n"
    "\n"
    "Every key that lbd knows, made from `conf/conf_schema.def`.\n"
    "\n"
    "The file is JSON with `//` and `/* */` comments and trailing commas; the API speaks strict "
    "JSON. An unknown key is\n"
    "an error, and all errors are told at once. Objects have names, which are their keys: a-z, "
    "0-9 and, inside, `.`, `_`\n"
    "and `-`, at most 63 characters. Every setting has a default unless it says *required*; "
    "empty means that nothing is set.\n"
    "\n"
    "- *duration*: a number with its unit, `ms`, `s`, `m`, `h` or `d`, also several, largest "
    "first: `\"250ms\"`, `\"1m30s\"`.\n"
    "- *size*: a number with `B`, `KiB`, `MiB`, `GiB` (powers of 1024) or `kB`, `MB`, `GB` "
    "(powers of 1000): `\"64KiB\"`.\n"
    "- *integer*: a number without unit or fraction.\n"
    "\n"
    "Beside the file may be a folder `conf.d`: its `*.json` and `*.jsonc` are read with it and the "
    "members of each map are\n"
    "put together. A name that is in two files is an error, and both places are told. `daemon` and "
    "`schema` belong to the\n"
    "main file.\n";

static void append_cell(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|') {
            (void)buf_append_char(out, '\\');
        }
        (void)buf_append_char(out, *c);
    }
}

static void append_code(struct buf *out, struct slice text)
{
    if (text.len > 0) {
        (void)buf_printf(out, "`%.*s`", SLICE_ARG(text));
    }
}

static void write_row(const struct conf_field *field, struct buf *out)
{
    struct buf cell;
    buf_init(&cell, CELL_BYTES_MAX);
    (void)buf_printf(out, "| `%s` | %s | ", field->key, conf_schema_type_text(field));
    if (field->required) {
        (void)buf_append_text(out, "*required*");
    } else {
        (void)conf_schema_default_text(field, &cell);
        append_code(out, buf_slice(&cell));
    }
    (void)buf_append_text(out, " | ");
    buf_clear(&cell);
    if (conf_schema_range_text(field, &cell)) {
        append_cell(out, cell.data);
    }
    (void)buf_append_text(out, " | ");
    append_cell(out, field->doc);
    if (field->only_when_key != NULL) {
        (void)buf_printf(out, " Only when `%s` is `\"%s\"`.", field->only_when_key,
                         field->only_when_word);
    }
    if (field->refers_to != NULL) {
        (void)buf_printf(out, " One of `%s`.", field->refers_to);
    }
    (void)buf_printf(out, " | `%s` | %s |\n", field->example, field->since);
    buf_fini(&cell);
}

static void write_table(const struct conf_object *object, struct buf *out)
{
    (void)buf_printf(out, "\n## %s%s\n\n%s\n\n", object->title, object->is_named ? ".NAME" : "",
                     object->doc);
    (void)buf_append_text(out, "| key | type | default | allowed | what | example | since |\n"
                               "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < object->field_count; i++) {
        write_row(&object->fields[i], out);
    }
    for (size_t i = 0; i < object->field_count; i++) {
        if (conf_schema_has_section(&object->fields[i])) {
            write_table(object->fields[i].object, out);
        }
    }
}

/* The object that all others share. */
static const struct conf_object *meta_object(void)
{
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    bool found = conf_schema_lookup(SLICE("pools.meta"), &object, &field);
    assert(found);
    return object;
}

void conf_schema_write_markdown(struct buf *out)
{
    (void)buf_append_text(out, introduction);
    write_table(conf_schema_document, out);
    write_table(meta_object(), out);
    write_table(conf_schema_daemon, out);
}
