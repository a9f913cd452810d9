#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cmd_apply.h"
#include "ctl/proposal.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define BEFORE                                                                                     \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nETag: \"aa\"\r\nLbd-Revision: 42\r\n", \
               "{\"schema\":1,\"pools\":{}}")
/* a dry run never says that it changed something */
#define DRY(body)                                                                                  \
    FAKE_REPLY("200 OK",                                                                           \
               "Content-Type: application/json\r\nLbd-Revision: 42\r\nLbd-Changed: false\r\n",     \
               body)
#define APPLIED FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 43\r\n", "{}")
#define CHANGED "{\"changes\":[{\"pointer\":\"#/schema\",\"after\":1}],\"changes_total\":2}"
#define CHANGES                                                                                    \
    "{\"changes\":[{\"pointer\":\"#/pools/web\",\"after\":{\"servers\":{}}},"                      \
    "{\"pointer\":\"#/pools/api/retries\",\"before\":1,\"after\":2},"                              \
    "{\"pointer\":\"#/routes/old\",\"before\":{\"a\":\"a text that is much too long to be shown "  \
    "on the line of a change, so it is not\"}}]}"
#define OVERTAKEN FAKE_PROBLEM("412 Precondition Failed", "{\"title\":\"It has changed\"}")

static const char document[] = "// the shop\n"
                               "{\n"
                               "  \"daemon\": { \"workers\": 2 },\n"
                               "  \"schema\": 1, /* one */\n"
                               "  \"pools\": { \"web\": { \"servers\": {}, }, },\n"
                               "}\n";

static char home[64];
static char file[96];

static void set_up(void)
{
    (void)snprintf(home, sizeof(home), "/tmp/lbctl-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    (void)snprintf(file, sizeof(file), "%s/lbd.json", home);
    FILE *out = fopen(file, "we");
    ck_assert_ptr_nonnull(out);
    (void)fputs(document, out);
    (void)fclose(out);
}

static void tear_down(void)
{
    (void)unlink(file);
    (void)rmdir(home);
}

START_TEST(applies_what_the_file_says)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true", DRY(CHANGES)},
        {"PUT /v1/config", APPLIED},
    };
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    ck_assert_str_eq(run.out, "+ /pools/web: {\"servers\":{}}\n"
                              "~ /pools/api/retries: 1 -> 2\n"
                              "- /routes/old: {...}\n"
                              "applied: 3 changes, revision 43 (undo: lbctl rollback 42)\n");
    ck_assert_str_eq(run.err, "");
    ck_assert_int_eq(run.code, CTL_OK);
    for (int i = 1; i <= 2; i++) { /* strict JSON, no daemon, only if nobody was faster */
        ck_assert_ptr_nonnull(strstr(
            run.api.requests[i], "\r\n\r\n{\"schema\":1,\"pools\":{\"web\":{\"servers\":{}}}}"));
        ck_assert_ptr_nonnull(strstr(run.api.requests[i], "\r\nIf-Match: \"aa\"\r\n"));
    }
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true", DRY(CHANGES)},
    };
    set_up();
    struct fake_run run =
        fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, "--dry-run", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_ptr_nonnull(strstr(run.out, "\nnot applied (dry run): 3 changes\n"));
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(the_same_again_is_unchanged)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true", DRY("{\"changes\":[]}")},
        {"PUT /v1/config", DRY("{}")},
    };
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.out, "unchanged: revision 42\n");
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(all_errors_with_their_places)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true",
         FAKE_PROBLEM("422 Unprocessable",
                      "{\"title\":\"Not valid\",\"detail\":\"1 error; nothing was changed\","
                      "\"errors\":[{\"pointer\":\"#/pools/web/servers\",\"code\":\"x\","
                      "\"detail\":\"must not be empty\",\"line\":1,\"column\":30}]}")},
    };
    char want[512];
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    (void)snprintf(want, sizeof(want),
                   "lbctl: not applied: %s: Not valid: 1 error; nothing was changed\n"
                   "  %s:5:34: /pools/web/servers: must not be empty\n"
                   "hint: lbctl explain pools/web/servers\n",
                   file, file);
    ck_assert_str_eq(run.err, want);
    ck_assert_str_eq(run.out, "");
    ck_assert_int_eq(run.code, CTL_INVALID);
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(who_was_overtaken_tries_again)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true", DRY(CHANGED)},
        {"PUT /v1/config", OVERTAKEN},
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true", DRY(CHANGED)},
        {"PUT /v1/config", APPLIED},
    };
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_ptr_nonnull(strstr(run.out, "... and 1 more\napplied: 2 changes, revision 43"));
    ck_assert_str_eq(run.err, "somebody else was faster; once more\n");
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(but_not_for_ever)
{
    struct fake_turn turns[2 * PROPOSAL_TRIES];
    for (size_t i = 0; i < ARRAY_LEN(turns); i += 2) {
        turns[i] = (struct fake_turn){"GET /v1/config", BEFORE};
        turns[i + 1] = (struct fake_turn){"PUT /v1/config?dry_run=true", OVERTAKEN};
    }
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_CONFLICT);
    ck_assert_ptr_nonnull(
        strstr(run.err, "\nlbctl: not applied: somebody else keeps changing the configuration\n"));
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(managed_elsewhere_is_a_conflict)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", BEFORE},
        {"PUT /v1/config?dry_run=true",
         FAKE_PROBLEM("409 Conflict", "{\"title\":\"The file decides\"}")},
    };
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_CONFLICT);
    ck_assert_ptr_nonnull(strstr(run.err, "The file decides"));
    fake_run_fini(&run);
    tear_down();
}
END_TEST

