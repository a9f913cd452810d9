#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lbd/upstream/health_probe.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

START_TEST(nobody_listens_is_a_refusal)
{
    struct probe_field field;
    probe_field_init(&field);
    struct addr address = field.peer.address;
    probe_peer_fini(&field.peer); /* its port is closed now */
    probe_field_run(&field, &probe_field_tcp, &address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "connection refused");
    probe_field_run(&field, &probe_field_http, &address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "connection refused");
    loop_free(field.loop);
}
END_TEST

START_TEST(an_address_that_cannot_be_dialled_fails_later_and_not_during_the_call)
{
    struct probe_field field;
    probe_field_init(&field);
    struct addr none = {0};
    probe_field_run(&field, &probe_field_tcp, &none);
    ck_assert_int_eq(field.verdict, HEALTH_PROBE_FAILED);
    ck_assert_uint_eq(field.calls, 1);
    probe_field_fini(&field);
}
END_TEST

START_TEST(unix_sockets_are_probed_too)
{
    struct probe_field field;
    char dir[] = "/tmp/lbd-test-XXXXXX";
    char path[64];
    char other[80];
    struct addr missing;
    probe_field_init(&field);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    (void)snprintf(other, sizeof(other), "unix:%s/none", dir);
    ck_assert(addr_parse(slice_from(other), &missing));
    struct probe_peer peer;
    probe_peer_init(&peer, field.loop, path);
    peer.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    probe_field_run(&field, &probe_field_http, &peer.address);
    probe_field_expect(&field, HEALTH_PROBE_PASSED, "HTTP 204 in ");
    probe_field_run(&field, &probe_field_tcp, &missing);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "no such socket file");
    probe_peer_fini(&peer);
    (void)unlink(path);
    (void)rmdir(dir);
    probe_field_fini(&field);
}
END_TEST

START_TEST(no_descriptor_is_no_verdict)
{
    struct probe_field field;
    struct rlimit before;
    probe_field_init(&field);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(field.peer.fd); /* the lowest free number */
    ck_assert_int_ge(next, 0);
    (void)close(next);
    struct rlimit tight = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    probe_field_run(&field, &probe_field_tcp, &field.peer.address);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    probe_field_expect(&field, HEALTH_PROBE_NOT_RUN, "not run: Too many open files");
    probe_field_fini(&field);
}
END_TEST

START_TEST(silence_ends_with_the_time_limit)
{
    struct probe_field field;
    probe_field_init(&field);
    struct conf_health_check check = probe_field_http;
    check.timeout_ms = 100;
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "timed out after 100ms waiting for an answer");
    ck_assert_uint_ge(field.duration_us, 100000);
    /* drops of an answer do not move the limit */
    field.peer.answer =
        "HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    field.peer.chunk = 1;
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "timed out after 100ms waiting for an answer");
    probe_field_fini(&field);
}
END_TEST

START_TEST(a_reset_is_a_failure)
{
    struct probe_field field;
    probe_field_init(&field);
    field.peer.resets = true;
    probe_field_run(&field, &probe_field_http, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "connection reset");
    probe_field_fini(&field);
}
END_TEST

START_TEST(a_cancelled_probe_says_nothing)
{
    struct probe_field field;
    probe_field_init(&field);
    struct health_probe_plan *plan = health_probe_plan_new(&probe_field_http);
    struct addr none = {0};
    const struct health_probe_server here = {.address = &field.peer.address,
                                             .authority = SLICE("a:1")};
    const struct health_probe_server nowhere = {.address = &none, .authority = SLICE("a:1")};
    struct health_probe *first =
        health_probe_start(field.loop, plan, &here, probe_field_note, &field);
    struct health_probe *second =
        health_probe_start(field.loop, plan, &nowhere, probe_field_note, &field);
    health_probe_cancel(second);
    for (uint32_t i = 0; i < 5; i++) {
        loop_run_once(field.loop, 5);
    }
    health_probe_cancel(first);
    health_probe_cancel(NULL);
    for (uint32_t i = 0; i < 5; i++) {
        loop_run_once(field.loop, 5);
    }
    ck_assert_uint_eq(field.calls, 0);
    ck_assert_uint_eq(plan->refs, 1);
    health_probe_plan_unref(plan);
    probe_field_fini(&field);
}
END_TEST

START_TEST(plans_know_whether_the_check_is_the_same)
{
    uint16_t codes[] = {404};
    struct conf_header headers[] = {{SLICE("a"), SLICE("bc")}};
    struct conf_health_check base = probe_field_http;
    base.name = SLICE("x");
    base.expect_status = codes;
    base.expect_status_count = 1;
    base.headers = headers;
    base.header_count = 1;
    struct health_probe_plan *plan = health_probe_plan_new(&base);
    ck_assert(health_probe_plan_is(plan, &base));

    struct conf_health_check other = base;
    other.name = SLICE("renamed");
    other.version = 7;
    ck_assert(health_probe_plan_is(plan, &other)); /* the name is not the check */

    struct conf_header split[] = {{SLICE("ab"), SLICE("c")}};
    struct conf_health_check changed[12];
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        changed[i] = base;
    }
    changed[0].type = CONF_CHECK_TCP;
    changed[1].method = SLICE("HEAD");
    changed[2].path = SLICE("/other");
    changed[3].host = SLICE("h");
    changed[4].headers = split;
    changed[5].header_count = 0;
    changed[6].expect_classes = 0;
    changed[7].expect_status_count = 0;
    changed[8].interval_ms = 5;
    changed[9].timeout_ms = 5;
    changed[10].rise = 9;
    changed[11].fall = 9;
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        ck_assert_msg(!health_probe_plan_is(plan, &changed[i]), "change %zu", i);
    }
    health_probe_plan_unref(plan);
    health_probe_plan_unref(NULL);
}
END_TEST

UNIT_TESTS("health_probe", nobody_listens_is_a_refusal,
           an_address_that_cannot_be_dialled_fails_later_and_not_during_the_call,
           unix_sockets_are_probed_too, no_descriptor_is_no_verdict,

           silence_ends_with_the_time_limit, a_reset_is_a_failure, a_cancelled_probe_says_nothing,
           plans_know_whether_the_check_is_the_same)
