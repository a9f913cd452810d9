#include <string.h>

#include "conf/conf.h"
#include "conf/conf_defaults.h"
#include "tests/unit/unit.h"

/* Whatever was in the memory before, every member has its default or is empty afterwards. */
START_TEST(overwrites_all)
{
    struct conf_daemon first;
    struct conf_daemon second;
    memset(&first, 0x00, sizeof first);
    memset(&second, 0xff, sizeof second);
    conf_defaults_fill(conf_schema_daemon, &first);
    conf_defaults_fill(conf_schema_daemon, &second);
    ck_assert_int_eq(memcmp(&first, &second, sizeof first), 0);
    ck_assert_uint_eq(first.drain_timeout_ms, 30000);
    ck_assert(slice_eq(first.log_path, SLICE("stderr")));
    ck_assert_uint_eq(first.resolver_count, 0);
}
END_TEST

START_TEST(fills_nested_objects_and_lists)
{
    const struct conf_object *object = NULL;
    const struct conf_field *field = NULL;
    struct conf_health_check check;
    struct conf_listener listener;
    ck_assert(conf_schema_lookup(SLICE("health_checks"), &object, &field));
    conf_defaults_fill(object, &check);
    ck_assert_uint_eq(check.expect_classes, 1U << 2);
    ck_assert_uint_eq(check.expect_status_count, 0);
    ck_assert(conf_schema_lookup(SLICE("listeners"), &object, &field));
    conf_defaults_fill(object, &listener);
    ck_assert_uint_eq(listener.timeouts.tunnel_idle_ms, 3600000);
    ck_assert_uint_eq(listener.limits.header_fields, 100);
    ck_assert_uint_eq(listener.bind_count, 0);
}
END_TEST

UNIT_TESTS("conf_defaults", overwrites_all, fills_nested_objects_and_lists)
