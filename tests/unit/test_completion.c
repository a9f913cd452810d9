#include <stdlib.h>
#include <string.h>

#include "ctl/completion.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

static const char pools[] = FAKE_JSON("{\"web\":{\"servers\":{\"anna\":{},\"bert\":{}}},"
                                      "\"api\":{\"servers\":{\"anna\":{}}}}");

static const struct {
    const char *line; /* words separated by spaces; one that ends in a space completes "" */
    const char *asks; /* NULL: nothing */
    const char *want;
} cases[] = {
    {"dr", NULL, "drain\n"},
    {"--so", NULL, "--socket\n"},
    {"drain --r", NULL, "--reason\n"},
    {"drain --dry", NULL, ""},
    {"apply --dry", NULL, "--dry-run\n"},
    {"-o js", NULL, "json\njsonl\n"},
    {"status --color ", NULL, "auto\nalways\nnever\n"},
    {"wait web --for r", NULL, "ready\n"},
    {"get p", NULL, "policies\npools\n"},
    {"help wai", NULL, "wait\n"},
    {"help config v", NULL, "validate\n"},
    {"config ", NULL, "validate\nfmt\nschema\n"},
    {"config validate ", NULL, ""},
    {"completion ", NULL, "bash\nzsh\n"},
    {"apply -f ", NULL, ""}, /* the shell knows files */
    {"status ", NULL, ""},
    {"weight ", "GET /v1/pools", "web/anna\nweb/bert\napi/anna\n"},
    {"maint web/b", "GET /v1/pools", "web/bert\n"},
    {"maint web/anna ", NULL, ""},
    {"wait a", "GET /v1/pools", "api\napi/anna\n"},
    {"get pool ", "GET /v1/pools", "web\napi\n"},
    {"get server web/a", "GET /v1/pools", "web/anna\n"},
    {"get route ", "GET /v1/routes", "web\napi\n"},
    {"get config ", NULL, ""},
    {"set w", "GET /v1/config", "web/\n"},
    {"set web/servers/a", "GET /v1/config", "web/servers/anna/\n"},
};

static void complete(const char *line, const char *asks, const char *socket, char **text)
{
    char copy[256];
    char *words[16];
    int count = 0;
    size_t len;
    struct ctl ctl;
    struct fake_api api;
    const struct fake_turn turns[] = {{asks, pools}};
    fake_api_start(&api, turns, asks != NULL ? 1 : 0);
    (void)snprintf(copy, sizeof(copy), "--socket=%s %s", socket != NULL ? socket : api.path, line);
    for (char *at = copy; at != NULL;) {
        char *end = strchr(at, ' ');
        words[count++] = at;
        if (end != NULL) {
            *end++ = '\0';
        }
        at = end;
    }
    ctl_init(&ctl);
    ctl.out = open_memstream(text, &len);
    ck_assert_int_eq(completion_complete(&ctl, count, words), CTL_OK);
    (void)fclose(ctl.out);
    fake_api_stop(&api);
    fake_api_fini(&api);
}

START_TEST(the_next_word_is_known)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = NULL;
        complete(cases[i].line, cases[i].asks, NULL, &text);
        ck_assert_msg(strcmp(text, cases[i].want) == 0, "%s: got\n%s", cases[i].line, text);
        free(text);
    }
}
END_TEST

START_TEST(silence_when_nobody_answers)
{
    char *text = NULL;
    complete("maint ", NULL, "/tmp/lbctl-test-there-is-no-such-socket", &text);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(scripts_name_what_they_call)
{
    static const char *const shells[] = {"bash", "zsh"};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        struct fake_run run = fake_lbctl(NULL, 0, "completion", shells[i], NULL);
        ck_assert_int_eq(run.code, CTL_OK);
        ck_assert_ptr_nonnull(strstr(run.out, "__complete"));
        fake_run_fini(&run);
    }
    struct fake_run run = fake_lbctl(NULL, 0, "completion", "fish", NULL);
    ck_assert_int_eq(run.code, CTL_USAGE);
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("completion", the_next_word_is_known, silence_when_nobody_answers,
           scripts_name_what_they_call)
