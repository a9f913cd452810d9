#include <stdlib.h>
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

static const struct {
    const char *send; /* NULL: the server speaks first */
    const char *receive;
    const char *answer; /* NULL: silence */
    bool closes;
    enum health_probe_verdict verdict;
    const char *text;
} talks[] = {
    {"PING\r\n", "+PONG", "+PONG\r\n", false, HEALTH_PROBE_PASSED, "the expected answer in "},
    {"PING\\r\\n", "\\x2bPONG\\r", "-LOADING\r\n+PONG\r\n", false, HEALTH_PROBE_PASSED,
     "the expected answer in "},
    {"PING\r\n", "+PONG", "-LOADING\r\n", true, HEALTH_PROBE_FAILED,
     "connection closed before the expected answer; it said \"-LOADING..\""},
    {"PING\r\n", "+PONG", "-LOADING \"now\"", false, HEALTH_PROBE_FAILED,
     "timed out after 80ms: it said \"-LOADING .now.\""},
    {"PING\r\n", "+PONG", NULL, true, HEALTH_PROBE_FAILED,
     "connection closed before the expected answer"},
    {"PING\r\n", "+PONG", NULL, false, HEALTH_PROBE_FAILED,
     "timed out after 80ms waiting for an answer"},
    {NULL, "220 ", "220 mail ESMTP\r\n", false, HEALTH_PROBE_PASSED, "the expected answer in "},
};

START_TEST(what_is_expected_decides_however_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
        for (uint32_t chunk = 0; chunk <= 3; chunk++) {
            struct probe_field field;
            probe_field_init(&field);
            struct conf_health_check check = probe_field_tcp;
            bool times_out = strncmp(talks[i].text, "timed", 5) == 0;
            check.send = slice_from(talks[i].send);
            check.receive = slice_from(talks[i].receive);
            check.timeout_ms = times_out ? 80 : 5000;
            field.peer.answer = talks[i].answer;
            field.peer.closes = talks[i].closes;
            field.peer.greets = talks[i].send == NULL;
            field.peer.ends = "PING\r\n";
            field.peer.chunk = times_out ? 0 : chunk;
            probe_field_run(&field, &check, &field.peer.address);
            probe_field_expect(&field, talks[i].verdict, talks[i].text);
            if (talks[i].send != NULL) {
                ck_assert_str_eq(field.peer.request, "PING\r\n");
            }
            probe_field_fini(&field);
        }
    }
}
END_TEST

START_TEST(an_endless_answer_ends)
{
    struct probe_field field;
    char *answer = calloc(1, 100001);
    ck_assert_ptr_nonnull(answer);
    memset(answer, 'x', 100000);
    probe_field_init(&field);
    struct conf_health_check check = probe_field_tcp;
    check.receive = SLICE("y");
    check.timeout_ms = 20000;
    field.peer.answer = answer;
    field.peer.greets = true;
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, HEALTH_PROBE_FAILED, "the answer is larger than 64 KiB");
    probe_field_fini(&field);
    free(answer);
}
END_TEST

UNIT_TESTS("health_tcp", tcp_passes_where_somebody_accepts, what_the_server_says_does_not_matter,
           what_is_expected_decides_however_it_is_cut, an_endless_answer_ends)
