#include "conf/conf_diff.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static struct conf_document *must_read(const char *text)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(document != NULL, "%s: %.*s", text, SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return document;
}

static const char start_text[] =
    "{\"schema\":1,\"pools\":{\"a\":{\"retries\":2,\"timeouts\":{\"connect\":\"1s\"},\"servers\":{"
    "\"x\":{\"address\":\"h:1\",\"weight\":100},\"y\":{\"address\":\"h:2\"}}},\"b\":{}}}";

/* Every change as a line, joined by newlines. */
static const struct {
    const char *after;
    const char *want;
} cases[] = {
    {start_text, ""},
    {"{\"schema\":1,\"pools\":{\"a\":{\"retries\":2,\"timeouts\":{\"connect\":\"1s\"},\"servers\":{"
     "\"x\":{\"address\":\"h:1\",\"weight\":50},\"y\":{\"address\":\"h:2\"}}},\"b\":{}}}",
     "pools/a/servers/x/weight: 100 -> 50\n"},
    {"{\"pools\":{\"a\":{\"timeouts\":{\"connect\":\"2s\",\"idle\":\"3s\"},\"servers\":{"
     "\"x\":{\"address\":\"h:1\",\"weight\":100},\"z\":{\"address\":\"h:2\"}}},\"c\":{}}}",
     "schema: no longer set, was 1\n"
     "pools/a/retries: no longer set, was 2\n"
     "pools/a/timeouts/connect: \"1s\" -> \"2s\"\n"
     "pools/a/timeouts/idle: set to \"3s\"\n"
     "pools/a/servers/y: removed\n"
     "pools/a/servers/z: added\n"
     "pools/b: removed\n"
     "pools/c: added\n"},
    {"{}", "schema: no longer set, was 1\npools/a: removed\npools/b: removed\n"},
};

START_TEST(tells_changes_in_words)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_document *before = must_read(start_text);
        struct conf_document *after = must_read(cases[i].after);
        struct conf_diff diff;
        struct buf lines;
        buf_init(&lines, 65536);
        conf_diff_init(&diff);
        conf_diff_documents(&diff, before, after);
        for (uint32_t j = 0; j < diff.count; j++) {
            conf_diff_describe(&diff.changes[j], &lines);
            (void)buf_append_char(&lines, '\n');
        }
        ck_assert_msg(slice_eq(buf_slice(&lines), slice_from(cases[i].want)), "%s\nnot %s",
                      lines.data, cases[i].want);
        ck_assert_uint_eq(diff.total, diff.count);
        conf_diff_fini(&diff);
        buf_fini(&lines);
        conf_document_unref(before);
        conf_document_unref(after);
    }
}
END_TEST

START_TEST(gives_old_and_new_values)
{
    struct conf_document *before = must_read("{\"pools\":{\"a\":{\"retries\":1}}}");
    struct conf_document *after =
        must_read("{\"pools\":{\"a\":{\"retries\":2},\"b\":{\"servers\":{}}}}");
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, before, after);
    ck_assert_uint_eq(diff.count, 2);
    ck_assert(diff.changes[0].is_setting && diff.changes[0].kind == CONF_CHANGED);
    ck_assert(slice_eq(diff.changes[0].before, SLICE("1")));
    ck_assert(slice_eq(diff.changes[0].after, SLICE("2")));
    ck_assert(!diff.changes[1].is_setting && diff.changes[1].kind == CONF_ADDED);
    ck_assert(slice_eq(diff.changes[1].pointer, SLICE("/pools/b")));
    ck_assert(slice_eq(diff.changes[1].after, SLICE("{\"servers\":{}}")));
    ck_assert_uint_eq(diff.changes[1].before.len, 0);
    conf_diff_fini(&diff);
    conf_document_unref(before);
    conf_document_unref(after);
}
END_TEST

START_TEST(counts_what_it_does_not_list)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    (void)buf_append_text(&text, "{\"pools\":{");
    for (int i = 0; i < CONF_DIFF_MAX + 7; i++) {
        (void)buf_printf(&text, "%s\"p%d\":{}", i > 0 ? "," : "", i);
    }
    (void)buf_append_text(&text, "}}");
    struct conf_document *before = must_read("{\"pools\":{}}");
    struct conf_document *after = must_read(text.data);
    struct conf_diff diff;
    conf_diff_init(&diff);
    conf_diff_documents(&diff, before, after);
    ck_assert_uint_eq(diff.count, CONF_DIFF_MAX);
    ck_assert_uint_eq(diff.total, CONF_DIFF_MAX + 7);
    conf_diff_fini(&diff);
    conf_diff_init(&diff); /* asked to, it does not look further */
    diff.stop_at = 10;
    conf_diff_documents(&diff, before, after);
    ck_assert_uint_eq(diff.count, 10);
    ck_assert_uint_eq(diff.total, 10);
    conf_diff_fini(&diff);
    conf_document_unref(before);
    conf_document_unref(after);
    buf_fini(&text);
}
END_TEST

START_TEST(long_values_are_cut_between_characters)
{
    const struct conf_change change = {
        .kind = CONF_ADDED,
        .is_setting = true,
        .pointer = SLICE("/a/b"),
        .after = SLICE("\"23456789012345678901234567890123456789012345678901234567890"
                       "\xc3\xa9\xc3\xa9\""),
    };
    struct buf line;
    buf_init(&line, 1000);
    conf_diff_describe(&change, &line);
    ck_assert_str_eq(line.data,
                     "a/b: set to "
                     "\"23456789012345678901234567890123456789012345678901234567890...\"");
    buf_fini(&line);
}
END_TEST

UNIT_TESTS("conf_diff", tells_changes_in_words, gives_old_and_new_values,
           counts_what_it_does_not_list, long_values_are_cut_between_characters)
