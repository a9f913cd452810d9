#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "tests/unit/unit.h"

/* Parses a line of words; texts of `out` and `err` are the caller's. */
static const struct command *parse(struct ctl *ctl, const char *line, enum ctl_exit *code,
                                   char **out, char **err)
{
    static char words[256];
    char *argv[16];
    int argc = 0;
    size_t out_len;
    size_t err_len;
    (void)snprintf(words, sizeof(words), "lbctl %s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    ctl_init(ctl);
    ctl->out = open_memstream(out, &out_len);
    ctl->err = open_memstream(err, &err_len);
    const struct command *command = command_parse(ctl, argc, argv, code);
    (void)fclose(ctl->out);
    (void)fclose(ctl->err);
    return command;
}

START_TEST(options_stand_anywhere)
{
    static const char *const lines[] = {
        "--socket /s -o json --timeout 2m --trace drain web/a --reason why --wait",
        "drain web/a --wait --reason=why -ojson --trace --timeout=2m --socket=/s",
        "-s /s drain --reason why --output json -- web/a --wait",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct ctl ctl;
        enum ctl_exit code;
        char *out = NULL;
        char *err = NULL;
        const struct command *command = parse(&ctl, lines[i], &code, &out, &err);
        if (i == 2) { /* after "--" an option is an argument, and drain takes one */
            ck_assert_ptr_null(command);
            ck_assert_int_eq(code, CTL_USAGE);
        } else {
            ck_assert_msg(command != NULL, "%s: %s", lines[i], err);
            ck_assert_str_eq(command->word, "drain");
            ck_assert_str_eq(ctl.socket_path, "/s");
            ck_assert_int_eq(ctl.output, CTL_JSON);
            ck_assert(ctl.timeout_given);
            ck_assert_uint_eq(ctl.timeout_ms, 120000);
            ck_assert(ctl.trace);
            ck_assert(ctl.wait);
            ck_assert_str_eq(ctl.reason, "why");
            ck_assert_uint_eq(ctl.arg_count, 1);
            ck_assert_str_eq(ctl.args[0], "web/a");
        }
        free(out);
        free(err);
    }
}
END_TEST

static const struct {
    const char *line;
    const char *want; /* in what is said */
} mistakes[] = {
    {"", "exit codes:"},
    {"statsu", "no command 'statsu'; did you mean 'status'?"},
    {"frobnicate", "no command 'frobnicate'\n"},
    {"status --wiat", "no option '--wiat'; did you mean '--wait'?"},
    {"status -z", "no option '-z'"},
    {"status --wait", "--wait does not go with 'status'"},
    {"status more", "'more' is too much"},
    {"drain", "something is missing: lbctl drain POOL/SERVER"},
    {"drain a b", "'b' is too much"},
    {"status --timeout", "--timeout needs TIME"},
    {"status --timeout soon", "--timeout must be a time"},
    {"status --timeout 30", "--timeout must be a time"},
    {"status --timeout 9000d", "--timeout must be a time"},
    {"status -o yaml", "--output must be table, wide, json, jsonl or name, not 'yaml'"},
    {"status --color blue", "--color must be auto, always or never"},
    {"status --trace=yes", "--trace takes no value"},
};

START_TEST(mistakes_are_named)
{
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        struct ctl ctl;
        enum ctl_exit code = CTL_OK;
        char *out = NULL;
        char *err = NULL;
        ck_assert_ptr_null(parse(&ctl, mistakes[i].line, &code, &out, &err));
        ck_assert_msg(code == CTL_USAGE, "%s: code %d", mistakes[i].line, code);
        ck_assert_msg(strstr(err, mistakes[i].want) != NULL, "%s: said '%s'", mistakes[i].line,
                      err);
        ck_assert_str_eq(out, "");
        free(out);
        free(err);
    }
}
END_TEST

START_TEST(help_and_version_are_answers)
{
    static const char *const lines[] = {"--help", "-h", "drain --help", "--version",
                                        "status --version"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct ctl ctl;
        enum ctl_exit code = CTL_BUG;
        char *out = NULL;
        char *err = NULL;
        ck_assert_ptr_null(parse(&ctl, lines[i], &code, &out, &err));
        ck_assert_int_eq(code, CTL_OK);
        ck_assert_msg(strncmp(out, "lbctl ", 6) == 0, "%s: %s", lines[i], out);
        ck_assert_str_eq(err, "");
        free(out);
        free(err);
    }
}
END_TEST

START_TEST(every_row_is_complete)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &command_rows[i];
        char *text = NULL;
        size_t len;
        ck_assert(command->run != NULL);
        ck_assert_str_ne(command->summary, "");
        ck_assert_uint_le(command->arg_min, command->arg_max);
        ck_assert_uint_le(command->arg_max, CTL_ARGS_MAX);
        ck_assert_ptr_eq(command_find(command->word, NULL), command);
        FILE *out = open_memstream(&text, &len);
        command_write_help(out, command);
        (void)fclose(out);
        ck_assert_ptr_nonnull(strstr(text, command->summary));
        for (const char *line = text; line != NULL && *line != '\0';) {
            const char *end = strchr(line, '\n');
            ck_assert_msg(end - line <= 100, "too wide for a screen: %s", line);
            line = end + 1;
        }
        free(text);
    }
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        enum command_option option;
        const struct command_option_row *row = &command_option_rows[i];
        ck_assert_ptr_eq(command_option_find(row->word, &option), row);
        ck_assert_uint_eq(option, i);
    }
}
END_TEST

START_TEST(near_words_are_found)
{
    static const char *const words[] = {"status", "drain", "enable", "get", NULL};
    static const struct {
        const char *typed;
        const char *want; /* NULL: none is near */
    } cases[] = {
        {"status", "status"},
        {"staus", "status"},
        {"sttaus", "status"},
        {"statusses", NULL},
        {"drian", "drain"},
        {"drin", "drain"},
        {"enabel", "enable"},
        {"xyz", NULL},
        {"", NULL},
        {"gt", "get"},
        {"a-word-so-long-that-nobody-means-any-of-these", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *near = command_near(cases[i].typed, words);
        ck_assert_msg((near == NULL) == (cases[i].want == NULL) &&
                          (near == NULL || strcmp(near, cases[i].want) == 0),
                      "'%s' gives '%s'", cases[i].typed, near != NULL ? near : "nothing");
    }
}
END_TEST

UNIT_TESTS("command", options_stand_anywhere, mistakes_are_named, help_and_version_are_answers,
           every_row_is_complete, near_words_are_found)
