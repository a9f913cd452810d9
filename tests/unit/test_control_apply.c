#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/control.h"
#include "lbd/control/signals.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}}}";

static struct live_answer apply(struct live_control *live, enum conf_edit edit, const char *pointer,
                                const char *body, const char *if_match, bool is_dry_run)
{
    const struct control_change change = {
        .edit = edit,
        .pointer = slice_from(pointer),
        .body = slice_from(body),
        .if_match = slice_from(if_match),
        .is_dry_run = is_dry_run,
        .who = SLICE("test"),
    };
    return live_control_apply(live, &change);
}

START_TEST(a_change_is_done_when_all_workers_run_it)
{
    struct live_control live;
    live_control_start(&live, web, "");
    struct live_answer answer =
        live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a", "{\"weight\":5}");
    ck_assert(answer.is_changed);
    ck_assert(!answer.is_created);
    ck_assert(!answer.is_pending);
    ck_assert_uint_eq(answer.revision, 2);
    const struct control_facts *facts = control_facts(live.control);
    for (uint32_t i = 0; i < facts->workers; i++) {
        ck_assert_uint_eq(control_worker(live.control, i).revision, 2);
    }
    ck_assert_uint_eq(facts->applies[CONTROL_APPLIED], 1);
    ck_assert_uint_eq(facts->waiting, 0);

    answer = live_control_change(&live, CONF_EDIT_PUT, "/pools/q", "{}");
    ck_assert(answer.is_created);
    live_control_stop(&live);
}
END_TEST

START_TEST(what_changes_nothing_makes_no_revision)
{
    struct live_control live;
    live_control_start(&live, web, "");
    struct live_answer answer = live_control_change(&live, CONF_EDIT_PUT, "/pools/p/servers/a",
                                                    "{ \"address\" : \"127.0.0.1:1\" }");
    ck_assert(!answer.is_changed);
    ck_assert_uint_eq(answer.revision, 1);
    ck_assert_uint_eq(control_facts(live.control)->applies[CONTROL_UNCHANGED], 1);
    live_control_stop(&live);
}
END_TEST

static const struct {
    enum conf_edit edit;
    const char *pointer;
    const char *body;
    enum err_kind kind;
    const char *problem;
    const char *first_pointer;
} refused[] = {
    {CONF_EDIT_MERGE, "/pools/p", "{\"retries\":-1}", ERR_INVALID, "invalid-config",
     "/pools/p/retries"},
    {CONF_EDIT_MERGE, "/pools/p", "{", ERR_MALFORMED, "malformed-json", ""},
    {CONF_EDIT_MERGE, "/pools/no", "{}", ERR_NOT_FOUND, "not-found", ""},
    {CONF_EDIT_DELETE, "/pools/no", "", ERR_NOT_FOUND, "not-found", ""},
    {CONF_EDIT_DELETE, "/pools/p", "", ERR_CONFLICT, "in-use", "/listeners/web/default_pool"},
    {CONF_EDIT_MERGE, "", "{\"daemon\":{}}", ERR_INVALID, "invalid-config", "/daemon"},
    /* TEST-NET-1 is not on this machine */
    {CONF_EDIT_PUT, "/listeners/x", "{\"bind\":[\"192.0.2.1:80\"],\"protocol\":\"http\"}",
     ERR_CONFLICT, "cannot-listen", "/listeners/x/bind/0"},
};

START_TEST(a_refused_change_changes_nothing)
{
    struct live_control live;
    live_control_start(&live, web, "");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct conf_document *before = control_document(live.control);
        struct live_answer answer =
            apply(&live, refused[i].edit, refused[i].pointer, refused[i].body, "", false);
        ck_assert_msg(answer.err.kind == refused[i].kind, "%s: %d %s", refused[i].pointer,
                      (int)answer.err.kind, answer.err.text);
        ck_assert_str_eq(answer.problem, refused[i].problem);
        if (refused[i].first_pointer[0] != '\0') {
            ck_assert_str_eq(answer.first_pointer, refused[i].first_pointer);
        }
        ck_assert_ptr_eq(control_document(live.control), before);
        ck_assert_uint_eq(control_facts(live.control)->revision, 1);
        ck_assert(!control_facts(live.control)->last_apply_succeeded);
    }
    ck_assert_ptr_null(registry_find_listener(control_registry(live.control), SLICE("x")));
    live_control_stop(&live);
}
END_TEST

