#include "ctl/completion.h"

#include <string.h>

#include "conf/json/json_patch.h"
#include "ctl/command.h"
#include "ctl/contexts.h"
#include "ctl/kind.h"

static const char bash_script[] =
    "# bash completion for lbctl\n"
    "_lbctl()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\\n'\n"
    "    COMPREPLY=($(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null))\n"
    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/.] ]] && compopt -o nospace\n"
    "    [[ -n $cur || ${#COMPREPLY[@]} -gt 0 ]]\n"
    "}\n"
    "complete -o default -F _lbctl lbctl\n";

static const char zsh_script[] =
    "#compdef lbctl\n"
    "_lbctl()\n"
    "{\n"
    "    local -a found\n"
    "    found=(${(f)\"$(${words[1]} __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "    if (( ${#found} )); then\n"
    "        compadd -S '' -- ${(M)found:#*[=/.]}\n"
    "        compadd -- ${found:#*[=/.]}\n"
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
    const char *first;             /* the command's first word; NULL: it is still to come */
    const struct command *command; /* NULL: not known yet, or a group's second word is missing */
    int arg_count;                 /* arguments before the current word */
    const char *first_arg;
    const struct command_option_row *value_of; /* the current word is the value of this option */
};

/* A name that came from lbd and would do something to a terminal is no word. */
static bool is_word(const char *word)
{
    for (; *word != '\0'; word++) {
        if (*word <= ' ' || *word >= 0x7f) { /* negative ones too */
            return false;
        }
    }
    return true;
}

static void offer(const struct line *line, const char *word)
{
    if (slice_starts(slice_from(word), line->current) && is_word(word)) {
        (void)fprintf(line->ctl->out, "%s\n", word);
    }
}

static void offer_buf(const struct line *line, struct buf *word)
{
    if (!word->overflow && word->len != 0) {
        offer(line, word->data);
    }
    buf_clear(word);
}

static void offer_list(const struct line *line, const char *const words[])
{
    for (; words != NULL && *words != NULL; words++) {
        offer(line, *words);
    }
}

static void offer_options(const struct line *line)
{
    uint64_t options = command_global_options;
    options |= line->command != NULL ? line->command->options : 0;
    for (unsigned i = 0; i < COMMAND_OPTION_COUNT; i++) {
        if ((options >> i & 1U) != 0) {
            offer(line, command_option_rows[i].word);
        }
    }
}

/* First words, each once. */
static void offer_commands(const struct line *line)
{
    const char *last = "";
    size_t last_len = 0;
    for (size_t i = 0; i < command_count; i++) {
        const char *word = command_rows[i].word;
        size_t len = strcspn(word, " ");
        if (len == last_len && strncmp(word, last, len) == 0) {
            continue;
        }
        last = word;
        last_len = len;
        if (slice_starts(slice_of(word, len), line->current)) {
            (void)fprintf(line->ctl->out, "%.*s\n", (int)len, word);
        }
    }
}

static void offer_second_words(const struct line *line, const char *first)
{
    size_t len = strlen(first);
    for (size_t i = 0; i < command_count; i++) {
        const char *word = command_rows[i].word;
        if (strncmp(word, first, len) == 0 && word[len] == ' ') {
            offer(line, word + len + 1);
        }
    }
}

static struct json *get_silently(struct ctl *ctl, const char *target)
{
    enum ctl_exit code;
    return ctl_get_silently(ctl, target, COMPLETION_TIMEOUT_MS, &code);
}

/* Keys of an object, or of what `target` answers; "prefix" stands before each. */
static void offer_keys(const struct line *line, const struct json *object, const char *prefix)
{
    const struct json *member;
    struct buf word;
    buf_init(&word, CTL_PATH_MAX);
    json_for_each(member, object)
    {
        struct slice key = json_key(member);
        buf_printf(&word, "%s%.*s", prefix, SLICE_ARG(key));
        offer_buf(line, &word);
    }
    buf_fini(&word);
}

static void offer_collection(const struct line *line, const char *target, const char *prefix)
{
    struct json *objects = get_silently(line->ctl, target);
    offer_keys(line, objects, prefix);
    json_free(objects);
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
            buf_printf(&name, "%.*s/%.*s", SLICE_ARG(left), SLICE_ARG(right));
            offer_buf(line, &name);
        }
    }
    buf_fini(&name);
}

