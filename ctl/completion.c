#include "ctl/completion.h"

#include <string.h>

#include "ctl/cmd_get.h"
#include "ctl/command.h"

static const char bash_script[] =
    "# bash completion for lbctl\n"
    "_lbctl()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\\n'\n"
    "    COMPREPLY=($(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null))\n"
    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
    "    [[ -n $cur || ${#COMPREPLY[@]} -gt 0 ]]\n"
    "}\n"
    "complete -o default -F _lbctl lbctl\n";

static const char zsh_script[] =
    "#compdef lbctl\n"
    "_lbctl()\n"
    "{\n"
    "    local -a found\n"
    "    found=(${(f)\"$(${words[1]} __complete ${(@)words[2,CURRENT]} 2>/dev/null)\"})\n"
    "    if (( ${#found} )); then\n"
    "        compadd -a found\n"
    "    else\n"
    "        _files\n"
    "    fi\n"
    "}\n"
    "if [[ ${funcstack[1]} == _lbctl ]]; then\n"
    "    _lbctl \"$@\"\n"
    "else\n"
    "    compdef _lbctl lbctl\n"
    "fi\n";

enum ctl_exit completion_script(struct ctl *ctl)
{
    const char *shell = ctl->args[0];
    if (strcmp(shell, "bash") == 0) {
        (void)fputs(bash_script, ctl->out);
    } else if (strcmp(shell, "zsh") == 0) {
        (void)fputs(zsh_script, ctl->out);
    } else {
        return ctl_fail(ctl, CTL_USAGE, "no completion for '%s': bash or zsh", shell);
    }
    return CTL_OK;
}

/* What is known of the line so far. */
struct line {
    struct ctl *ctl;
    struct slice current;
    const struct command *command; /* NULL: its word is still to come */
    int arg_count;                 /* arguments before the current word */
    const char *first_arg;
    const struct command_option_row *value_of; /* the current word is the value of this option */
    enum command_option value_option;
};

static void offer(const struct line *line, const char *word)
{
    if (slice_starts(slice_from(word), line->current)) {
        (void)fprintf(line->ctl->out, "%s\n", word);
    }
}

static void offer_list(const struct line *line, const char *const words[])
{
    for (; *words != NULL; words++) {
        offer(line, *words);
    }
}

static void offer_options(const struct line *line)
{
    uint32_t options = command_global_options;
    options |= line->command != NULL ? line->command->options : 0;
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        if ((options >> i & 1U) != 0) {
            offer(line, command_option_rows[i].word);
        }
    }
}

static void offer_commands(const struct line *line)
{
    for (size_t i = 0; i < command_count; i++) {
        offer(line, command_rows[i].word);
    }
}

static void offer_values(const struct line *line)
{
    static const char *const outputs[] = {"table", "wide", "json", "jsonl", "name", NULL};
    static const char *const colors[] = {"auto", "always", "never", NULL};
    static const char *const goals[] = {"ready", "drained", "servers=", NULL};
    if (line->value_option == COMMAND_OUTPUT) {
        offer_list(line, outputs);
    } else if (line->value_option == COMMAND_COLOR) {
        offer_list(line, colors);
    } else if (line->value_option == COMMAND_FOR) {
        offer_list(line, goals);
    }
    /* nothing for a file or a socket: the shell offers files by itself then */
}

/* GET without a complaint when it fails. */
static struct json *get_silently(struct ctl *ctl, const char *target)
{
    enum ctl_exit code;
    struct ctl silent = *ctl;
    silent.timeout_ms = COMPLETION_TIMEOUT_MS;
    silent.trace = false;
    silent.err = fopen("/dev/null", "we");
    if (silent.err == NULL) {
        return NULL;
    }
    struct json *json = ctl_get(&silent, target, NULL, &code);
    (void)fclose(silent.err);
    return json;
}

