#include <string.h>

#include "lbd/upstream/health_tcp.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

START_TEST(tcp_passes_where_somebody_accepts)
{
    struct probe_field field;
    probe_field_init(&field);
    probe_field_run(&field, &probe_field_tcp, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "connected in ");
    ck_assert_ptr_nonnull(strstr(field.text, " ms"));
    ck_assert_uint_lt(field.duration_us, 1000000);
    probe_field_fini(&field);
}
END_TEST

START_TEST(what_the_server_says_does_not_matter)
{
    struct probe_field field;
    probe_field_init(&field);
    field.peer.resets = true;
    probe_field_run(&field, &probe_field_tcp, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "connected in ");
    ck_assert_str_eq(field.peer.request, ""); /* nothing was sent */
    probe_field_fini(&field);
}
END_TEST

UNIT_TESTS("health_tcp", tcp_passes_where_somebody_accepts, what_the_server_says_does_not_matter)
