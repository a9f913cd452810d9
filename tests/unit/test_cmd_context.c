#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/cmd_context.h"
#include "ctl/command.h"
#include "tests/unit/unit.h"

static char home[64];
static char *out;
static char *err;

/* Runs a line whose words are separated by single spaces; what was said is in `out` and `err`. */
static enum ctl_exit run(const char *line, const char *input)
{
    char words[512];
    char *argv[16] = {NULL};
    int argc = 0;
    size_t lengths[2];
    struct ctl ctl;
    enum ctl_exit code = CTL_OK;
    char *rest = words;
    free(out);
    free(err);
    (void)snprintf(words, sizeof(words), "lbctl %s", line);
    while (rest != NULL && argc < 15) {
        argv[argc++] = strsep(&rest, " ");
    }
    ctl_init(&ctl);
    ctl.out = open_memstream(&out, &lengths[0]);
    ctl.err = open_memstream(&err, &lengths[1]);
    ctl.in = input != NULL ? fmemopen((void *)(uintptr_t)input, strlen(input), "r") : stdin;
    const struct command *command = command_parse(&ctl, argc, argv, &code);
    if (command != NULL) {
        code = command->run(&ctl);
    }
    (void)fclose(ctl.out);
    (void)fclose(ctl.err);
    if (input != NULL) {
        (void)fclose(ctl.in);
    }
    return code;
}

static void begin(void)
{
    (void)strcpy(home, "/tmp/test-cmd-context-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", home, 1), 0);
    ck_assert_int_eq(unsetenv("LBCTL_SOCKET"), 0);
    ck_assert_int_eq(unsetenv("LBCTL_CONTEXT"), 0);
}

static void end(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", home);
    ck_assert_int_eq(system(command), 0);
    free(out);
    free(err);
    out = NULL;
    err = NULL;
}

START_TEST(contexts_are_added_used_and_removed)
{
    char path[128];
    struct stat found;
    begin();
    ck_assert_int_eq(run("context list", NULL), CTL_OK);
    ck_assert_int_eq(run("context use shop", NULL), CTL_NOT_FOUND);
    ck_assert_int_eq(run("context add here --socket /run/x.sock", NULL), CTL_OK);
    ck_assert_str_eq(out, "added context here: /run/x.sock (undo: lbctl context remove here)\n");
    ck_assert_str_eq(err, "hint: lbctl context use here\n");
    ck_assert_int_eq(
        run("context add shop --url https://lb1.example.com:9443 --token-file -", "lbd_abc\n"),
        CTL_OK);
    ck_assert_ptr_null(strstr(out, "lbd_abc"));
    (void)snprintf(path, sizeof(path), "%s/lbd/shop.token", home);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0600);
    ck_assert_int_eq(run("context use here", NULL), CTL_OK);
    ck_assert_int_eq(run("context use shop", NULL), CTL_OK);
    ck_assert_str_eq(out, "using context shop (undo: lbctl context use here)\n");
    ck_assert_int_eq(run("context list", NULL), CTL_OK);
    ck_assert_str_eq(out, "NAME  CURRENT  WHERE                         SHOWS\n"
                          "here  -        /run/x.sock                   -\n"
                          "shop  current  https://lb1.example.com:9443  token\n");
    ck_assert_int_eq(run("context list -o name", NULL), CTL_OK);
    ck_assert_str_eq(out, "here\nshop\n");
    ck_assert_int_eq(run("context add here --socket /run/y.sock", NULL), CTL_OK);
    ck_assert_str_eq(out, "replaced context here: /run/y.sock "
                          "(undo: lbctl context add here --socket /run/x.sock)\n");
    ck_assert_int_eq(run("context add shop --url https://lb2:9443 --token-file -", "lbd_b\n"),
                     CTL_OK);
    ck_assert_ptr_nonnull(strstr(out, "(undo: lbctl context add shop --url "
                                      "https://lb1.example.com:9443 --token-file "));
    ck_assert_ptr_nonnull(strstr(out, "/lbd/shop.token; its former token is gone)\n"));
    ck_assert_int_eq(run("context remove shop", NULL), CTL_OK);
    ck_assert_int_ne(stat(path, &found), 0); /* its token went with it */
    ck_assert_int_eq(run("context remove shop", NULL), CTL_NOT_FOUND);
    end();
}
END_TEST

