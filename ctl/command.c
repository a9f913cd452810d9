#include "ctl/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cmd_config.h"
#include "ctl/cmd_get.h"
#include "ctl/cmd_server.h"
#include "ctl/cmd_status.h"
#include "ctl/cmd_wait.h"
#include "ctl/completion.h"
#include "lbd/base/num.h"
#include "lbd_version.h"

#define BIT(option) (UINT32_C(1) << (unsigned)(option))

static const uint64_t timeout_max_ms = UINT64_C(366) * 24 * 3600 * 1000;

const struct command_option_row command_option_rows[COMMAND_OPTION_COUNT] = {
    [COMMAND_SOCKET] = {"--socket", 's', "PATH",
                        "the socket of lbd's API (else $LBCTL_SOCKET, else where lbd puts it)"},
    [COMMAND_OUTPUT] = {"--output", 'o', "FORMAT", "table, wide, json, jsonl or name"},
    [COMMAND_COLOR] = {"--color", '\0', "WHEN", "auto, always or never"},
    [COMMAND_TIMEOUT] = {"--timeout", '\0', "TIME",
                         "give up after this long: an answer 10s, a wait 60s"},
    [COMMAND_TRACE] = {"--trace", '\0', NULL, "show each question as a line of curl"},
    [COMMAND_HELP] = {"--help", 'h', NULL, "say what a command does"},
    [COMMAND_VERSION] = {"--version", '\0', NULL, "say which lbctl this is"},
    [COMMAND_FILE] = {"--file", 'f', "FILE", "the configuration; - reads it from stdin"},
    [COMMAND_DRY_RUN] = {"--dry-run", '\0', NULL, "say what would change and change nothing"},
    [COMMAND_REASON] = {"--reason", '\0', "TEXT", "why, for those who look at it later"},
    [COMMAND_WAIT] = {"--wait", '\0', NULL, "return when no connection is left"},
    [COMMAND_FOR] = {"--for", '\0', "WHAT", "ready, drained or servers=N"},
};

const uint32_t command_global_options =
    BIT(COMMAND_SOCKET) | BIT(COMMAND_OUTPUT) | BIT(COMMAND_COLOR) | BIT(COMMAND_TIMEOUT) |
    BIT(COMMAND_TRACE) | BIT(COMMAND_HELP) | BIT(COMMAND_VERSION);

const struct command command_rows[] = {
    {
        .word = "status",
        .arguments = "",
        .summary = "one screen: what runs, how its servers are, what is wrong",
        .run = cmd_status,
    },
    {
        .word = "get",
        .arguments = "KIND [NAME]",
        .summary = "list what is configured, and how it is",
        .details = "KIND is listeners, routes, pools, servers or health-checks (or the singular), "
                   "or config:\nthe whole document, which `lbctl apply -f` and `lbd -c` take "
                   "again. The name of a server is\nPOOL/SERVER; `get servers POOL` lists one "
                   "pool.",
        .arg_min = 1,
        .arg_max = 2,
        .names = COMMAND_KINDS,
        .run = cmd_get,
    },
    {
        .word = "apply",
        .arguments = "-f FILE",
        .summary = "make the configuration what a file says, all of it or nothing",
        .details = "The file may hold comments and trailing commas. Its key `daemon` is for lbd's "
                   "start and is\nleft out. What ran before is kept, and the command that brings "
                   "it back is printed.",
        .options = BIT(COMMAND_FILE) | BIT(COMMAND_DRY_RUN),
        .run = cmd_config_apply,
    },
    {
        .word = "drain",
        .arguments = "POOL/SERVER",
        .summary = "send a server nothing new and let it finish what it has",
        .details = "A server's name alone will do where only one pool has it.",
        .options = BIT(COMMAND_REASON) | BIT(COMMAND_WAIT),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_SERVERS,
        .run = cmd_server_drain,
    },
    {
        .word = "enable",
        .arguments = "POOL/SERVER",
        .summary = "send a server its share again",
        .options = BIT(COMMAND_REASON),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_SERVERS,
        .run = cmd_server_enable,
    },
    {
        .word = "maint",
        .arguments = "POOL/SERVER",
        .summary = "take a server out for maintenance, without checks",
        .options = BIT(COMMAND_REASON) | BIT(COMMAND_WAIT),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_SERVERS,
        .run = cmd_server_maint,
    },
    {
        .word = "wait",
        .arguments = "POOL[/SERVER] --for WHAT",
        .summary = "return when something has become true",
        .details = "ready: every server that is not taken out is up, and there is one. drained: "
                   "taken out, and no\nconnection left. servers=N: at least N servers may receive "
                   "requests. With --timeout 0 it asks\nonce and ends with 0 for yes and 1 for "
                   "no.",
        .options = BIT(COMMAND_FOR),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_POOLS_SERVERS,
        .run = cmd_wait,
    },
    {
        .word = "version",
        .arguments = "",
        .summary = "which lbctl this is, and which lbd answers",
        .run = cmd_status_version,
    },
    {
        .word = "help",
        .arguments = "[COMMAND]",
        .summary = "what a command does",
        .arg_max = 1,
        .names = COMMAND_COMMANDS,
        .run = command_help,
    },
    {
        .word = "completion",
        .arguments = "bash|zsh",
        .summary = "print the script that completes lbctl's words in a shell",
        .details = "Try it: . <(lbctl completion bash)",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_SHELLS,
        .run = completion_script,
    },
};

