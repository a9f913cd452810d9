#include "conf/conf_document.h"
#include "conf/conf_part.h"
#include "tests/unit/unit.h"

enum { POOLS = 50, SERVERS = 40 };

static struct conf_errors errors;
static struct conf_document *start;

static void setup(void)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    conf_errors_init(&errors);
    (void)buf_append_text(&text, "{\"pools\":{");
    for (int p = 0; p < POOLS; p++) {
        (void)buf_printf(&text, "%s\"p%02d\":{\"servers\":{", p > 0 ? "," : "", p);
        for (int s = 0; s < SERVERS; s++) {
            (void)buf_printf(&text, "%s\"s%02d\":{\"address\":\"h:%d\"}", s > 0 ? "," : "", s,
                             s + 1);
        }
        (void)buf_append_text(&text, "}}");
    }
    (void)buf_append_text(&text, "}}");
    start = conf_document_from_text(buf_slice(&text), &errors);
    ck_assert_ptr_nonnull(start);
    buf_fini(&text);
}

static void teardown(void)
{
    conf_document_unref(start);
    conf_errors_fini(&errors);
}

static struct conf_document *edit(enum conf_edit kind, const char *pointer, const char *body)
{
    struct err err;
    struct conf_document *made =
        conf_document_edit(start, kind, slice_from(pointer), slice_from(body), &errors, &err);
    ck_assert_msg(made != NULL, "%s", err.text);
    return made;
}

static const struct conf_list *pools_of(const struct conf_document *document)
{
    uint32_t index = 0;
    ck_assert_ptr_nonnull(conf_part_map(conf_schema_document, SLICE("pools"), &index));
    return conf_document_root(document)->lists[index];
}

static uint32_t count_shared(const struct conf_list *a, const struct conf_list *b)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct conf_part *other = conf_part_find(b, a->parts[i]->name);
        shared += other == a->parts[i] ? 1 : 0;
    }
    return shared;
}

/* However many there are, an edit of one server makes one server, its pool and the root anew. */
START_TEST(an_edit_makes_only_what_it_touches)
{
    struct conf_document *made = edit(CONF_EDIT_MERGE, "/pools/p07/servers/s03", "{\"weight\":9}");
    const struct conf_list *before = pools_of(start);
    const struct conf_list *after = pools_of(made);
    ck_assert_uint_eq(count_shared(before, after), POOLS - 1);
    const struct conf_part *old_pool = conf_part_find(before, SLICE("p07"));
    const struct conf_part *new_pool = conf_part_find(after, SLICE("p07"));
    ck_assert_uint_eq(count_shared(old_pool->lists[0], new_pool->lists[0]), SERVERS - 1);

    const struct conf *conf = conf_document_conf(made);
    const struct conf_pool *untouched = conf_pool_find(conf, SLICE("p06"));
    ck_assert_ptr_eq(untouched->servers,
                     conf_pool_find(conf_document_conf(start), SLICE("p06"))->servers);
    conf_document_unref(made);
}
END_TEST

/* The versions handed out say how much was read: one server and its pool. */
START_TEST(an_edit_reads_only_what_it_touches)
{
    struct conf_document *first = edit(CONF_EDIT_MERGE, "/pools/p07/servers/s03", "{\"weight\":9}");
    struct conf_document *second =
        edit(CONF_EDIT_MERGE, "/pools/p08/servers/s03", "{\"weight\":9}");
    const struct conf_pool *a = conf_pool_find(conf_document_conf(first), SLICE("p07"));
    const struct conf_pool *b = conf_pool_find(conf_document_conf(second), SLICE("p08"));
    ck_assert_uint_eq(b->version - a->version, 2);
    ck_assert_uint_eq(b->version - b->servers[3].version, 1);
    conf_document_unref(first);
    conf_document_unref(second);
}
END_TEST

/* A whole text that is put in place of another shares what did not change. */
START_TEST(a_whole_text_shares_what_is_the_same)
{
    struct conf_document *changed = edit(CONF_EDIT_DELETE, "/pools/p07/servers/s03", "");
    struct buf text;
    buf_init(&text, 1024 * 1024);
    ck_assert(conf_document_text(changed, SLICE_NONE, &text));
    struct conf_document *made = edit(CONF_EDIT_PUT, "", text.data);
    const struct conf_list *before = pools_of(start);
    const struct conf_list *after = pools_of(made);
    ck_assert_uint_eq(count_shared(before, after), POOLS - 1);
    ck_assert_uint_eq(count_shared(conf_part_find(before, SLICE("p07"))->lists[0],
                                   conf_part_find(after, SLICE("p07"))->lists[0]),
                      SERVERS - 1);
    ck_assert(conf_document_same(made, changed));
    buf_fini(&text);
    conf_document_unref(made);
    conf_document_unref(changed);
}
END_TEST

/* Names of a mail map are patterns: what is written is read again as the same. */
START_TEST(names_with_backslashes_are_escaped)
{
    static const char *const text =
        "{\"mail_maps\":{\"m\":{\"type\":\"regex\",\"entries\":{\"^a\\\\.b\\\"c$\":{\"server\":\"s\"},"
        "\"z\":{\"server\":\"s\"}}}}}";
    struct buf first;
    struct buf second;
    buf_init(&first, 4096);
    buf_init(&second, 4096);
    struct conf_document *made = conf_document_from_text(slice_from(text), &errors);
    ck_assert_ptr_nonnull(made);
    conf_part_write(conf_document_root(made), &first);
    ck_assert_uint_ge(conf_document_bytes(made), first.len);
    struct conf_document *again = conf_document_from_text(buf_slice(&first), &errors);
    ck_assert_msg(again != NULL, "%.*s", SLICE_ARG(buf_slice(&first)));
    conf_part_write(conf_document_root(again), &second);
    ck_assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    conf_document_unref(again);
    conf_document_unref(made);
    buf_fini(&second);
    buf_fini(&first);
}
END_TEST

START_TEST(counts_the_bytes_of_its_text)
{
    static const char *const pointers[] = {"", "/pools/p07", "/pools/p07/servers/s03"};
    struct conf_document *made =
        edit(CONF_EDIT_MERGE, "/pools/p07", "{\"retries\":3,\"servers\":{\"s01\":null}}");
    const struct conf_part *pool = conf_part_find(pools_of(made), SLICE("p07"));
    const struct conf_part *parts[] = {conf_document_root(made), pool,
                                       conf_part_find(pool->lists[0], SLICE("s03"))};
    for (size_t i = 0; i < 3; i++) {
        struct buf text;
        buf_init(&text, 1024 * 1024);
        ck_assert(conf_document_text(made, slice_from(pointers[i]), &text));
        /* Never less than it is, and nearly the same: commas are counted for the last member too.
         */
        ck_assert_uint_ge(parts[i]->bytes, text.len);
        ck_assert_uint_le(parts[i]->bytes, text.len + 2 * POOLS + 4);
        buf_fini(&text);
    }
    conf_document_unref(made);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_edit_makes_only_what_it_touches);
    tcase_add_test(tcase, an_edit_reads_only_what_it_touches);
    tcase_add_test(tcase, a_whole_text_shares_what_is_the_same);
    tcase_add_test(tcase, names_with_backslashes_are_escaped);
    tcase_add_test(tcase, counts_the_bytes_of_its_text);
}

UNIT_MAIN("conf_part", add_all)