static void offer_names(const struct line *line, bool pools, bool servers)
{
    struct json *status = get_silently(line->ctl, "/v1/pools");
    if (pools) {
        offer_keys(line, status, "");
    }
    if (servers) {
        offer_servers(line, status);
    }
    json_free(status);
}

/* Names of the kind that was given. */
static void offer_names_of_kind(const struct line *line)
{
    const struct kind *kind = kind_find(line->first_arg);
    if (kind == NULL || kind->id == KIND_CONFIG) {
        return;
    }
    if (kind->id == KIND_SERVERS) {
        offer_names(line, true, true);
    } else {
        offer_collection(line, kind->path, "");
    }
}

/* What drain and enable take. */
static void offer_targets(const struct line *line)
{
    offer_names(line, false, true);
    offer_collection(line, "/v1/listeners", "listener/");
    offer(line, "process");
}

/* The keys below what was typed so far, of the document that runs. */
static void offer_pointers(const struct line *line)
{
    struct buf path;
    struct buf word;
    struct slice typed = line->current;
    const struct json *member;
    size_t end = typed.len;
    while (end != 0 && typed.ptr[end - 1] != '/') {
        end--;
    }
    struct slice parent = slice_of(typed.ptr, end); /* with its slash, or empty */
    buf_init(&path, CTL_PATH_MAX);
    buf_init(&word, CTL_PATH_MAX);
    if (parent.len != 0 && !slice_starts(parent, SLICE("/"))) {
        buf_append_char(&path, '/');
    }
    buf_append(&path, parent.ptr, parent.len != 0 ? parent.len - 1 : 0);
    struct json *document = get_silently(line->ctl, "/v1/config");
    json_for_each(member, json_patch_get(document, buf_slice(&path)))
    {
        struct slice key = json_key(member);
        buf_printf(&word, "%.*s%.*s%s", SLICE_ARG(parent), SLICE_ARG(key),
                   json_is(member, JSON_OBJECT) ? "/" : "");
        offer_buf(line, &word);
    }
    json_free(document);
    buf_fini(&word);
    buf_fini(&path);
}

/* The keys that the schema has below "pools.servers.". */
static void offer_schema_keys(const struct line *line)
{
    struct buf target;
    struct buf word;
    struct slice typed = line->current;
    const struct json *key;
    size_t end = typed.len;
    while (end != 0 && typed.ptr[end - 1] != '.') {
        end--;
    }
    buf_init(&target, CTL_PATH_MAX);
    buf_init(&word, CTL_PATH_MAX);
    buf_append_text(&target, "/v1/explain");
    if (end > 1) {
        rest_client_append_segment(&target, slice_of(typed.ptr, end - 1));
    }
    struct json *answer = get_silently(line->ctl, target.data);
    json_for_each(key, json_get(answer, SLICE("keys")))
    {
        struct slice name = json_is(key, JSON_STRING) ? json_string(key) : ctl_text(key, "key");
        buf_printf(&word, "%.*s%.*s", (int)end, typed.ptr != NULL ? typed.ptr : "",
                   SLICE_ARG(name));
        offer_buf(line, &word);
    }
    json_free(answer);
    buf_fini(&word);
    buf_fini(&target);
}

/* A member of each object in a list. */
static void offer_members(const struct line *line, const char *target, const char *list,
                          const char *member)
{
    struct buf word;
    const struct json *item;
    buf_init(&word, CTL_PATH_MAX);
    struct json *answer = get_silently(line->ctl, target);
    json_for_each(item, ctl_member(answer, list))
    {
        uint64_t number = ctl_number(item, member);
        if (number != 0) {
            buf_append_u64(&word, number);
        } else {
            buf_append_slice(&word, ctl_text(item, member));
        }
        offer_buf(line, &word);
    }
    json_free(answer);
    buf_fini(&word);
}

static void offer_contexts(const struct line *line)
{
    struct contexts contexts;
    struct buf word;
    const struct json *one = NULL;
    if (!contexts_load(&contexts, NULL)) {
        return;
    }
    buf_init(&word, CTL_PATH_MAX);
    json_for_each(one, contexts_all(&contexts))
    {
        buf_append_slice(&word, json_key(one));
        offer_buf(line, &word);
    }
    buf_fini(&word);
    contexts_fini(&contexts);
}