const size_t command_count = ARRAY_LEN(command_rows);

const struct command *command_find(const char *word)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(command_rows[i].word, word) == 0) {
            return &command_rows[i];
        }
    }
    return NULL;
}

const struct command_option_row *command_option_find(const char *word, enum command_option *option)
{
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        const struct command_option_row *row = &command_option_rows[i];
        bool is_letter =
            row->letter != '\0' && word[0] == '-' && word[1] == row->letter && word[2] == '\0';
        if (is_letter || strcmp(row->word, word) == 0) {
            *option = (enum command_option)i;
            return row;
        }
    }
    return NULL;
}

/* Damerau-Levenshtein in its restricted form: a pair of letters is swapped at most once. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t rows[3][LONGEST + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above_that[j - 2] + 1 < best) {
                best = above_that[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *command_near(const char *typed, const char *const words[])
{
    enum { FAR = 3 };
    const char *nearest = NULL;
    size_t best = FAR;
    for (; *words != NULL; words++) {
        size_t steps = distance(typed, *words);
        if (steps < best && steps < strlen(*words)) {
            best = steps;
            nearest = *words;
        }
    }
    return nearest;
}

/* "lbctl: no command 'drian'; did you mean 'drain'?" */
static enum ctl_exit unknown(struct ctl *ctl, const char *kind, const char *typed,
                             const char *const words[])
{
    const char *near = command_near(typed, words);
    if (near != NULL) {
        ctl_fail(ctl, CTL_USAGE, "no %s '%s'; did you mean '%s'?", kind, typed, near);
    } else {
        ctl_fail(ctl, CTL_USAGE, "no %s '%s'", kind, typed);
    }
    ctl_hint(ctl, "lbctl help");
    return CTL_USAGE;
}

static enum ctl_exit unknown_command(struct ctl *ctl, const char *typed)
{
    const char *words[ARRAY_LEN(command_rows) + 1] = {NULL};
    for (size_t i = 0; i < command_count; i++) {
        words[i] = command_rows[i].word;
    }
    return unknown(ctl, "command", typed, words);
}

static enum ctl_exit unknown_option(struct ctl *ctl, const char *typed)
{
    const char *words[COMMAND_OPTION_COUNT + 1] = {NULL};
    for (size_t i = 0; i < COMMAND_OPTION_COUNT; i++) {
        words[i] = command_option_rows[i].word;
    }
    return unknown(ctl, "option", typed, words);
}

static enum ctl_exit take_output(struct ctl *ctl, const char *value)
{
    static const char *const words[] = {
        [CTL_TABLE] = "table", [CTL_WIDE] = "wide", [CTL_JSON] = "json",
        [CTL_JSONL] = "jsonl", [CTL_NAME] = "name",
    };
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i], value) == 0) {
            ctl->output = (enum ctl_output)i;
            return CTL_OK;
        }
    }
    return ctl_fail(ctl, CTL_USAGE, "--output must be table, wide, json, jsonl or name, not '%s'",
                    value);
}