START_TEST(a_dry_run_does_all_but_the_change)
{
    struct live_control live;
    live_control_start(&live, web, "");
    struct live_answer answer = apply(&live, CONF_EDIT_PUT, "/pools/q",
                                      "{\"servers\":{\"z\":{\"address\":\"a:1\"}}}", "", true);
    ck_assert_int_eq(answer.err.kind, ERR_NONE);
    ck_assert(answer.is_changed);
    ck_assert(answer.is_created);
    ck_assert_uint_eq(answer.revision, 1);
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/q")));
    ck_assert_ptr_null(registry_find_pool(control_registry(live.control), SLICE("q")));
    ck_assert_uint_eq(control_facts(live.control)->applies[CONTROL_APPLIED], 0);

    answer = apply(&live, CONF_EDIT_PUT, "/listeners/x",
                   "{\"bind\":[\"192.0.2.1:80\"],\"protocol\":\"http\"}", "", true);
    ck_assert_str_eq(answer.problem, "cannot-listen"); /* it really tried */
    live_control_stop(&live);
}
END_TEST

START_TEST(preconditions_are_of_one_resource)
{
    struct live_control live;
    char tag[CONTROL_ETAG_MAX];
    char header[64];
    live_control_start(&live, web, "");
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/p"), tag));
    (void)live_control_change(&live, CONF_EDIT_PUT, "/pools/q", "{}");

    (void)snprintf(header, sizeof(header), "\"x\", \"%s\"", tag);
    struct live_answer answer =
        apply(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}", header, false);
    ck_assert_int_eq(answer.err.kind, ERR_NONE);
    answer = apply(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":3}", header, false);
    ck_assert_int_eq(answer.err.kind, ERR_PRECONDITION);
    answer = apply(&live, CONF_EDIT_PUT, "/pools/new", "{}", "*", false);
    ck_assert_int_eq(answer.err.kind, ERR_PRECONDITION);
    answer = apply(&live, CONF_EDIT_PUT, "/pools/q", "{\"retries\":1}", "*", false);
    ck_assert_int_eq(answer.err.kind, ERR_NONE);

    const struct control_change create = {.edit = CONF_EDIT_PUT,
                                          .pointer = SLICE("/pools/q"),
                                          .body = SLICE("{}"),
                                          .if_none_match = SLICE("*")};
    answer = live_control_apply(&live, &create);
    ck_assert_int_eq(answer.err.kind, ERR_PRECONDITION);

    /* RFC 9110 13.1.2: only if it is not what the client has */
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/q"), tag));
    struct control_change other = create;
    (void)snprintf(header, sizeof(header), "\"%s\"", tag);
    other.if_none_match = slice_from(header);
    answer = live_control_apply(&live, &other);
    ck_assert_int_eq(answer.err.kind, ERR_PRECONDITION);
    other.if_none_match = SLICE("\"x\"");
    answer = live_control_apply(&live, &other);
    ck_assert_int_eq(answer.err.kind, ERR_NONE);
    live_control_stop(&live);
}
END_TEST

START_TEST(what_cannot_be_saved_is_not_done)
{
    struct live_control live;
    struct rlimit before;
    signals_block(); /* SIGXFSZ is an error of write(2) */
    live_control_start(&live, web, "");
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct live_answer answer =
        apply(&live, CONF_EDIT_PUT, "/listeners/x",
              "{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\"}", "", false);
    const struct control_wish wish = {
        .kind = OVERRIDE_ADMIN, .pool = SLICE("p"), .name = SLICE("a"), .state = SERVER_DRAIN};
    struct live_answer admin = live_control_wish(&live, &wish);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

    ck_assert_int_eq(answer.err.kind, ERR_STORAGE);
    ck_assert_str_eq(answer.problem, "storage");
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);
    ck_assert_ptr_null(registry_find_listener(control_registry(live.control), SLICE("x")));
    ck_assert(!admin.is_changed);
    ck_assert_int_eq(admin.err.kind, ERR_STORAGE);
    ck_assert_uint_eq(control_override_count(live.control), 0);
    ck_assert_uint_eq(control_facts(live.control)->persist_failures, 2);
    ck_assert(server_is_usable(
        registry_find_server(control_registry(live.control), SLICE("p"), SLICE("a"))->server));
    live_control_stop(&live);
}
END_TEST

