#include <stdlib.h>

#include "conf/conf_check.h"
#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

#define TLS "'tls':{'chain_file':'c','key_file':'k'}"

/* What must be said about daemon.api, and nothing else. Single quotes stand for double ones. */
static const struct {
    const char *api;
    const char *pointer; /* NULL: all is well */
    const char *code;
    bool is_warning;
} cases[] = {
    {"{}", NULL, "", false},
    {"{'listen':['unix:/a','127.0.0.1:0']," TLS "}", NULL, "", false},
    {"{'listen':['0.0.0.0:1','[::]:1']," TLS "}", NULL, "", false},
    {"{'listen':['127.0.0.1:0','127.8.9.1:1','[::1]:0'],'insecure':true}", NULL, "", false},

    {"{'listen':['unix:/a','127.0.0.1:0']}", "/daemon/api/listen/1", "needs-tls", false},
    {"{'listen':['0.0.0.0:1']}", "/daemon/api/listen/0", "needs-tls", false},
    {"{'listen':['[::1]:1','[::]:1'],'insecure':true}", "/daemon/api/listen/1", "needs-tls", false},
    {"{'listen':['127.0.0.1:0','128.0.0.1:1'],'insecure':true}", "/daemon/api/listen/1",
     "needs-tls", false},
    {"{'listen':['127.0.0.1:0'],'insecure':true," TLS "}", "/daemon/api/insecure", "exclusive-keys",
     false},
    {"{'listen':['127.0.0.1:0'],'tls':{'chain_file':'c'}}", "/daemon/api/tls/key_file",
     "missing-key", false},
    {"{'listen':['127.0.0.1:0']," TLS ",'certificates':{'read':['CN:a']}}",
     "/daemon/api/certificates", "needs-client-ca", false},
    {"{'certificates':{'read':['a']}}", "/daemon/api/certificates/read/0", "invalid-value", false},
    {"{" TLS "}", "/daemon/api/tls", "no-effect", true},
};

START_TEST(says_what_is_wrong)
{
    const char *pointer = cases[_i].pointer;
    struct conf_errors errors;
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    char text[512];
    (void)snprintf(text, sizeof(text), "{'daemon':{'api':%s}}", cases[_i].api);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    conf_errors_init(&errors);
    bool ok = conf_document_from_file_text(slice_from(text), &document, &daemon, &errors);
    ck_assert_msg(ok == (pointer == NULL || cases[_i].is_warning), "%s", text);
    const struct conf_error *said = cases[_i].is_warning ? errors.warnings : errors.errors;
    ck_assert_msg(errors.warning_count == (cases[_i].is_warning ? 1U : 0U), "%s", text);
    if (pointer != NULL) {
        ck_assert_msg(slice_eq(said->pointer, slice_from(pointer)), "%s: %.*s", text,
                      SLICE_ARG(said->pointer));
        ck_assert_msg(slice_eq(said->code, slice_from(cases[_i].code)), "%s: %.*s", text,
                      SLICE_ARG(said->code));
        ck_assert_msg(said->line == 1, "%s: no line", text);
    }
    conf_daemon_free(daemon);
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

START_TEST(settings_have_their_defaults_and_values)
{
    static const char text[] =
        "{\"daemon\":{\"api\":{\"insecure\":true,\"require_preconditions\":true,"
        "\"groups\":{\"read\":\"\"},\"limits\":{\"handshake_timeout\":\"2s\"}}}}";
    struct conf_errors errors;
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    conf_errors_init(&errors);
    ck_assert(conf_document_from_file_text(SLICE("{}"), &document, &daemon, &errors));
    const struct conf_api *api = &daemon->api;
    ck_assert_uint_eq(api->insecure, 0);
    ck_assert_uint_eq(api->require_preconditions, 0);
    ck_assert(slice_eq(api->groups.admin, SLICE("lbd-admin")));
    ck_assert(slice_eq(api->groups.operate, SLICE("lbd-operate")));
    ck_assert(slice_eq(api->groups.read, SLICE("lbd-read")));
    ck_assert(slice_eq(api->audit.path, SLICE("off")));
    ck_assert_uint_eq(api->audit.on_failure, CONF_AUDIT_REFUSE);
    ck_assert_uint_eq(api->limits.writes_per_second, 20);
    ck_assert_uint_eq(api->limits.write_burst, 100);
    ck_assert_uint_eq(api->limits.unix_admin_writes_per_second, 0);
    ck_assert_uint_eq(api->limits.auth_failures_per_minute, 5);
    ck_assert_uint_eq(api->tls.chain_file.len, 0);
    conf_daemon_free(daemon);
    conf_document_unref(document);

    ck_assert(conf_document_from_file_text(slice_from(text), &document, &daemon, &errors));
    ck_assert_uint_eq(daemon->api.insecure, 1);
    ck_assert_uint_eq(daemon->api.require_preconditions, 1);
    ck_assert_uint_eq(daemon->api.groups.read.len, 0);
    ck_assert_uint_eq(daemon->api.limits.handshake_timeout_ms, 2000);
    conf_daemon_free(daemon);
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("conf_check_daemon");
    TCase *tcase = tcase_create("conf_check_daemon");
    tcase_add_loop_test(tcase, says_what_is_wrong, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(tcase, settings_have_their_defaults_and_values);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return unit_run(suite());
}