static const struct {
    const char *line;
    const char *input;
    const char *has;
} wrong[] = {
    {"context add a", NULL, "say where it is"},
    {"context add a --socket /x --url https://a", NULL, "say where it is"},
    {"context add a/b --socket /x", NULL, "cannot be a name"},
    {"context add .. --socket /x", NULL, "cannot be a name"},
    {"context add a --url nonsense", NULL, "is no URL"},
    {"context add a --url http://example.com", NULL, "in the clear"},
    {"context add a --url https://a --ca /nowhere", NULL, "cannot find '/nowhere'"},
    {"context add a --url https://a --cert /dev/null", NULL, "needs its key"},
    {"context add a --url https://a --token-file /nowhere", NULL, "cannot find '/nowhere'"},
    {"context add a --url https://a --token-file -", "\n", "holds no token"},
    {"context add a --url https://a --token-file -", " ", "holds no token"},
    {"context add a --url https://a --token lbd_abc", NULL, "no option '--token'"},
};

START_TEST(mistakes_are_told_and_nothing_is_kept)
{
    begin();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        enum ctl_exit code = run(wrong[i].line, wrong[i].input);
        ck_assert_msg(code == CTL_USAGE, "%s: %d %s", wrong[i].line, (int)code, err);
        ck_assert_msg(strstr(err, wrong[i].has) != NULL, "%s: %s", wrong[i].line, err);
    }
    ck_assert_int_eq(run("context list -o name", NULL), CTL_OK);
    ck_assert_str_eq(out, "");
    (void)run("context add x --socket /x", NULL); /* so that there is something to remove */
    end();
}
END_TEST

/* Flag, then environment, then the file. */
START_TEST(one_is_meant)
{
    static const struct {
        const char *line; /* options of `version` */
        const char *context;
        const char *socket;
        const char *has;
    } cases[] = {
        {"", NULL, NULL, "/tmp/lbd-test-current.sock"},
        {"", "other", NULL, "/tmp/lbd-test-other.sock"},
        {"", NULL, "/tmp/lbd-test-env.sock", "/tmp/lbd-test-env.sock"},
        {"", "other", "/tmp/lbd-test-env.sock", "/tmp/lbd-test-other.sock"},
        {" --context current", "other", NULL, "/tmp/lbd-test-current.sock"},
        {" --socket /tmp/lbd-test-flag.sock", "other", NULL, "/tmp/lbd-test-flag.sock"},
        {" --url https://127.0.0.1:1", "other", NULL, "https://127.0.0.1:1"},
        {" --context no", NULL, NULL, "there is no context 'no'"},
        {"", "no", NULL, "there is no context 'no'"},
        {" --context other --socket /x", NULL, NULL, "exclude each other"},
        {" --ca /x", NULL, NULL, "certificates go with a URL"},
    };
    begin();
    ck_assert_int_eq(run("context add current --socket /tmp/lbd-test-current.sock", NULL), CTL_OK);
    ck_assert_int_eq(run("context add other --socket /tmp/lbd-test-other.sock", NULL), CTL_OK);
    ck_assert_int_eq(run("context use current", NULL), CTL_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[128];
        (void)setenv("LBCTL_CONTEXT", cases[i].context != NULL ? cases[i].context : "", 1);
        (void)setenv("LBCTL_SOCKET", cases[i].socket != NULL ? cases[i].socket : "", 1);
        (void)snprintf(line, sizeof(line), "status%s", cases[i].line);
        ck_assert_int_ne(run(line, NULL), CTL_OK);
        ck_assert_msg(strstr(err, cases[i].has) != NULL, "%zu: %s", i, err);
    }
    end();
    (void)unsetenv("LBCTL_CONTEXT");
    (void)unsetenv("LBCTL_SOCKET");
}
END_TEST

UNIT_TESTS("cmd_context", contexts_are_added_used_and_removed,
           mistakes_are_told_and_nothing_is_kept, one_is_meant)
