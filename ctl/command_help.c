/* The help texts, made from the rows. */
#include <string.h>

#include "ctl/command.h"

enum { OPTION_COLUMN = 24, WORD_COLUMN = 16 };

const char *const command_section_titles[COMMAND_SECTION_COUNT] = {
    [COMMAND_LOOK] = "look",
    [COMMAND_CHANGE] = "change the configuration",
    [COMMAND_RUN] = "servers and listeners while they run",
    [COMMAND_PAST] = "what was, and back to it",
    [COMMAND_CERTS] = "certificates",
    [COMMAND_MAIL] = "users of mail",
    [COMMAND_ACCESS] = "who is let in, and where lbd is",
    [COMMAND_SELF] = "lbctl itself",
};

static void write_options(FILE *out, uint64_t options)
{
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        const struct command_option_row *row = &command_option_rows[i];
        if ((options & COMMAND_BIT(i)) == 0) {
            continue;
        }
        char letter[] = {'-', row->letter, ',', ' ', '\0'};
        int used =
            fprintf(out, "  %s%s%s%s", row->letter != '\0' ? letter : "    ", row->word,
                    row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        int gap = used < OPTION_COLUMN ? OPTION_COLUMN - used + 2 : 2;
        (void)fprintf(out, "%*s%s\n", gap, "", row->summary);
    }
}

static void write_row(FILE *out, const struct command *command)
{
    (void)fprintf(out, "  %-*s  %s\n", WORD_COLUMN, command->word, command->summary);
}

static void write_all_commands(FILE *out)
{
    (void)fputs("lbctl [OPTIONS] COMMAND [ARGUMENTS] - look at lbd and change it while it runs\n",
                out);
    for (unsigned section = 0; section < COMMAND_SECTION_COUNT; section++) {
        (void)fprintf(out, "\n%s:\n", command_section_titles[section]);
        for (size_t i = 0; i < command_count; i++) {
            if (command_rows[i].section == section) {
                write_row(out, &command_rows[i]);
            }
        }
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
    (void)fprintf(out, "lbctl %s%s%s\n\n%s\n", command->word,
                  command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (command->details != NULL) {
        (void)fprintf(out, "%s\n", command->details);
    }
    if (command->options != 0) {
        (void)fputs("\noptions:\n", out);
        write_options(out, command->options);
    }
    (void)fputs("\noptions for all commands:\n", out);
    write_options(out, command_global_options);
}

void command_write_group_help(FILE *out, const char *word)
{
    size_t len = strlen(word);
    (void)fprintf(out, "lbctl %s ... is one of:\n", word);
    for (size_t i = 0; i < command_count; i++) {
        const char *row = command_rows[i].word;
        if (strncmp(row, word, len) == 0 && (row[len] == ' ' || row[len] == '\0')) {
            write_row(out, &command_rows[i]);
        }
    }
}

enum ctl_exit command_help(struct ctl *ctl)
{
    const struct command *command = NULL;
    if (ctl->arg_count != 0) {
        const char *second = ctl->arg_count > 1 ? ctl->args[1] : NULL;
        command = command_find(ctl->args[0], second);
        if (command == NULL && second == NULL && command_is_group(ctl->args[0])) {
            command_write_group_help(ctl->out, ctl->args[0]);
            return CTL_OK;
        }
        if (command == NULL) {
            return command_unknown(ctl, ctl->args[0]);
        }
    }
    command_write_help(ctl->out, command);
    return CTL_OK;
}
