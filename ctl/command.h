/*
 * command - the words that lbctl understands, in one table.
 *
 * A row of command_rows.c is a command: its word or two words ("config validate"), its arguments
 * and options, what it says about itself and the function that runs it. The parser, the help, the
 * completion and a test that compares lbctl(1) with the table all read the same rows.
 *
 * Options may stand before and after the command's words and take their value as the next word or
 * after '='; "--" ends them. Words are never abbreviated.
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
    COMMAND_CONTEXT,
    COMMAND_URL,
    COMMAND_CA,
    COMMAND_CERT,
    COMMAND_KEY,
    COMMAND_TOKEN_FILE,
    COMMAND_OUTPUT,
    COMMAND_COLOR,
    COMMAND_TIMEOUT,
    COMMAND_TRACE,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_FILE,
    COMMAND_OWNER,
    COMMAND_DRY_RUN,
    COMMAND_CONFIRM_WITHIN,
    COMMAND_YES,
    COMMAND_FORCE,
    COMMAND_REV,
    COMMAND_SEED,
    COMMAND_LABEL,
    COMMAND_WATCH,
    COMMAND_REASON,
    COMMAND_WAIT,
    COMMAND_FOR,
    COMMAND_DEADLINE,
    COMMAND_ON_DEADLINE,
    COMMAND_OVER,
    COMMAND_POOL,
    COMMAND_LISTENER,
    COMMAND_HEADER,
    COMMAND_CLIENT,
    COMMAND_SINCE,
    COMMAND_LIMIT,
    COMMAND_ENDED,
    COMMAND_ROUTE,
    COMMAND_STATUS,
    COMMAND_SLOWER,
    COMMAND_CHAIN,
    COMMAND_ONCE,
    COMMAND_WRITE,
    COMMAND_OPTION_COUNT
};

/* How the value of an option is taken. */
enum command_value {
    COMMAND_FLAG,   /* none: sets a bool of struct ctl */
    COMMAND_TEXT,   /* any text into a const char * */
    COMMAND_TIME,   /* the same; must be a duration such as 30s */
    COMMAND_COUNT,  /* the same; must be a number */
    COMMAND_SPECIAL /* the parser knows */
};

/* What a word may be, for completion. */
enum command_names {
    COMMAND_NO_NAMES,
    COMMAND_WORDS, /* those of `words` */
    COMMAND_KINDS, /* then names of that kind */
    COMMAND_SERVERS,
    COMMAND_TARGETS, /* what can be drained: servers, listener/NAME, process */
    COMMAND_POOLS,
    COMMAND_POOLS_SERVERS,
    COMMAND_LISTENERS,
    COMMAND_POINTERS, /* pools/web/servers/... */
    COMMAND_KEYS,     /* of the schema: pools.servers.weight */
    COMMAND_REVISIONS,
    COMMAND_CONNECTIONS,
    COMMAND_CONTEXTS, /* of contexts.json */
    COMMAND_TOKENS,
    COMMAND_CERTIFICATES,
    COMMAND_USERS, /* of mail */
    COMMAND_COMMANDS,
};

struct command_option_row {
    const char *word;     /* "--socket" */
    char letter;          /* 'o', or '\0' */
    const char *argument; /* "PATH", or NULL */
    const char *summary;
    enum command_value value;
    size_t place; /* offset in struct ctl; not for COMMAND_SPECIAL */
    enum command_names names;
    const char *const *words; /* COMMAND_WORDS: ends with NULL */
};

/* Headings of the help. */
enum command_section {
    COMMAND_LOOK,
    COMMAND_CHANGE,
    COMMAND_RUN,
    COMMAND_PAST,
    COMMAND_CERTS,
    COMMAND_MAIL,
    COMMAND_ACCESS,
    COMMAND_SELF,
    COMMAND_SECTION_COUNT
};

struct command {
    const char *word; /* "drain", or two: "config validate" */
    enum command_section section;
    const char *arguments; /* as help shows them; "" when there are none */
    const char *summary;
    const char *details; /* sentences, or NULL */
    uint64_t options;    /* bit n: command_option n; the global ones are understood anyway */
    uint8_t arg_min;
    uint8_t arg_max;
    enum command_names names; /* of the first argument; of all when arg_max is CTL_ARGS_MAX */
    const char *const *words; /* COMMAND_WORDS: ends with NULL */
    enum ctl_exit (*run)(struct ctl *ctl);
};

#define COMMAND_BIT(option) (UINT64_C(1) << (unsigned)(option))

extern const struct command_option_row command_option_rows[COMMAND_OPTION_COUNT];
extern const struct command command_rows[];
extern const size_t command_count;
extern const char *const command_section_titles[COMMAND_SECTION_COUNT];
/* Bits of the options that every command takes. */
extern const uint64_t command_global_options;

/* The row of "drain", or of "config" and "validate". With `second` that makes no command of two
 * words, the row of `first` alone. NULL: there is none. `second` may be NULL. */
const struct command *command_find(const char *first, const char *second);
/* Is it the first word of commands that have two? */
bool command_is_group(const char *word);
const struct command_option_row *command_option_find(const char *word, enum command_option *option);

/* Reads a command line (argv[0] is skipped) into *ctl. NULL: said why on ctl->err, or did what
 * --help and --version ask; *code says how to end. */
const struct command *command_parse(struct ctl *ctl, int argc, char *const argv[],
                                    enum ctl_exit *code);

/* All commands (NULL), or one. */
void command_write_help(FILE *out, const struct command *command);
/* Those whose first word this is. */
void command_write_group_help(FILE *out, const char *word);
/* `lbctl help [COMMAND]` */
enum ctl_exit command_help(struct ctl *ctl);
/* "no command 'drian'; did you mean 'drain'?" */
enum ctl_exit command_unknown(struct ctl *ctl, const char *typed);

/* The word of `words` (NULL-terminated) that `typed` was probably meant to be: at most two letters
 * wrong, missing, too many or swapped. NULL: none comes near. */
const char *command_near(const char *typed, const char *const words[]);

#endif
