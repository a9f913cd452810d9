#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

START_TEST(finds_by_name)
{
    static char names[100][8];
    struct conf_server servers[100] = {{.weight = 0}};
    struct conf_pool pool = {.servers = servers};
    for (uint32_t count = 0; count <= 100; count++) {
        pool.server_count = count;
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_ptr_eq(conf_server_find(&pool, servers[i].name), &servers[i]);
        }
        ck_assert_ptr_null(conf_server_find(&pool, SLICE("")));
        ck_assert_ptr_null(conf_server_find(&pool, SLICE("s0505")));
        ck_assert_ptr_null(conf_server_find(&pool, SLICE("zzz")));
        if (count < 100) {
            (void)snprintf(names[count], sizeof names[count], "s%03u", count);
            servers[count].name = slice_from(names[count]);
        }
    }
}
END_TEST

START_TEST(an_empty_configuration_holds_nothing)
{
    struct conf *conf = conf_new();
    ck_assert_uint_eq(conf->schema, 1);
    ck_assert_ptr_null(conf_pool_find(conf, SLICE("a")));
    ck_assert_ptr_null(conf_listener_find(conf, SLICE("a")));
    ck_assert_ptr_null(conf_route_find(conf, SLICE("a")));
    ck_assert_ptr_null(conf_health_check_find(conf, SLICE("a")));
    conf_free(conf);
    conf_free(NULL);
    conf_daemon_free(NULL);
}
END_TEST

START_TEST(admin_states_are_words)
{
    static const enum conf_admin_state states[] = {CONF_READY, CONF_DRAIN, CONF_MAINT};
    enum conf_admin_state parsed = CONF_READY;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        ck_assert(conf_admin_state_parse(slice_from(conf_admin_state_word(states[i])), &parsed));
        ck_assert_uint_eq(parsed, states[i]);
    }
    ck_assert(!conf_admin_state_parse(SLICE("Ready"), &parsed));
    ck_assert(!conf_admin_state_parse(SLICE(""), &parsed));
}
END_TEST

UNIT_TESTS("conf", finds_by_name, an_empty_configuration_holds_nothing, admin_states_are_words)
