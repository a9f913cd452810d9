/*
 * conf_schema_man - the table of settings for a terminal: the fourth part of conf_schema.h.
 *
 * docs/man/lbd.json.5 has the output of conf_schema_write_mdoc between two marks; a test compares
 * the two.
 *
 * Memory: keeps nothing. Threads: any.
 */
#include "conf/conf_schema.h"

enum { TEXT_BYTES_MAX = 4096, LINE_LEN_MAX = 78, WORD_LEN_MAX = 40 };

/* One character as roff takes it; `is_argument`: inside a macro's line. */
static void append_escaped(struct buf *out, char c, bool is_argument, bool *in_code)
{
    switch (c) {
    case '\\':
        (void)buf_append_text(out, "\\e");
        break;
    case '`': /* code in the documentation of the table */
        (void)buf_append_text(out, *in_code ? "\\(cq" : "\\(oq");
        *in_code = !*in_code;
        break;
    case '"':
        (void)buf_append_text(out, is_argument ? "\\(dq" : "\"");
        break;
    default:
        (void)buf_append_char(out, c);
        break;
    }
}

static bool ends_sentence(struct slice word)
{
    return word.len > 1 && (word.ptr[word.len - 1] == '.' || word.ptr[word.len - 1] == '?');
}

/* Lines of text: a new sentence on a new line, none too long. */
static void write_text(struct buf *out, struct slice text)
{
    struct buf word;
    struct slice part;
    size_t column = 0;
    bool in_code = false;
    buf_init(&word, TEXT_BYTES_MAX);
    while (text.len != 0 && slice_split(&text, ' ', &part)) {
        buf_clear(&word);
        if (part.len != 0 && (part.ptr[0] == '.' || part.ptr[0] == '\'')) {
            (void)buf_append_text(&word, "\\&"); /* no macro, wherever the line begins */
        }
        for (size_t i = 0; i < part.len; i++) {
            append_escaped(&word, part.ptr[i], false, &in_code);
        }
        if (column > 0) {
            bool fits = column + 1 + word.len <= LINE_LEN_MAX;
            (void)buf_append_char(out, fits ? ' ' : '\n');
            column = fits ? column + 1 : 0;
        }
        (void)buf_append_slice(out, buf_slice(&word));
        column += word.len;
        if (ends_sentence(part)) {
            (void)buf_append_char(out, '\n');
            column = 0;
        }
    }
    if (column > 0) {
        (void)buf_append_char(out, '\n');
    }
    buf_fini(&word);
}

static void write_argument(struct buf *out, struct slice text)
{
    bool in_code = false;
    size_t column = 0;
    (void)buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (column == WORD_LEN_MAX) { /* too long for a line: it may be broken here */
            (void)buf_append_text(out, "\\:");
            column = 0;
        }
        column = text.ptr[i] == ' ' ? 0 : column + 1;
        append_escaped(out, text.ptr[i], true, &in_code);
    }
    (void)buf_append_char(out, '"');
}

static void write_facts(const struct conf_field *field, struct buf *out)
{
    struct buf text;
    struct buf part;
    buf_init(&text, TEXT_BYTES_MAX);
    buf_init(&part, TEXT_BYTES_MAX);
    if (conf_schema_range_text(field, &part)) {
        bool is_one_of = slice_starts(buf_slice(&part), SLICE("one of"));
        (void)buf_printf(&text, "%s%.*s. ",
                         is_one_of ? "" : "Allowed: ", SLICE_ARG(buf_slice(&part)));
        if (is_one_of) {
            text.data[0] = 'O';
        }
    }
    if (field->refers_to != NULL) {
        (void)buf_printf(&text, "The name of one of %s. ", field->refers_to);
    }
    if (field->only_when_key != NULL) {
        (void)buf_printf(&text, "Only when %s is \"%s\". ", field->only_when_key,
                         field->only_when_word);
    }
    buf_clear(&part);
    if (conf_schema_default_text(field, &part)) {
        (void)buf_printf(&text, "Default: %.*s. ", SLICE_ARG(buf_slice(&part)));
    }
    write_text(out, buf_slice(&text));
    buf_fini(&part);
    buf_fini(&text);
}

static void write_item(const struct conf_field *field, struct buf *out)
{
    (void)buf_printf(out, ".It Ic %s Pq ", field->key);
    struct buf type;
    buf_init(&type, TEXT_BYTES_MAX);
    (void)buf_printf(&type, "%s%s", conf_schema_type_text(field),
                     field->required ? ", required" : "");
    write_argument(out, buf_slice(&type));
    (void)buf_append_char(out, '\n');
    write_text(out, slice_from(field->doc));
    write_facts(field, out);
    if (field->object == NULL) {
        (void)buf_append_text(out, "Example:\n.Ql ");
        write_argument(out, slice_from(field->example));
        (void)buf_append_char(out, '\n');
    }
    buf_fini(&type);
}

static void write_object(const struct conf_object *object, struct buf *out)
{
    (void)buf_printf(out, ".Ss %s%s\n", object->title, object->is_named ? ".NAME" : "");
    write_text(out, slice_from(object->doc));
    (void)buf_append_text(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < object->field_count; i++) {
        write_item(&object->fields[i], out);
    }
    (void)buf_append_text(out, ".El\n");
    for (size_t i = 0; i < object->field_count; i++) {
        if (conf_schema_has_section(&object->fields[i])) {
            write_object(object->fields[i].object, out);
        }
    }
}

void conf_schema_write_mdoc(struct buf *out)
{
    const struct conf_object *meta = NULL;
    const struct conf_field *field = NULL;
    bool found = conf_schema_lookup(SLICE("pools.meta"), &meta, &field);
    assert(found);
    write_object(conf_schema_document, out);
    write_object(meta, out);
    write_object(conf_schema_daemon, out);
}
