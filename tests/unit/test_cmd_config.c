#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cmd_config.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

static char file[64];

static void write_text(const char *text)
{
    (void)snprintf(file, sizeof(file), "/tmp/lbctl-test-XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

START_TEST(valid_or_all_that_is_wrong)
{
    static const struct fake_turn valid[] = {
        {"POST /v1/config/validate", FAKE_JSON("{\"changes\":[],\"changes_total\":3}")}};
    static const struct fake_turn invalid[] = {
        {"POST /v1/config/validate",
         FAKE_PROBLEM("422 No", "{\"title\":\"Not right\",\"errors\":[{\"pointer\":\"#/pools/a\","
                                "\"code\":\"wrong-type\",\"detail\":\"must be an object\"}]}")}};
    char want[256];
    write_text("{ // here\n \"pools\": { \"a\": 1 } }");
    struct fake_run run = fake_lbctl(valid, 1, "config", "validate", file, NULL);
    (void)snprintf(want, sizeof(want), "%s: valid, with 3 changes against what runs\n", file);
    ck_assert_str_eq(run.out, want);
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);
    run = fake_lbctl(invalid, 1, "config", "validate", file, NULL);
    (void)snprintf(want, sizeof(want),
                   "lbctl: not valid: %s: Not right\n  %s:2:18: /pools/a: must be an object\n"
                   "hint: lbctl explain pools/a\n",
                   file, file);
    ck_assert_str_eq(run.err, want);
    ck_assert_int_eq(run.code, CTL_INVALID);
    fake_run_fini(&run);
    (void)unlink(file);
}
END_TEST

START_TEST(a_file_is_laid_out)
{
    write_text("{\"daemon\":{},\n\"pools\":{} /* none */}");
    struct fake_run run = fake_lbctl(NULL, 0, "config", "fmt", file, NULL);
    ck_assert_str_eq(run.out, "{\n  \"daemon\": {},\n  \"pools\": {} /* none */\n}\n");
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "config", "fmt", file, "--write", NULL);
    ck_assert_msg(strncmp(run.out, "written: ", 9) == 0, "%s", run.out);
    fake_run_fini(&run);
    run = fake_lbctl(NULL, 0, "config", "fmt", file, "--write", NULL);
    ck_assert_msg(strncmp(run.out, "unchanged: ", 11) == 0, "%s", run.out);
    fake_run_fini(&run);
    (void)unlink(file);
    write_text("{\"a\" 1}");
    run = fake_lbctl(NULL, 0, "config", "fmt", file, "--write", NULL);
    ck_assert_int_eq(run.code, CTL_INVALID);
    ck_assert_str_eq(run.out, "");
    fake_run_fini(&run);
    (void)unlink(file);
}
END_TEST

START_TEST(schema_and_reload)
{
    static const struct fake_turn schema[] = {
        {"GET /v1/schema.json", FAKE_JSON("{\"type\":\"object\"}")}};
    static const struct fake_turn reload[] = {
        {"POST /v1/config/reload?wait=30s",
         FAKE_REPLY("200 OK", "Lbd-Revision: 7\r\nContent-Type: application/json\r\n",
                    "{\"revision\":7,\"changed\":true}")}};
    static const struct fake_turn same[] = {
        {"POST /v1/config/reload", FAKE_JSON("{\"revision\":7,\"changed\":false}")}};
    static const struct fake_turn not_here[] = {
        {"POST /v1/config/reload", FAKE_PROBLEM("409 No", "{\"title\":\"The API decides\"}")}};
    struct fake_run run = fake_lbctl(schema, 1, "config", "schema", NULL);
    ck_assert_str_eq(run.out, "{\n  \"type\": \"object\"\n}\n");
    fake_run_fini(&run);
    run = fake_lbctl(reload, 1, "reload", "--wait", NULL);
    ck_assert_str_eq(run.out, "reloaded, revision 7\n");
    fake_run_fini(&run);
    run = fake_lbctl(same, 1, "reload", NULL);
    ck_assert_str_eq(run.out, "unchanged: revision 7\n");
    fake_run_fini(&run);
    run = fake_lbctl(not_here, 1, "reload", NULL);
    ck_assert_int_eq(run.code, CTL_CONFLICT);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_config", valid_or_all_that_is_wrong, a_file_is_laid_out, schema_and_reload)