static void offer_keys(const struct line *line, const struct json *object)
{
    const struct json *member;
    json_for_each(member, object)
    {
        struct slice key = json_key(member);
        if (slice_starts(key, line->current)) {
            (void)fprintf(line->ctl->out, "%.*s\n", SLICE_ARG(key));
        }
    }
}

static void offer_servers(const struct line *line, const struct json *pools)
{
    const struct json *pool;
    const struct json *server;
    struct buf name;
    buf_init(&name, CTL_PATH_MAX);
    json_for_each(pool, pools)
    {
        json_for_each(server, ctl_member(pool, "servers"))
        {
            struct slice left = json_key(pool);
            struct slice right = json_key(server);
            buf_clear(&name);
            buf_printf(&name, "%.*s/%.*s", SLICE_ARG(left), SLICE_ARG(right));
            if (!name.overflow) {
                offer(line, name.data);
            }
        }
    }
    buf_fini(&name);
}

static void offer_names(const struct line *line, bool pools, bool servers)
{
    struct json *status = get_silently(line->ctl, "/v1/pools");
    if (pools) {
        offer_keys(line, status);
    }
    if (servers) {
        offer_servers(line, status);
    }
    json_free(status);
}

/* Names of the kind that `get KIND` was given. */
static void offer_names_of_kind(const struct line *line)
{
    const struct cmd_get_kind *kind = cmd_get_find_kind(line->first_arg);
    if (kind == NULL || kind->path == NULL) {
        return;
    }
    if (kind->is_server) {
        offer_names(line, true, true);
        return;
    }
    struct json *objects = get_silently(line->ctl, kind->path);
    offer_keys(line, objects);
    json_free(objects);
}

static void offer_arguments(const struct line *line)
{
    static const char *const shells[] = {"bash", "zsh", NULL};
    if (line->arg_count >= line->command->arg_max) {
        return;
    }
    switch (line->command->names) {
    case COMMAND_KINDS:
        if (line->arg_count == 0) {
            offer_list(line, cmd_get_kind_words);
        } else {
            offer_names_of_kind(line);
        }
        return;
    case COMMAND_SERVERS:
        offer_names(line, false, true);
        return;
    case COMMAND_POOLS_SERVERS:
        offer_names(line, true, true);
        return;
    case COMMAND_COMMANDS:
        offer_commands(line);
        return;
    case COMMAND_SHELLS:
        offer_list(line, shells);
        return;
    case COMMAND_NO_NAMES:
        return;
    }
}

/* Takes one of the words before the current one. */
static void take_word(struct line *line, const char *word)
{
    enum command_option option;
    if (line->value_of != NULL) {
        if (line->value_option == COMMAND_SOCKET) {
            line->ctl->socket_path = word;
        }
        line->value_of = NULL;
        return;
    }
    if (word[0] == '-' && word[1] != '\0') {
        if (strncmp(word, "--socket=", strlen("--socket=")) == 0) {
            line->ctl->socket_path = word + strlen("--socket=");
        }
        const struct command_option_row *row = command_option_find(word, &option);
        if (row != NULL && row->argument != NULL) {
            line->value_of = row;
            line->value_option = option;
        }
        return;
    }
    if (line->command == NULL) {
        line->command = command_find(word);
        return;
    }
    if (line->arg_count++ == 0) {
        line->first_arg = word;
    }
}

enum ctl_exit completion_complete(struct ctl *ctl, int count, char *const words[])
{
    if (count < 1) {
        return CTL_OK;
    }
    struct line line = {.ctl = ctl, .current = slice_from(words[count - 1])};
    for (int i = 0; i < count - 1; i++) {
        take_word(&line, words[i]);
    }
    if (line.value_of != NULL) {
        offer_values(&line);
    } else if (slice_starts(line.current, SLICE("-"))) {
        offer_options(&line);
    } else if (line.command == NULL) {
        offer_commands(&line);
    } else {
        offer_arguments(&line);
    }
    return CTL_OK;
}