START_TEST(the_file_is_the_files)
{
    struct live_control live;
    live_control_start(&live, web, "\"config_source\":\"file\"");
    struct live_answer answer =
        apply(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}", "", false);
    ck_assert_int_eq(answer.err.kind, ERR_CONFLICT);
    ck_assert_str_eq(answer.problem, "managed-by-file");
    ck_assert_ptr_nonnull(strstr(answer.err.text, live.file));
    live_control_stop(&live);
}
END_TEST

static void on_reloaded(const struct control_result *result, void *arg)
{
    struct live_control *live = arg;
    live->answer.is_done = true;
    live->answer.err = result->err;
    live->answer.is_changed = result->is_changed;
}

static struct live_answer reload(struct live_control *live)
{
    live->answer = (struct live_answer){0};
    control_reload(live->control, on_reloaded, live);
    live_control_until(live, &live->answer.is_done);
    return live->answer;
}

START_TEST(a_file_is_read_again)
{
    struct live_control live;
    live_control_start(&live, web, "\"config_source\":\"file\"");
    live_control_write(&live, "\"pools\":{\"q\":{}}", "\"config_source\":\"file\"");
    struct live_answer answer = reload(&live);
    ck_assert(answer.is_changed);
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/q")));
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/p")));

    live_control_write(&live, "\"pools\":{\"q\":{\"retrys\":1}}", "\"config_source\":\"file\"");
    answer = reload(&live);
    ck_assert_int_eq(answer.err.kind, ERR_INVALID);
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/q")));
    ck_assert(!control_facts(live.control)->last_apply_succeeded);
    live_control_stop(&live);
}
END_TEST

START_TEST(in_api_mode_nothing_is_read_again)
{
    struct live_control live;
    live_control_start(&live, web, "");
    live_control_write(&live, "\"pools\":{\"q\":{}}", "");
    struct live_answer answer = reload(&live);
    ck_assert(!answer.is_changed);
    ck_assert_int_eq(answer.err.kind, ERR_NONE);
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/p")));
    live_control_stop(&live);
}
END_TEST

START_TEST(many_changes_leave_one_snapshot)
{
    struct live_control live;
    char body[64];
    live_control_start(&live, web, "");
    for (int i = 1; i <= 100; i++) {
        (void)snprintf(body, sizeof(body), "{\"weight\":%d}", i);
        (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a", body);
        (void)live_control_change(&live, CONF_EDIT_PUT, "/pools/q",
                                  i % 2 == 0 ? "{}" : "{\"retries\":2}");
    }
    for (int i = 0; i < 4000 && control_facts(live.control)->snapshots > 1; i++) {
        live_control_turn(&live);
    }
    ck_assert_uint_eq(control_facts(live.control)->snapshots, 1);
    ck_assert_uint_eq(control_facts(live.control)->revision, 201);
    live_control_stop(&live);
}
END_TEST

START_TEST(nothing_is_changed_while_it_drains)
{
    struct live_control live;
    live_control_start(&live, web, "");
    control_drain(live.control, 1000);
    struct live_answer answer =
        apply(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}", "", false);
    ck_assert_int_eq(answer.err.kind, ERR_UNAVAILABLE);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_apply", a_change_is_done_when_all_workers_run_it,
           what_changes_nothing_makes_no_revision, a_refused_change_changes_nothing,
           a_dry_run_does_all_but_the_change, preconditions_are_of_one_resource,
           what_cannot_be_saved_is_not_done, the_file_is_the_files, a_file_is_read_again,
           in_api_mode_nothing_is_read_again, many_changes_leave_one_snapshot,
           nothing_is_changed_while_it_drains)
