#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

static const char start_text[] =
    "{\"schema\":1,\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:80\"],\"default_pool\":\"web\"}},"
    "\"pools\":{\"api\":{\"servers\":{\"a\":{\"address\":\"h:1\"},\"b\":{\"address\":\"h:2\","
    "\"weight\":5}}},\"web\":{\"retries\":2,\"servers\":{\"x\":{\"address\":\"h:3\"}}}}}";

static struct conf_errors errors;
static struct err err;
static struct conf_document *start;

static void setup(void)
{
    conf_errors_init(&errors);
    start = conf_document_from_text(slice_from(start_text), &errors);
    ck_assert_ptr_nonnull(start);
    conf_errors_clear(&errors);
}

static void teardown(void)
{
    conf_document_unref(start);
    conf_errors_fini(&errors);
}

static void check_text(const struct conf_document *document, const char *pointer, const char *want)
{
    struct buf text;
    buf_init(&text, 65536);
    ck_assert_msg(conf_document_text(document, slice_from(pointer), &text), "%s", pointer);
    ck_assert_msg(slice_eq(buf_slice(&text), slice_from(want)), "%s: %s\nnot %s", pointer,
                  text.data, want);
    buf_fini(&text);
}

static struct conf_document *edit(enum conf_edit kind, const char *pointer, const char *body)
{
    conf_errors_clear(&errors);
    return conf_document_edit(start, kind, slice_from(pointer), slice_from(body), &errors, &err);
}

START_TEST(text_is_canonical)
{
    check_text(start, "", start_text);
    check_text(start, "/pools/api/servers/b", "{\"address\":\"h:2\",\"weight\":5}");
    check_text(start, "/pools/web/servers", "{\"x\":{\"address\":\"h:3\"}}");
    check_text(start, "/pools/web", "{\"retries\":2,\"servers\":{\"x\":{\"address\":\"h:3\"}}}");
    check_text(start, "/routes", "{}");
    struct conf_document *same = conf_document_from_text(
        SLICE(
            "{ \"$schema\": \"x\", \"pools\":{\"web\":{\"servers\":{\"x\":{\"address\":\"h:3\"}},"
            "\"retries\":2.0},\"api\":{\"servers\":{\"b\":{\"weight\":5,\"address\":\"h:\\u0032\"},"
            "\"a\":{\"address\":\"h:1\"}}}}, \"schema\":1, \"listeners\":{\"web\":{"
            "\"default_pool\":\"web\",\"bind\":[\"127.0.0.1:80\"]}}}"),
        &errors);
    ck_assert_ptr_nonnull(same);
    ck_assert(conf_document_same(start, same));
    check_text(same, "", start_text);
    conf_document_unref(same);
}
END_TEST

