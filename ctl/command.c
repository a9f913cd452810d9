#include "ctl/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/num.h"
#include "lbd_version.h"

static const uint64_t timeout_max_ms = UINT64_C(366) * 24 * 3600 * 1000;

/* "config" and "validate" are "config validate" */
static bool is_word(const char *row, const char *first, const char *second)
{
    size_t len = strlen(first);
    if (second == NULL) {
        return strcmp(row, first) == 0;
    }
    return strncmp(row, first, len) == 0 && row[len] == ' ' && strcmp(row + len + 1, second) == 0;
}

static const struct command *find_exactly(const char *first, const char *second)
{
    for (size_t i = 0; i < command_count; i++) {
        if (is_word(command_rows[i].word, first, second)) {
            return &command_rows[i];
        }
    }
    return NULL;
}

const struct command *command_find(const char *first, const char *second)
{
    const struct command *command = second != NULL ? find_exactly(first, second) : NULL;
    return command != NULL ? command : find_exactly(first, NULL);
}

bool command_is_group(const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < command_count; i++) {
        if (strncmp(command_rows[i].word, word, len) == 0 && command_rows[i].word[len] == ' ') {
            return true;
        }
    }
    return false;
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

/* Which of the words of commands with this first word (NULL: of all commands) was meant? */
static enum ctl_exit unknown_word(struct ctl *ctl, const char *group, const char *typed)
{
    enum { WORDS_MAX = 96, FIRST_MAX = 32 };
    const char *words[WORDS_MAX + 1] = {NULL};
    char first[WORDS_MAX][FIRST_MAX];
    char kind[FIRST_MAX + sizeof("command of ")];
    size_t count = 0;
    size_t len = group != NULL ? strlen(group) : 0;
    for (size_t i = 0; i < command_count && count < WORDS_MAX; i++) {
        const char *word = command_rows[i].word;
        if (group == NULL) {
            (void)snprintf(first[count], FIRST_MAX, "%.*s", (int)strcspn(word, " "), word);
            words[count] = first[count];
            count++;
        } else if (strncmp(word, group, len) == 0 && word[len] == ' ') {
            words[count++] = word + len + 1;
        }
    }
    (void)snprintf(kind, sizeof(kind), "%s%s", group != NULL ? "command of " : "command",
                   group != NULL ? group : "");
    return unknown(ctl, kind, typed, words);
}

enum ctl_exit command_unknown(struct ctl *ctl, const char *typed)
{
    return unknown_word(ctl, NULL, typed);
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

/* An option that may be given again. */
static enum ctl_exit take_repeat(struct ctl *ctl, const char *option, const char *list[],
                                 uint32_t *count, const char *value)
{
    if (*count == CTL_REPEATS_MAX) {
        return ctl_fail(ctl, CTL_USAGE, "%s is given too often", option);
    }
    list[(*count)++] = value;
    return CTL_OK;
}

static enum ctl_exit take_label(struct ctl *ctl, const char *value)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value) {
        return ctl_fail(ctl, CTL_USAGE, "--label must be KEY=VALUE, not '%s'", value);
    }
    return take_repeat(ctl, "--label", ctl->labels, &ctl->label_count, value);
}

static enum ctl_exit take_header(struct ctl *ctl, const char *value)
{
    const char *colon = strchr(value, ':');
    if (colon == NULL || colon == value) {
        return ctl_fail(ctl, CTL_USAGE, "--header must be 'NAME: VALUE', not '%s'", value);
    }
    return take_repeat(ctl, "--header", ctl->headers, &ctl->header_count, value);
}

static enum ctl_exit take_special(struct ctl *ctl, enum command_option option, const char *value)
{
    switch (option) {
    case COMMAND_OUTPUT:
        return take_output(ctl, value);
    case COMMAND_COLOR:
        return take_color(ctl, value);
    case COMMAND_TIMEOUT:
        return take_timeout(ctl, value);
    case COMMAND_LABEL:
        return take_label(ctl, value);
    case COMMAND_HEADER:
        return take_header(ctl, value);
    default:
        return CTL_OK; /* --help and --version: the parser has seen to them */
    }
}

static enum ctl_exit take_option(struct ctl *ctl, enum command_option option, const char *value)
{
    const struct command_option_row *row = &command_option_rows[option];
    char *place = (char *)ctl + row->place;
    uint64_t number;
    switch (row->value) {
    case COMMAND_FLAG:
        *(bool *)place = true;
        return CTL_OK;
    case COMMAND_TIME:
        if (!num_parse_duration_ms(slice_from(value), &number)) {
            return ctl_fail(ctl, CTL_USAGE, "%s must be a time such as 30s, 2m or 1h, not '%s'",
                            row->word, value);
        }
        break;
    case COMMAND_COUNT:
        if (!num_parse_u64(slice_from(value), &number) || number == 0) {
            return ctl_fail(ctl, CTL_USAGE, "%s must be a number, 1 or more, not '%s'", row->word,
                            value);
        }
        break;
    case COMMAND_TEXT:
        break;
    case COMMAND_SPECIAL:
        return take_special(ctl, option, value);
    }
    *(const char **)(void *)place = value;
    return CTL_OK;
}

/* A command line on its way into struct ctl. */
struct parser {
    struct ctl *ctl;
    int argc;
    char *const *argv;
    int at;
    bool options_ended;
    uint64_t seen;     /* bit n: option n was given */
    const char *first; /* the command's first word */
    bool is_complete;  /* its second word was seen, or there is none */
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
    parser->seen |= COMMAND_BIT(option);
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
    if (parser->first == NULL) {
        parser->first = typed;
        parser->command = command_find(typed, NULL);
        bool is_known = parser->command != NULL || command_is_group(typed);
        return is_known ? CTL_OK : command_unknown(ctl, typed);
    }
    if (ctl->arg_count == 0 && !parser->is_complete) {
        parser->is_complete = true;
        const struct command *longer = command_find(parser->first, typed);
        if (longer == NULL) {
            return unknown_word(ctl, parser->first, typed);
        }
        if (longer != parser->command) {
            parser->command = longer;
            return CTL_OK;
        }
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
    uint64_t foreign = parser->seen & ~(command->options | command_global_options);
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        if ((foreign & COMMAND_BIT(i)) != 0) {
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

static void write_help(const struct parser *parser, FILE *out)
{
    if (parser->command == NULL && parser->first != NULL) {
        command_write_group_help(out, parser->first);
    } else {
        command_write_help(out, parser->command);
    }
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
    if ((parser.seen & COMMAND_BIT(COMMAND_VERSION)) != 0) {
        (void)fprintf(ctl->out, "lbctl %s\n", LBD_VERSION);
        return NULL;
    }
    if ((parser.seen & COMMAND_BIT(COMMAND_HELP)) != 0) {
        write_help(&parser, ctl->out);
        return NULL;
    }
    if (parser.command == NULL) {
        write_help(&parser, ctl->err);
        *code = CTL_USAGE;
        return NULL;
    }
    *code = check(&parser);
    return *code == CTL_OK ? parser.command : NULL;
}