static enum ctl_exit take_color(struct ctl *ctl, const char *value)
{
    if (strcmp(value, "always") == 0 || strcmp(value, "never") == 0) {
        ctl->color = value[0] == 'a';
    } else if (strcmp(value, "auto") != 0) {
        return ctl_fail(ctl, CTL_USAGE, "--color must be auto, always or never, not '%s'", value);
    }
    return CTL_OK;
}

static enum ctl_exit take_timeout(struct ctl *ctl, const char *value)
{
    if (!num_parse_duration_ms(slice_from(value), &ctl->timeout_ms) ||
        ctl->timeout_ms > timeout_max_ms) {
        return ctl_fail(ctl, CTL_USAGE,
                        "--timeout must be a time such as 500ms, 30s or 2m, not '%s'", value);
    }
    ctl->timeout_given = true;
    return CTL_OK;
}

static enum ctl_exit take_option(struct ctl *ctl, enum command_option option, const char *value)
{
    switch (option) {
    case COMMAND_SOCKET:
        ctl->socket_path = value;
        return CTL_OK;
    case COMMAND_OUTPUT:
        return take_output(ctl, value);
    case COMMAND_COLOR:
        return take_color(ctl, value);
    case COMMAND_TIMEOUT:
        return take_timeout(ctl, value);
    case COMMAND_TRACE:
        ctl->trace = true;
        return CTL_OK;
    case COMMAND_FILE:
        ctl->file = value;
        return CTL_OK;
    case COMMAND_DRY_RUN:
        ctl->dry_run = true;
        return CTL_OK;
    case COMMAND_REASON:
        ctl->reason = value;
        return CTL_OK;
    case COMMAND_WAIT:
        ctl->wait = true;
        return CTL_OK;
    case COMMAND_FOR:
        ctl->until = value;
        return CTL_OK;
    case COMMAND_HELP:
    case COMMAND_VERSION:
    case COMMAND_OPTION_COUNT:
        break;
    }
    return CTL_OK; /* the parser has seen to them */
}

/* A command line on its way into struct ctl. */
struct parser {
    struct ctl *ctl;
    int argc;
    char *const *argv;
    int at;
    bool options_ended;
    uint32_t seen; /* bit n: option n was given */
    const struct command *command;
};

/* Takes argv[at], an option, and its value. */
static enum ctl_exit parse_option(struct parser *parser)
{
    enum command_option option;
    char word[32];
    const char *typed = parser->argv[parser->at];
    const char *equals = strncmp(typed, "--", 2) == 0 ? strchr(typed, '=') : NULL;
    size_t len = equals != NULL ? (size_t)(equals - typed) : strlen(typed);
    if (len >= sizeof(word)) {
        return unknown_option(parser->ctl, typed);
    }
    memcpy(word, typed, len);
    word[len] = '\0';

    const char *value = equals != NULL ? equals + 1 : NULL;
    const struct command_option_row *row = command_option_find(word, &option);
    if (row == NULL && typed[1] != '-' && typed[2] != '\0') { /* -ojson */
        value = typed + 2;
        word[2] = '\0';
        row = command_option_find(word, &option);
    }
    if (row == NULL) {
        return unknown_option(parser->ctl, typed);
    }
    if (row->argument == NULL && value != NULL) {
        return ctl_fail(parser->ctl, CTL_USAGE, "%s takes no value", row->word);
    }
    if (row->argument != NULL && value == NULL) {
        if (parser->at + 1 >= parser->argc) {
            return ctl_fail(parser->ctl, CTL_USAGE, "%s needs %s", row->word, row->argument);
        }
        value = parser->argv[++parser->at];
    }
    parser->seen |= BIT(option);
    return take_option(parser->ctl, option, value);
}

static enum ctl_exit parse_word(struct parser *parser)
{
    struct ctl *ctl = parser->ctl;
    const char *typed = parser->argv[parser->at];
    if (!parser->options_ended && typed[0] == '-' && typed[1] != '\0') {
        if (strcmp(typed, "--") == 0) {
            parser->options_ended = true;
            return CTL_OK;
        }
        return parse_option(parser);
    }
    if (parser->command == NULL) {
        parser->command = command_find(typed);
        return parser->command != NULL ? CTL_OK : unknown_command(ctl, typed);
    }
    if (ctl->arg_count == parser->command->arg_max || ctl->arg_count == CTL_ARGS_MAX) {
        return ctl_fail(ctl, CTL_USAGE, "'%s' is too much: lbctl %s%s%s", typed,
                        parser->command->word, parser->command->arguments[0] != '\0' ? " " : "",
                        parser->command->arguments);
    }
    ctl->args[ctl->arg_count++] = typed;
    return CTL_OK;
}