START_TEST(knows_what_is_there)
{
    static const char *const there[] = {"",
                                        "/pools",
                                        "/routes",
                                        "/pools/api",
                                        "/pools/api/servers",
                                        "/pools/api/servers/a",
                                        "/listeners/web"};
    static const char *const not_there[] = {"/",
                                            "/daemon",
                                            "/schema",
                                            "/pools/none",
                                            "/pools/none/servers",
                                            "/pools/api/servers/none",
                                            "/pools/api/retries",
                                            "/pools/api/servers/a/weight",
                                            "/pools/api/servers/a/weight/x",
                                            "pools",
                                            "/pools/",
                                            "/pools/~",
                                            "/listeners/web/servers"};
    struct buf text;
    buf_init(&text, 65536);
    for (size_t i = 0; i < ARRAY_LEN(there); i++) {
        ck_assert_msg(conf_document_has(start, slice_from(there[i])), "%s", there[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(not_there); i++) {
        ck_assert_msg(!conf_document_has(start, slice_from(not_there[i])), "%s", not_there[i]);
        ck_assert(!conf_document_text(start, slice_from(not_there[i]), &text));
    }
    buf_fini(&text);
}
END_TEST

static const struct {
    enum conf_edit kind;
    const char *pointer;
    const char *body;
    const char *shown; /* what is looked at afterwards */
    const char *want;
} edits[] = {
    {CONF_EDIT_MERGE, "/pools/api/servers/a", "{\"weight\":50}", "/pools/api/servers/a",
     "{\"address\":\"h:1\",\"weight\":50}"},
    {CONF_EDIT_MERGE, "/pools/api/servers/b", "{\"weight\":null}", "/pools/api/servers/b",
     "{\"address\":\"h:2\"}"},
    {CONF_EDIT_MERGE, "/pools/api", "{\"servers\":{\"a\":null,\"c\":{\"address\":\"h:9\"}}}",
     "/pools/api",
     "{\"servers\":{\"b\":{\"address\":\"h:2\",\"weight\":5},\"c\":{\"address\":\"h:9\"}}}"},
    {CONF_EDIT_MERGE, "/pools/api",
     "{\"retries\":0,\"timeouts\":{\"connect\":\"1s\",\"idle\":null}}", "/pools/api",
     "{\"retries\":0,\"timeouts\":{\"connect\":\"1s\"},\"servers\":{\"a\":{\"address\":\"h:1\"},"
     "\"b\":{\"address\":\"h:2\",\"weight\":5}}}"},
    {CONF_EDIT_MERGE, "/pools/api", "{\"servers\":null}", "/pools/api", "{}"},
    {CONF_EDIT_MERGE, "/pools", "{\"api\":null}", "/pools",
     "{\"web\":{\"retries\":2,\"servers\":{\"x\":{\"address\":\"h:3\"}}}}"},
    {CONF_EDIT_MERGE, "",
     "{\"pools\":{\"web\":{\"servers\":{\"x\":{\"weight\":1}}}},\"schema\":null}", "/pools/web",
     "{\"retries\":2,\"servers\":{\"x\":{\"address\":\"h:3\",\"weight\":1}}}"},
    {CONF_EDIT_PUT, "/pools/api/servers/b", "{\"address\":\"h:7\"}", "/pools/api/servers/b",
     "{\"address\":\"h:7\"}"},
    {CONF_EDIT_PUT, "/pools/api/servers/new", "{\"address\":\"h:7\"}", "/pools/api/servers",
     "{\"a\":{\"address\":\"h:1\"},\"b\":{\"address\":\"h:2\",\"weight\":5},\"new\":{\"address\":\"h:7\"}}"},
    {CONF_EDIT_PUT, "/pools/api/servers", "{\"z\":{\"address\":\"h:7\"}}", "/pools/api",
     "{\"servers\":{\"z\":{\"address\":\"h:7\"}}}"},
    {CONF_EDIT_PUT, "/pools/new", "{}", "/pools/new", "{}"},
    {CONF_EDIT_PUT, "/health_checks/h", "{\"type\":\"tcp\"}", "/health_checks",
     "{\"h\":{\"type\":\"tcp\"}}"},
    {CONF_EDIT_PUT, "/pools/api", "{\"servers\":{}}", "/pools/api", "{\"servers\":{}}"},
    {CONF_EDIT_PUT, "", "{}", "", "{}"},
    {CONF_EDIT_DELETE, "/pools/api/servers/a", "", "/pools/api/servers",
     "{\"b\":{\"address\":\"h:2\",\"weight\":5}}"},
    {CONF_EDIT_DELETE, "/pools/api", "", "/pools",
     "{\"web\":{\"retries\":2,\"servers\":{\"x\":{\"address\":\"h:3\"}}}}"},
    {CONF_EDIT_DELETE, "/listeners/web", "", "/listeners", "{}"},
};

START_TEST(edits_make_new_documents)
{
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct conf_document *made = edit(edits[i].kind, edits[i].pointer, edits[i].body);
        ck_assert_msg(made != NULL, "%s %s: %s %.*s", edits[i].pointer, edits[i].body, err.text,
                      SLICE_ARG(errors.errors[0].detail));
        ck_assert_ptr_ne(made, start);
        ck_assert(!conf_document_same(made, start));
        check_text(made, edits[i].shown, edits[i].want);
        check_text(start, "", start_text); /* the old one stays what it was */

        /* Nothing is lost on the way through text, and counting bytes kept up. */
        struct buf text;
        buf_init(&text, 65536);
        ck_assert(conf_document_text(made, SLICE_NONE, &text));
        struct conf_document *again = conf_document_from_text(buf_slice(&text), &errors);
        ck_assert(again != NULL && conf_document_same(made, again));
        buf_fini(&text);
        conf_document_unref(again);
        conf_document_unref(made);
    }
}
END_TEST

START_TEST(edits_that_change_nothing_give_the_same)
{
    static const struct {
        enum conf_edit kind;
        const char *pointer;
        const char *body;
    } idle[] = {
        {CONF_EDIT_MERGE, "", "{}"},
        {CONF_EDIT_MERGE, "/pools/api", "{\"retries\":null}"},
        {CONF_EDIT_MERGE, "/pools/api/servers", "{\"none\":null}"},
        {CONF_EDIT_MERGE, "/pools/api/servers/b", "{\"weight\":5.0}"},
        {CONF_EDIT_PUT, "", start_text},
        {CONF_EDIT_PUT, "/pools/web/servers/x", "{ \"address\" : \"h:3\" }"},
        {CONF_EDIT_PUT, "/pools/web", "{\"servers\":{\"x\":{\"address\":\"h:3\"}},\"retries\":2}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
        struct conf_document *made = edit(idle[i].kind, idle[i].pointer, idle[i].body);
        ck_assert_msg(made == start, "%s %s", idle[i].pointer, idle[i].body);
        conf_document_unref(made);
    }
}
END_TEST

static const struct {
    enum conf_edit kind;
    const char *pointer;
    const char *body;
    enum err_kind failure;
    const char *where; /* pointer of the first error, or NULL: no entry */
    uint32_t column;
} failures[] = {
    {CONF_EDIT_MERGE, "/pools/none", "{}", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_MERGE, "/pools/none/servers/a", "{}", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_PUT, "/pools/none/servers/a", "{\"address\":\"h:1\"}", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_PUT, "/nothing", "{}", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_PUT, "/pools/api/servers/a/weight", "5", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_PUT, "/daemon", "{}", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_DELETE, "/pools/none", "", ERR_NOT_FOUND, NULL, 0},
    {CONF_EDIT_DELETE, "/pools", "", ERR_INVALID, NULL, 0},
    {CONF_EDIT_DELETE, "", "", ERR_INVALID, NULL, 0},
    {CONF_EDIT_DELETE, "/pools/web", "", ERR_CONFLICT, "/listeners/web/default_pool", 0},
    {CONF_EDIT_PUT, "/pools/api", "{\"x\" 1}", ERR_MALFORMED, "", 6},
    {CONF_EDIT_PUT, "/pools/api", "{} // no", ERR_MALFORMED, "", 4},
    {CONF_EDIT_PUT, "/pools/api", "", ERR_MALFORMED, "", 1},
    {CONF_EDIT_PUT, "/pools/BAD", "{}", ERR_INVALID, "/pools/BAD", 1},
    {CONF_EDIT_PUT, "/pools/api", "{\"servers\":{\"a\":{\"address\":\"x\"}}}", ERR_INVALID,
     "/pools/api/servers/a/address", 28},
    {CONF_EDIT_MERGE, "/pools/api/servers/a", "{\"wieght\":5}", ERR_INVALID,
     "/pools/api/servers/a/wieght", 2},
    {CONF_EDIT_MERGE, "/pools/api/servers/a", "{\"address\":null}", ERR_INVALID,
     "/pools/api/servers/a/address", 12},
    {CONF_EDIT_MERGE, "/pools/api/servers/a", "7", ERR_INVALID, "/pools/api/servers/a", 1},
    {CONF_EDIT_MERGE, "/pools/api", "{\"servers\":[]}", ERR_INVALID, "/pools/api/servers", 12},
    {CONF_EDIT_MERGE, "/pools", "[]", ERR_INVALID, "/pools", 1},
    {CONF_EDIT_MERGE, "", "{\"pools\":{\"web\":null}}", ERR_INVALID, "/listeners/web/default_pool",
     1},
    {CONF_EDIT_PUT, "/listeners/web", "{\"bind\":[\"127.0.0.1:80\"],\"default_pool\":\"wbe\"}",
     ERR_INVALID, "/listeners/web/default_pool", 41},
    {CONF_EDIT_PUT, "", "{\"daemon\":{}}", ERR_INVALID, "/daemon", 2},
};

START_TEST(failures_say_why_and_change_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct conf_document *made = edit(failures[i].kind, failures[i].pointer, failures[i].body);
        ck_assert_msg(made == NULL, "%s %s", failures[i].pointer, failures[i].body);
        ck_assert_msg(err.kind == failures[i].failure, "%s %s: %d %s", failures[i].pointer,
                      failures[i].body, (int)err.kind, err.text);
        ck_assert_uint_eq(errors.error_count, failures[i].where != NULL ? 1 : 0);
        if (failures[i].where != NULL) {
            ck_assert_msg(slice_eq(errors.errors[0].pointer, slice_from(failures[i].where)),
                          "%s %s: %.*s", failures[i].pointer, failures[i].body,
                          SLICE_ARG(errors.errors[0].pointer));
            ck_assert_msg(errors.errors[0].column == failures[i].column, "%s %s: column %u",
                          failures[i].pointer, failures[i].body, errors.errors[0].column);
        }
        check_text(start, "", start_text);
    }
}
END_TEST

START_TEST(bodies_have_limits)
{
    struct buf body;
    buf_init(&body, 4 * 1024 * 1024);
    (void)buf_append_text(&body, "{\"meta\":{\"note\":\"");
    while (body.len < json_limits_resource.bytes) {
        (void)buf_append_text(&body, "................................................");
    }
    (void)buf_append_text(&body, "\"}}");
    ck_assert_ptr_null(edit(CONF_EDIT_PUT, "/pools/api", body.data));
    ck_assert_int_eq(err.kind, ERR_TOO_LARGE);
    buf_fini(&body);
}
END_TEST

/* What an edit does not touch is the same object, and equal versions say so. */
START_TEST(documents_share_what_is_the_same)
{
    struct conf_document *made = edit(CONF_EDIT_MERGE, "/pools/api/servers/a", "{\"weight\":7}");
    const struct conf *old = conf_document_conf(start);
    const struct conf *new = conf_document_conf(made);
    const struct conf_pool *old_api = conf_pool_find(old, SLICE("api"));
    const struct conf_pool *new_api = conf_pool_find(new, SLICE("api"));
    const struct conf_pool *old_web = conf_pool_find(old, SLICE("web"));
    const struct conf_pool *new_web = conf_pool_find(new, SLICE("web"));
    ck_assert_ptr_eq(old->listeners, new->listeners);
    ck_assert_ptr_eq(old_web->servers, new_web->servers);
    ck_assert_uint_eq(old_web->version, new_web->version);
    ck_assert_uint_ne(old_api->version, new_api->version);
    ck_assert_uint_ne(old_api->servers[0].version, new_api->servers[0].version);
    ck_assert_uint_eq(old_api->servers[1].version, new_api->servers[1].version);
    ck_assert_uint_ne(new_api->version, 0);

    /* The old document may go first. */
    conf_document_unref(start);
    ck_assert_uint_eq(new_api->servers[0].weight, 7);
    ck_assert(slice_eq(new_api->servers[1].address, SLICE("h:2")));
    ck_assert(slice_eq(new->listeners[0].bind[0], SLICE("127.0.0.1:80")));
    start = made;
}
END_TEST

START_TEST(effective_values_show_defaults)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, 65536);
    json_write_init(&w, &text, JSON_COMPACT);
    ck_assert(conf_document_write_effective(start, SLICE("/pools/api/servers"), &w));
    ck_assert(
        slice_starts(buf_slice(&text),
                     SLICE("{\"a\":{\"address\":\"h:1\",\"weight\":100,\"max_connections\":0,")));
    ck_assert_ptr_nonnull(strstr(text.data, "\"b\":{\"address\":\"h:2\",\"weight\":5,"));
    ck_assert(!conf_document_write_effective(start, SLICE("/pools/none"), &w));
    buf_fini(&text);
}
END_TEST