#define MANY                                                                                       \
    FAKE_REPLY(                                                                                    \
        "200 OK", "Content-Type: application/json\r\nETag: \"aa\"\r\nLbd-Revision: 42\r\n",        \
        "{\"pools\":{\"web\":{\"meta\":{\"managed_by\":\"me\"},\"servers\":{\"a\":{},\"b\":{}}},"  \
        "\"other\":{\"servers\":{\"a\":{}}}}}")

START_TEST(asks_before_traffic_drops)
{
    static const struct fake_turn rehearsed[] = {{"GET /v1/config", MANY},
                                                 {"PUT /v1/config?dry_run=true", DRY(CHANGED)},
                                                 {"PUT /v1/config", APPLIED}};
    set_up();
    struct fake_run run = fake_lbctl(rehearsed, 2, "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "3 of 3 servers would go; nothing was changed\n"
                                          "hint: --yes"));
    fake_run_fini(&run);

    fake_person("n\n");
    run = fake_lbctl(rehearsed, 2, "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_NO);
    ck_assert_str_eq(run.err, "3 of 3 servers would go. Go on? [y/N] nothing was changed\n");
    fake_run_fini(&run);

    fake_person("yes\n");
    run = fake_lbctl(rehearsed, 3, "apply", "-f", file, NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    fake_run_fini(&run);

    run = fake_lbctl(rehearsed, 3, "apply", "-f", file, "--yes", NULL);
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_str_eq(run.err, "");
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(an_owner_and_a_time_to_confirm)
{
    static const struct fake_turn turns[] = {
        {"GET /v1/config", MANY},
        {"PUT /v1/config?dry_run=true&owner=a%20b&force=true", DRY(CHANGED)},
        {"PUT /v1/config?confirm_within=5m&owner=a%20b&force=true", APPLIED}};
    set_up();
    struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "apply", "-f", file, "--owner", "a b",
                                     "--force", "--confirm-within", "5m", NULL);
    ck_assert_str_eq(run.err, ""); /* "a b" had nothing, so nothing of it goes */
    ck_assert_int_eq(run.code, CTL_OK);
    ck_assert_ptr_nonnull(strstr(run.out, "applied: 2 changes, revision 43; taken back at "));
    ck_assert_ptr_nonnull(strstr(run.out, " unless you say: lbctl confirm (undo: lbctl reject)\n"));
    fake_run_fini(&run);
    tear_down();
}
END_TEST

START_TEST(files_that_will_not_do)
{
    static const struct {
        const char *text; /* NULL: no such file */
        const char *want;
        enum ctl_exit code;
    } cases[] = {
        {NULL, "lbctl: cannot open '%s': No such file or directory\n", CTL_USAGE},
        {"", "lbctl: not applied: %s:1:1: ", CTL_INVALID},
        {"{\n  \"a\": 01\n}", "lbctl: not applied: %s:2:", CTL_INVALID},
        {"[]", "lbctl: not applied: %s:1:1: must be an object\n", CTL_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[256];
        set_up();
        (void)unlink(file);
        if (cases[i].text != NULL) {
            FILE *out = fopen(file, "we");
            ck_assert_ptr_nonnull(out);
            (void)fputs(cases[i].text, out);
            (void)fclose(out);
        }
        const char *at = strstr(cases[i].want, "%s");
        (void)snprintf(want, sizeof(want), "%.*s%s%s", (int)(at - cases[i].want), cases[i].want,
                       file, at + 2);
        struct fake_run run = fake_lbctl(NULL, 0, "apply", "-f", file, NULL);
        ck_assert_msg(strncmp(run.err, want, strlen(want)) == 0, "got %s, expected %s", run.err,
                      want);
        ck_assert_int_eq(run.code, cases[i].code);
        fake_run_fini(&run);
        tear_down();
    }
    struct fake_run run = fake_lbctl(NULL, 0, "apply", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_apply", applies_what_the_file_says, a_dry_run_changes_nothing,
           the_same_again_is_unchanged, all_errors_with_their_places, who_was_overtaken_tries_again,
           but_not_for_ever, managed_elsewhere_is_a_conflict, asks_before_traffic_drops,
           an_owner_and_a_time_to_confirm, files_that_will_not_do)
