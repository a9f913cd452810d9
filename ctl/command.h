/*
 * command - the words that lbctl understands, in one table.
 *
 * A row is a command: its word, its arguments and options, what it says about itself and the
 * function that runs it. The parser, the help, the completion and a test that compares lbctl(1)
 * with the table all read the same rows.
 *
 * Options may stand before and after the command's word and take their value as the next word or
 * after '='; "--" ends them.
 *
 * Memory: constant tables; a parsed line borrows from argv. Threads: one.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/ctl.h"

enum command_option {
    COMMAND_SOCKET,
    COMMAND_OUTPUT,
    COMMAND_COLOR,
    COMMAND_TIMEOUT,
    COMMAND_TRACE,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_FILE,
    COMMAND_DRY_RUN,
    COMMAND_REASON,
    COMMAND_WAIT,
    COMMAND_FOR,
    COMMAND_OPTION_COUNT
};

struct command_option_row {
    const char *word;     /* "--socket" */
    char letter;          /* 'o', or '\0' */
    const char *argument; /* "PATH", or NULL */
    const char *summary;
};

/* What an argument names, for completion. */
enum command_names {
    COMMAND_NO_NAMES,
    COMMAND_KINDS,
    COMMAND_SERVERS,
    COMMAND_POOLS_SERVERS,
    COMMAND_COMMANDS,
    COMMAND_SHELLS
};

struct command {
    const char *word;
    const char *arguments; /* as help shows them; "" when there are none */
    const char *summary;
    const char *details; /* sentences, or NULL */
    uint32_t options;    /* bit n: command_option n; the global ones are understood anyway */
    uint8_t arg_min;
    uint8_t arg_max;
    enum command_names names; /* of the first argument */
    enum ctl_exit (*run)(struct ctl *ctl);
};

extern const struct command_option_row command_option_rows[COMMAND_OPTION_COUNT];
extern const struct command command_rows[];
extern const size_t command_count;
/* Bits of the options that every command takes. */
extern const uint32_t command_global_options;

/* NULL: there is none. */
const struct command *command_find(const char *word);
const struct command_option_row *command_option_find(const char *word, enum command_option *option);

/* Reads a command line (argv[0] is skipped) into *ctl. NULL: said why on ctl->err, or did what
 * --help and --version ask; *code says how to end. */
const struct command *command_parse(struct ctl *ctl, int argc, char *const argv[],
                                    enum ctl_exit *code);

/* All commands, or one. */
void command_write_help(FILE *out, const struct command *command);
/* `lbctl help [COMMAND]` */
enum ctl_exit command_help(struct ctl *ctl);

/* The word of `words` (NULL-terminated) that `typed` was probably meant to be: at most two letters
 * wrong, missing, too many or swapped. NULL: none comes near. */
const char *command_near(const char *typed, const char *const words[]);

#endif
