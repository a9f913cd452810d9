#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

START_TEST(the_socket_is_looked_for_in_order)
{
    char directory[] = "/tmp/lbctl-test-XXXXXX";
    char path[128];
    struct ctl ctl;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/lbd", directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/lbd/api.sock", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fclose(file);

    ck_assert_int_eq(setenv("LBCTL_SOCKET", "/from/the/environment", 1), 0);
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    ctl_init(&ctl);
    ctl.socket_path = "/from/the/line";
    ck_assert_str_eq(ctl_socket(&ctl), "/from/the/line");
    ctl.socket_path = "unix:/as/lbd/writes/it";
    ck_assert_str_eq(ctl_socket(&ctl), "/as/lbd/writes/it");
    ctl.socket_path = NULL;
    ck_assert_str_eq(ctl_socket(&ctl), "/from/the/environment");
    ck_assert_int_eq(setenv("LBCTL_SOCKET", "", 1), 0);
    if (access("/run/lbd/api.sock", F_OK) != 0) {
        ck_assert_str_eq(ctl_socket(&ctl), path);
    }
    ck_assert_int_eq(unsetenv("LBCTL_SOCKET"), 0);
    ck_assert_int_eq(unlink(path), 0);
    ctl_init(&ctl);
    ck_assert_str_ne(ctl_socket(&ctl), path); /* it is not there any more */

    (void)snprintf(path, sizeof(path), "%s/lbd", directory);
    (void)rmdir(path);
    (void)rmdir(directory);
}
END_TEST

START_TEST(statuses_have_exit_codes)
{
    static const struct {
        uint32_t status;
        enum ctl_exit want;
    } cases[] = {
        {200, CTL_OK},        {201, CTL_OK},      {202, CTL_OK},       {204, CTL_OK},
        {304, CTL_REFUSED},   {400, CTL_INVALID}, {401, CTL_DENIED},   {403, CTL_DENIED},
        {404, CTL_NOT_FOUND}, {405, CTL_REFUSED}, {409, CTL_CONFLICT}, {412, CTL_CONFLICT},
        {413, CTL_INVALID},   {415, CTL_REFUSED}, {422, CTL_INVALID},  {428, CTL_CONFLICT},
        {429, CTL_REFUSED},   {500, CTL_REFUSED}, {503, CTL_REFUSED},  {504, CTL_TIMED_OUT},
        {507, CTL_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(ctl_exit_of(cases[i].status) == cases[i].want, "%u", cases[i].status);
    }
}
END_TEST

START_TEST(members_are_reached_by_path)
{
    struct json *json =
        json_parse_trusted(SLICE("{\"a\":{\"b\":{\"c\":\"x\",\"n\":42,\"m\":-1}},\"s\":\"t\"}"));
    ck_assert_ptr_nonnull(json);
    ck_assert(slice_eq(ctl_text(json, "a.b.c"), SLICE("x")));
    ck_assert(slice_eq(ctl_text(json, "s"), SLICE("t")));
    ck_assert_uint_eq(ctl_number(json, "a.b.n"), 42);
    ck_assert_uint_eq(ctl_number(json, "a.b.m"), 0);
    ck_assert_uint_eq(ctl_text(json, "a.b").len, 0);
    ck_assert_ptr_null(ctl_member(json, "a.x.c"));
    ck_assert_ptr_null(ctl_member(json, "s.b"));
    ck_assert_ptr_null(ctl_member(NULL, "s"));
    json_free(json);
}
END_TEST

START_TEST(what_is_no_json_is_a_bug)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/status", FAKE_REPLY("200 OK", "Content-Type: text/html\r\n", "<p>hello")}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", NULL);
    ck_assert_int_eq(run.code, CTL_BUG);
    ck_assert_str_eq(run.err, "lbctl: the answer to GET /v1/status is not JSON\n");
    fake_run_fini(&run);
}
END_TEST

#define TOO_OFTEN(after)                                                                           \
    FAKE_REPLY("429 Too Many",                                                                     \
               "Retry-After: " after "\r\nContent-Type: application/problem+json\r\n",             \
               "{\"title\":\"Too often\"}")

START_TEST(who_is_told_to_come_again_does)
{
    static const struct fake_turn turns[] = {{"GET /v1/version", TOO_OFTEN("1")},
                                             {"GET /v1/version", FAKE_JSON("{\"version\":\"7\"}")}};
    static const struct fake_turn later[] = {{"GET /v1/version", TOO_OFTEN("3600")}};
    static const struct fake_turn some_day[] = {
        {"GET /v1/version", TOO_OFTEN("Thu, 26 Nov 2026 13:00:00 GMT")}};
    struct fake_run run = fake_lbctl(turns, 2, "version", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.err, "");
    fake_run_fini(&run);
    run = fake_lbctl(later, 1, "version", NULL); /* longer than an answer may take */
    ck_assert_int_eq(run.code, CTL_REFUSED);
    ck_assert_str_eq(run.err, "lbctl: Too often\n");
    fake_run_fini(&run);
    run = fake_lbctl(some_day, 1, "version", NULL);
    ck_assert_int_eq(run.code, CTL_REFUSED);
    fake_run_fini(&run);
}
END_TEST

START_TEST(a_slow_answer_is_a_timeout)
{
    static const struct fake_turn turns[] = {{"GET /v1/status", NULL}};
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", "--timeout", "50ms", NULL);
    ck_assert_int_eq(run.code, CTL_TIMED_OUT);
    ck_assert_str_eq(run.err, "lbctl: no answer within 50 ms (--timeout)\n");
    fake_run_fini(&run);
}
END_TEST

START_TEST(nobody_there_is_said_with_the_socket)
{
    struct ctl ctl;
    enum ctl_exit code = CTL_OK;
    char *text = NULL;
    size_t len;
    ctl_init(&ctl);
    ctl.socket_path = "/tmp/lbctl-test-there-is-no-such-socket";
    ctl.err = open_memstream(&text, &len);
    ck_assert_ptr_null(ctl_get(&ctl, "/v1/status", NULL, &code));
    (void)fclose(ctl.err);
    ck_assert_int_eq(code, CTL_UNREACHABLE);
    ck_assert_str_eq(
        text,
        "lbctl: cannot reach lbd at /tmp/lbctl-test-there-is-no-such-socket: no such socket\n");
    free(text);
}
END_TEST

UNIT_TESTS("ctl", the_socket_is_looked_for_in_order, statuses_have_exit_codes,
           members_are_reached_by_path, what_is_no_json_is_a_bug, who_is_told_to_come_again_does,
           a_slow_answer_is_a_timeout, nobody_there_is_said_with_the_socket)