static void offer_what(const struct line *line, enum command_names names, const char *const words[])
{
    switch (names) {
    case COMMAND_WORDS:
        offer_list(line, words);
        return;
    case COMMAND_KINDS:
        offer_list(line, kind_words);
        return;
    case COMMAND_SERVERS:
        offer_names(line, false, true);
        return;
    case COMMAND_TARGETS:
        offer_targets(line);
        return;
    case COMMAND_POOLS:
        offer_names(line, true, false);
        return;
    case COMMAND_POOLS_SERVERS:
        offer_names(line, true, true);
        return;
    case COMMAND_LISTENERS:
        offer_collection(line, "/v1/listeners", "");
        return;
    case COMMAND_POINTERS:
        offer_pointers(line);
        return;
    case COMMAND_KEYS:
        offer_schema_keys(line);
        return;
    case COMMAND_REVISIONS:
        offer_members(line, "/v1/revisions", "revisions", "revision");
        return;
    case COMMAND_CONNECTIONS:
        offer_members(line, "/v1/connections", "connections", "id");
        return;
    case COMMAND_CONTEXTS:
        offer_contexts(line);
        return;
    case COMMAND_TOKENS:
        offer_members(line, "/v1/tokens", "tokens", "id");
        return;
    case COMMAND_CERTIFICATES:
        offer_collection(line, "/v1/certificates", "");
        return;
    case COMMAND_USERS:
        offer_members(line, "/v1/mail/sessions", "sessions", "user");
        return;
    case COMMAND_COMMANDS:
        offer_commands(line);
        return;
    case COMMAND_NO_NAMES: /* the shell offers files by itself then */
        return;
    }
}

static void offer_arguments(const struct line *line)
{
    const struct command *command = line->command;
    if (line->arg_count == 0 && command_is_group(line->first)) {
        offer_second_words(line, line->first);
    }
    if (command == NULL || line->arg_count >= command->arg_max) {
        return;
    }
    if (command->names == COMMAND_KINDS && line->arg_count != 0) {
        offer_names_of_kind(line);
    } else if (command->names == COMMAND_COMMANDS && line->arg_count != 0) {
        offer_second_words(line, line->first_arg);
    } else if (line->arg_count == 0 || command->arg_max == CTL_ARGS_MAX) {
        offer_what(line, command->names, command->words);
    }
}

/* What says which lbd to ask counts here too. */
static void take_place(const struct line *line, enum command_option option, const char *value)
{
    if (option <= COMMAND_TOKEN_FILE) {
        const char **place = (void *)((char *)line->ctl + command_option_rows[option].place);
        *place = value;
    }
}

/* Takes one of the words before the current one. */
static void take_word(struct line *line, const char *word)
{
    enum command_option option;
    if (line->value_of != NULL) {
        take_place(line, (enum command_option)(line->value_of - command_option_rows), word);
        line->value_of = NULL;
        return;
    }
    if (word[0] == '-' && word[1] != '\0') {
        const char *equals = strchr(word, '=');
        char name[32];
        (void)snprintf(name, sizeof(name), "%.*s",
                       equals != NULL ? (int)(equals - word) : (int)strlen(word), word);
        const struct command_option_row *row = command_option_find(name, &option);
        if (row != NULL && equals != NULL) {
            take_place(line, option, equals + 1);
        } else if (row != NULL && row->argument != NULL) {
            line->value_of = row;
        }
        return;
    }
    if (line->first == NULL) {
        line->first = word;
        line->command = command_find(word, NULL);
        return;
    }
    if (line->arg_count == 0 && line->first_arg == NULL) {
        const struct command *longer = command_find(line->first, word);
        if (longer != NULL && longer != line->command) {
            line->command = longer;
            line->first = ""; /* no third words */
            return;
        }
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
        offer_what(&line, line.value_of->names, line.value_of->words);
    } else if (slice_starts(line.current, SLICE("-"))) {
        offer_options(&line);
    } else if (line.first == NULL) {
        offer_commands(&line);
    } else {
        offer_arguments(&line);
    }
    return CTL_OK;
}
