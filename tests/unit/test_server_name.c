#include "ctl/server_name.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

static const char status[] = FAKE_JSON("{\"pools\":{"
                                       "\"web\":{\"servers\":{\"anna\":{},\"bert\":{}}},"
                                       "\"api\":{\"servers\":{\"anna\":{},\"cleo\":{}}},"
                                       "\"empty\":{\"servers\":{}}}}");

static const struct {
    const char *text;
    bool ok;
    const char *pool;
    const char *server;
} cases[] = {
    {"web/anna", true, "web", "anna"},
    {"web", true, "web", ""},
    {"a.b-c/d_e", true, "a.b-c", "d_e"},
    {"", false, "", ""},
    {"/", false, "", ""},
    {"web/", false, "", ""},
    {"/anna", false, "", ""},
    {"web/anna/x", false, "", ""},
    {"web/anna/", false, "", ""},
    {"0123456789012345678901234567890123456789012345678901234567890123456789", false, "", ""},
};

START_TEST(pool_and_server_are_told_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ctl ctl;
        struct server_name name;
        enum ctl_exit code = CTL_OK;
        ctl_init(&ctl);
        ctl.err = fopen("/dev/null", "we");
        bool ok = server_name_read(&ctl, cases[i].text, &name, &code);
        (void)fclose(ctl.err);
        ck_assert_msg(ok == cases[i].ok, "%s", cases[i].text);
        if (ok) {
            ck_assert_str_eq(name.pool, cases[i].pool);
            ck_assert_str_eq(name.server, cases[i].server);
        } else {
            ck_assert_int_eq(code, CTL_USAGE);
        }
    }
}
END_TEST

START_TEST(paths_name_the_resource)
{
    struct buf path;
    buf_init(&path, 256);
    server_name_path(&(struct server_name){.pool = "web", .server = "an na"}, &path);
    buf_append_char(&path, ' ');
    server_name_path(&(struct server_name){.pool = "web"}, &path);
    ck_assert_str_eq(path.data, "/v1/pools/web/servers/an%20na /v1/pools/web");
    buf_fini(&path);
}
END_TEST

/* One question is enough to see what a bare name means; what follows is not asked for here. */
static void check_bare(const char *text, bool want, const char *pool, enum ctl_exit want_code)
{
    const struct fake_turn turns[] = {{"GET /v1/status", status}};
    struct fake_api api;
    struct ctl ctl;
    struct server_name name;
    enum ctl_exit code = CTL_OK;
    fake_api_start(&api, turns, ARRAY_LEN(turns));
    ctl_init(&ctl);
    ctl.err = fopen("/dev/null", "we");
    ctl.socket_path = api.path;
    bool ok = server_name_find(&ctl, text, &name, &code);
    (void)fclose(ctl.err);
    fake_api_stop(&api);
    fake_api_fini(&api);
    ck_assert_msg(ok == want, "%s", text);
    ck_assert_int_eq(code, want_code);
    if (ok) {
        ck_assert_str_eq(name.pool, pool);
        ck_assert_str_eq(name.server, text);
    }
}

START_TEST(a_bare_name_is_found_where_there_is_one)
{
    check_bare("bert", true, "web", CTL_OK);
    check_bare("cleo", true, "api", CTL_OK);
    check_bare("anna", false, NULL, CTL_USAGE); /* web's or api's? */
    check_bare("dora", false, NULL, CTL_NOT_FOUND);
}
END_TEST

UNIT_TESTS("server_name", pool_and_server_are_told_apart, paths_name_the_resource,
           a_bare_name_is_found_where_there_is_one)