START_TEST(random_edits_agree_with_reading_anew)
{
    /* The same merge done on one text and on the tree must give the same document. */
    uint32_t state = 7;
    for (int round = 0; round < 300; round++) {
        char body[200];
        char pointer[64];
        state = state * 1103515245U + 12345U;
        uint32_t server = state >> 16 & 7;
        uint32_t weight = (state >> 20 & 3) + 1;
        bool removes = (state >> 24 & 7) == 0;
        (void)snprintf(pointer, sizeof pointer, "/pools/api/servers");
        if (removes) {
            (void)snprintf(body, sizeof body, "{\"s%u\":null}", server);
        } else {
            (void)snprintf(body, sizeof body, "{\"s%u\":{\"address\":\"h:%u\",\"weight\":%u}}",
                           server, server + 1, weight);
        }
        struct conf_document *made = edit(CONF_EDIT_MERGE, pointer, body);
        ck_assert_ptr_nonnull(made);
        struct buf text;
        buf_init(&text, 65536);
        ck_assert(conf_document_text(made, SLICE_NONE, &text));
        struct conf_document *anew = conf_document_from_text(buf_slice(&text), &errors);
        ck_assert(conf_document_same(made, anew));
        const struct conf_pool *a = conf_pool_find(conf_document_conf(made), SLICE("api"));
        const struct conf_pool *b = conf_pool_find(conf_document_conf(anew), SLICE("api"));
        ck_assert_uint_eq(a->server_count, b->server_count);
        for (uint32_t i = 0; i < a->server_count; i++) {
            ck_assert(slice_eq(a->servers[i].name, b->servers[i].name));
            ck_assert_uint_eq(a->servers[i].weight, b->servers[i].weight);
        }
        buf_fini(&text);
        conf_document_unref(anew);
        conf_document_unref(start);
        start = made;
    }
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, text_is_canonical);
    tcase_add_test(tcase, knows_what_is_there);
    tcase_add_test(tcase, edits_make_new_documents);
    tcase_add_test(tcase, edits_that_change_nothing_give_the_same);
    tcase_add_test(tcase, failures_say_why_and_change_nothing);
    tcase_add_test(tcase, bodies_have_limits);
    tcase_add_test(tcase, documents_share_what_is_the_same);
    tcase_add_test(tcase, effective_values_show_defaults);
    tcase_add_test(tcase, random_edits_agree_with_reading_anew);
}

UNIT_MAIN("conf_document", add_all)