/* Do the options belong to the command, and are its arguments there? */
static enum ctl_exit check(const struct parser *parser)
{
    const struct command *command = parser->command;
    uint32_t foreign = parser->seen & ~(command->options | command_global_options);
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        if ((foreign & BIT(i)) != 0) {
            ctl_fail(parser->ctl, CTL_USAGE, "%s does not go with '%s'",
                     command_option_rows[i].word, command->word);
            ctl_hint(parser->ctl, "lbctl help %s", command->word);
            return CTL_USAGE;
        }
    }
    if (parser->ctl->arg_count < command->arg_min) {
        return ctl_fail(parser->ctl, CTL_USAGE, "something is missing: lbctl %s %s", command->word,
                        command->arguments);
    }
    return CTL_OK;
}

const struct command *command_parse(struct ctl *ctl, int argc, char *const argv[],
                                    enum ctl_exit *code)
{
    struct parser parser = {.ctl = ctl, .argc = argc, .argv = argv};
    for (parser.at = 1; parser.at < argc; parser.at++) {
        *code = parse_word(&parser);
        if (*code != CTL_OK) {
            return NULL;
        }
    }
    *code = CTL_OK;
    if ((parser.seen & BIT(COMMAND_VERSION)) != 0) {
        (void)fprintf(ctl->out, "lbctl %s\n", LBD_VERSION);
        return NULL;
    }
    if ((parser.seen & BIT(COMMAND_HELP)) != 0) {
        command_write_help(ctl->out, parser.command);
        return NULL;
    }
    if (parser.command == NULL) {
        command_write_help(ctl->err, NULL);
        *code = CTL_USAGE;
        return NULL;
    }
    *code = check(&parser);
    return *code == CTL_OK ? parser.command : NULL;
}

static void write_options(FILE *out, uint32_t options)
{
    enum { COLUMN = 22 };
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        const struct command_option_row *row = &command_option_rows[i];
        if ((options & BIT(i)) == 0) {
            continue;
        }
        char letter[] = {'-', row->letter, ',', ' ', '\0'};
        int used =
            fprintf(out, "  %s%s%s%s", row->letter != '\0' ? letter : "    ", row->word,
                    row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        (void)fprintf(out, "%*s%s\n", used < COLUMN ? COLUMN - used + 2 : 2, "", row->summary);
    }
}

static void write_all_commands(FILE *out)
{
    (void)fputs("lbctl [OPTIONS] COMMAND [ARGUMENTS] - look at lbd and change it while it runs\n\n"
                "commands:\n",
                out);
    for (size_t i = 0; i < command_count; i++) {
        (void)fprintf(out, "  %-11s %s\n", command_rows[i].word, command_rows[i].summary);
    }
    (void)fputs("\noptions for all of them:\n", out);
    write_options(out, command_global_options);
    (void)fputs("\nexit codes: 0 done, 1 no, 2 usage, 3 cannot reach lbd, 4 not allowed, 5 not "
                "found, 6 conflict,\n            7 not valid, 8 timed out, 9 refused, 70 a bug\n",
                out);
}

void command_write_help(FILE *out, const struct command *command)
{
    if (command == NULL) {
        write_all_commands(out);
        return;
    }
    (void)fprintf(out, "lbctl %s%s%s - %s\n", command->word,
                  command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (command->details != NULL) {
        (void)fprintf(out, "\n%s\n", command->details);
    }
    if (command->options != 0) {
        (void)fputs("\noptions:\n", out);
        write_options(out, command->options);
    }
    (void)fputs("\noptions for all commands:\n", out);
    write_options(out, command_global_options);
}

enum ctl_exit command_help(struct ctl *ctl)
{
    const struct command *command = NULL;
    if (ctl->arg_count == 1) {
        command = command_find(ctl->args[0]);
        if (command == NULL) {
            return unknown_command(ctl, ctl->args[0]);
        }
    }
    command_write_help(ctl->out, command);
    return CTL_OK;
}
