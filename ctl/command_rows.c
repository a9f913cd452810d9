/* The table: every option and every command of lbctl. */
#include <stddef.h>

#include "ctl/cmd_apply.h"
#include "ctl/cmd_config.h"
#include "ctl/cmd_conns.h"
#include "ctl/cmd_context.h"
#include "ctl/cmd_describe.h"
#include "ctl/cmd_diff.h"
#include "ctl/cmd_edit.h"
#include "ctl/cmd_events.h"
#include "ctl/cmd_explain.h"
#include "ctl/cmd_get.h"
#include "ctl/cmd_history.h"
#include "ctl/cmd_server.h"
#include "ctl/cmd_set.h"
#include "ctl/cmd_status.h"
#include "ctl/cmd_token.h"
#include "ctl/cmd_top.h"
#include "ctl/cmd_wait.h"
#include "ctl/command.h"
#include "ctl/completion.h"
#include "ctl/top_model.h"

#define BIT(option) COMMAND_BIT(option)
#define IN(member)  offsetof(struct ctl, member)

static const char *const output_words[] = {"table", "wide", "json", "jsonl", "name", NULL};
static const char *const color_words[] = {"auto", "always", "never", NULL};
static const char *const goal_words[] = {"ready", "drained", "servers=", NULL};
static const char *const ending_words[] = {"close", "keep", NULL};
static const char *const method_words[] = {"GET", "HEAD", "POST", "PUT", "DELETE", NULL};
static const char *const shell_words[] = {"bash", "zsh", NULL};

const struct command_option_row command_option_rows[COMMAND_OPTION_COUNT] = {
    [COMMAND_SOCKET] = {"--socket", 's', "PATH",
                        "the socket of lbd's API (else $LBCTL_SOCKET, else where lbd puts it)",
                        COMMAND_TEXT, IN(socket_path)},
    [COMMAND_CONTEXT] = {"--context", '\0', "NAME",
                         "which lbd, by a name of `lbctl context list` (else $LBCTL_CONTEXT)",
                         COMMAND_TEXT, IN(context), COMMAND_CONTEXTS},
    [COMMAND_URL] = {"--url", '\0', "URL", "which lbd: https://HOST[:PORT]", COMMAND_TEXT, IN(url)},
    [COMMAND_CA] = {"--ca", '\0', "FILE", "who may sign its certificate, PEM (else the system's)",
                    COMMAND_TEXT, IN(ca_file)},
    [COMMAND_CERT] = {"--cert", '\0', "FILE", "our certificate, PEM", COMMAND_TEXT, IN(cert_file)},
    [COMMAND_KEY] = {"--key", '\0', "FILE", "its private key, PEM", COMMAND_TEXT, IN(key_file)},
    [COMMAND_TOKEN_FILE] = {"--token-file", '\0', "FILE", "our token, on one line", COMMAND_TEXT,
                            IN(token_file)},
    [COMMAND_OUTPUT] = {"--output", 'o', "FORMAT", "table, wide, json, jsonl or name",
                        COMMAND_SPECIAL, 0, COMMAND_WORDS, output_words},
    [COMMAND_COLOR] = {"--color", '\0', "WHEN", "auto, always or never", COMMAND_SPECIAL, 0,
                       COMMAND_WORDS, color_words},
    [COMMAND_TIMEOUT] = {"--timeout", '\0', "TIME",
                         "give up after this long: an answer 10s, a wait 60s", COMMAND_SPECIAL},
    [COMMAND_TRACE] = {"--trace", '\0', NULL, "show each question as a line of curl", COMMAND_FLAG,
                       IN(trace)},
    [COMMAND_HELP] = {"--help", 'h', NULL, "say what a command does", COMMAND_SPECIAL},
    [COMMAND_VERSION] = {"--version", '\0', NULL, "say which lbctl this is", COMMAND_SPECIAL},
    [COMMAND_FILE] = {"--file", 'f', "FILE", "the configuration; - reads it from stdin",
                      COMMAND_TEXT, IN(file)},
    [COMMAND_OWNER] = {"--owner", '\0', "NAME", "only the resources that this owner manages",
                       COMMAND_TEXT, IN(owner)},
    [COMMAND_DRY_RUN] = {"--dry-run", '\0', NULL, "say what would change and change nothing",
                         COMMAND_FLAG, IN(dry_run)},
    [COMMAND_CONFIRM_WITHIN] = {"--confirm-within", '\0', "TIME",
                                "take it back after this long, unless `lbctl confirm` comes",
                                COMMAND_TIME, IN(confirm_within)},
    [COMMAND_YES] = {"--yes", 'y', NULL, "do not ask, even where traffic drops", COMMAND_FLAG,
                     IN(yes)},
    [COMMAND_FORCE] = {"--force", '\0', NULL, "take over what another owner manages", COMMAND_FLAG,
                       IN(force)},
    [COMMAND_REV] = {"--rev", '\0', "A[..B]", "a revision against the current one, or two of them",
                     COMMAND_TEXT, IN(rev), COMMAND_REVISIONS},
    [COMMAND_SEED] = {"--seed", '\0', NULL, "what lbd was started with, against what runs",
                      COMMAND_FLAG, IN(seed)},
    [COMMAND_LABEL] = {"--label", 'l', "KEY=VALUE",
                       "only what has this label; more than one: all of them", COMMAND_SPECIAL},
    [COMMAND_WATCH] = {"--watch", 'w', NULL, "stay, and show what changes", COMMAND_FLAG,
                       IN(watch)},
    [COMMAND_REASON] = {"--reason", '\0', "TEXT", "why, for those who look at it later",
                        COMMAND_TEXT, IN(reason)},
    [COMMAND_WAIT] = {"--wait", '\0', NULL, "return when it is done", COMMAND_FLAG, IN(wait)},
    [COMMAND_FOR] = {"--for", '\0', "WHAT", "what to wait for; or how long it is to last",
                     COMMAND_TEXT, IN(until), COMMAND_WORDS, goal_words},
    [COMMAND_DEADLINE] = {"--deadline", '\0', "TIME", "how long connections may take to finish",
                          COMMAND_TIME, IN(deadline)},
    [COMMAND_ON_DEADLINE] = {"--on-deadline", '\0', "WHAT",
                             "then close what is left (the default), or keep it", COMMAND_TEXT,
                             IN(on_deadline), COMMAND_WORDS, ending_words},
    [COMMAND_POOL] = {"--pool", 'p', "POOL[/SERVER]", "only what is about this pool or server",
                      COMMAND_TEXT, IN(pool), COMMAND_POOLS_SERVERS},
    [COMMAND_LISTENER] = {"--listener", '\0', "NAME", "the listener", COMMAND_TEXT, IN(listener),
                          COMMAND_LISTENERS},
    [COMMAND_HEADER] = {"--header", 'H', "LINE", "a header of the request: 'NAME: VALUE'",
                        COMMAND_SPECIAL},
    [COMMAND_SINCE] = {"--since", '\0', "TIME", "how far back, such as 10m", COMMAND_TIME,
                       IN(since)},
    [COMMAND_LIMIT] = {"--limit", 'n', "N", "at most so many", COMMAND_COUNT, IN(limit)},
    [COMMAND_ONCE] = {"--once", '\0', NULL, "print it once and end", COMMAND_FLAG, IN(once)},
    [COMMAND_WRITE] = {"--write", '\0', NULL, "put the result into the file", COMMAND_FLAG,
                       IN(write)},
};

const uint64_t command_global_options =
    BIT(COMMAND_SOCKET) | BIT(COMMAND_CONTEXT) | BIT(COMMAND_URL) | BIT(COMMAND_CA) |
    BIT(COMMAND_CERT) | BIT(COMMAND_KEY) | BIT(COMMAND_TOKEN_FILE) | BIT(COMMAND_OUTPUT) |
    BIT(COMMAND_COLOR) | BIT(COMMAND_TIMEOUT) | BIT(COMMAND_TRACE) | BIT(COMMAND_HELP) |
    BIT(COMMAND_VERSION);

const struct command command_rows[] = {
    {
        .word = "status",
        .section = COMMAND_LOOK,
        .arguments = "",
        .summary = "one screen: what runs, how its servers are, what is wrong",
        .run = cmd_status,
    },
    {
        .word = "get",
        .section = COMMAND_LOOK,
        .arguments = "KIND [NAME]",
        .summary = "list what is configured, and how it is",
        .details = "KIND is listeners, routes, pools, servers or health-checks (or the singular), "
                   "or config:\nthe whole document, which `lbctl apply -f` and `lbd -c` take "
                   "again. The name of a server is\nPOOL/SERVER; `get servers POOL` lists one "
                   "pool.",
        .options = BIT(COMMAND_LABEL) | BIT(COMMAND_WATCH),
        .arg_min = 1,
        .arg_max = 2,
        .names = COMMAND_KINDS,
        .run = cmd_get,
    },
    {
        .word = "describe",
        .section = COMMAND_LOOK,
        .arguments = "KIND NAME",
        .summary = "all about one thing: configuration, status, what was changed by hand, events",
        .arg_min = 1,
        .arg_max = 2,
        .names = COMMAND_KINDS,
        .run = cmd_describe,
    },
    {
        .word = "top",
        .section = COMMAND_LOOK,
        .arguments = "[pools|servers|listeners|routes]",
        .summary = "who does how much, every second",
        .details = "Keys: Tab or 1 to 4 another view; c r e l n sort by connections, requests, "
                   "errors, latency, name;\n/ filter; Enter describe; d drain and E enable a "
                   "server; q quit. With --once, or into a pipe, it\ncounts for a second, prints "
                   "a table and ends.",
        .options = BIT(COMMAND_ONCE),
        .arg_max = 1,
        .names = COMMAND_WORDS,
        .words = top_view_words,
        .run = cmd_top,
    },
    {
        .word = "conns",
        .section = COMMAND_LOOK,
        .arguments = "",
        .summary = "the connections of clients, as they are now",
        .options = BIT(COMMAND_POOL) | BIT(COMMAND_LISTENER) | BIT(COMMAND_LIMIT),
        .run = cmd_conns,
    },
    {
        .word = "conns kill",
        .section = COMMAND_LOOK,
        .arguments = "ID",
        .summary = "close one of them",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_CONNECTIONS,
        .run = cmd_conns_kill,
    },
    {
        .word = "events",
        .section = COMMAND_LOOK,
        .arguments = "[TYPE ...]",
        .summary = "what happened, the newest last",
        .options = BIT(COMMAND_SINCE) | BIT(COMMAND_POOL) | BIT(COMMAND_LIMIT),
        .arg_max = CTL_ARGS_MAX,
        .names = COMMAND_WORDS,
        .words = cmd_events_types,
        .run = cmd_events,
    },
    {
        .word = "watch",
        .section = COMMAND_LOOK,
        .arguments = "[TYPE ...]",
        .summary = "what happens, as it happens",
        .details = "Goes on by itself when lbd was away. With -o json each event is a line.",
        .options = BIT(COMMAND_POOL) | BIT(COMMAND_LIMIT),
        .arg_max = CTL_ARGS_MAX,
        .names = COMMAND_WORDS,
        .words = cmd_events_types,
        .run = cmd_events_watch,
    },
    {
        .word = "explain",
        .section = COMMAND_LOOK,
        .arguments = "[KEY]",
        .summary = "what a setting means, as in `lbctl explain pools.servers.weight`",
        .arg_max = 1,
        .names = COMMAND_KEYS,
        .run = cmd_explain,
    },
    {
        .word = "explain route",
        .section = COMMAND_LOOK,
        .arguments = "METHOD URL",
        .summary = "where a request would go, and why",
        .details = "Ends with 1 when nothing takes it.",
        .options = BIT(COMMAND_LISTENER) | BIT(COMMAND_HEADER),
        .arg_min = 2,
        .arg_max = 2,
        .names = COMMAND_WORDS,
        .words = method_words,
        .run = cmd_explain_route,
    },
    {
        .word = "apply",
        .section = COMMAND_CHANGE,
        .arguments = "-f FILE",
        .summary = "make the configuration what a file says, all of it or nothing",
        .details = "The file may hold comments and trailing commas. Its key `daemon` is for lbd's "
                   "start and is\nleft out. With --owner the file holds what one owner manages, "
                   "and nothing else is touched.\nAsks before more than half of the servers go.",
        .options = BIT(COMMAND_FILE) | BIT(COMMAND_OWNER) | BIT(COMMAND_FORCE) |
                   BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_YES),
        .run = cmd_apply,
    },
    {
        .word = "diff",
        .section = COMMAND_CHANGE,
        .arguments = "-f FILE | --rev A[..B] | --seed",
        .summary = "what is different; ends with 1 when something is",
        .details = "-f says what `lbctl apply -f` would change. --rev A compares revision A with "
                   "what runs, A..B\ntwo revisions. --seed compares the file that lbd was started "
                   "with.",
        .options = BIT(COMMAND_FILE) | BIT(COMMAND_REV) | BIT(COMMAND_SEED),
        .run = cmd_diff,
    },
    {
        .word = "edit",
        .section = COMMAND_CHANGE,
        .arguments = "KIND NAME | config",
        .summary = "change a part of the configuration in $VISUAL or $EDITOR",
        .details = "What is wrong comes back as comments at its lines, until it is right or left "
                   "as it is. What\nsomebody else changed meanwhile is kept.",
        .options = BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_FORCE) |
                   BIT(COMMAND_YES),
        .arg_min = 1,
        .arg_max = 2,
        .names = COMMAND_KINDS,
        .run = cmd_edit,
    },
    {
        .word = "set",
        .section = COMMAND_CHANGE,
        .arguments = "POINTER VALUE",
        .summary = "set one value, as in `lbctl set pools/web/servers/a/weight 50`",
        .details = "VALUE is JSON, or a text when it is no JSON.",
        .options = BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_FORCE),
        .arg_min = 2,
        .arg_max = 2,
        .names = COMMAND_POINTERS,
        .run = cmd_set,
    },
    {
        .word = "unset",
        .section = COMMAND_CHANGE,
        .arguments = "POINTER",
        .summary = "take one value out, so that its default counts",
        .options = BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_FORCE),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_POINTERS,
        .run = cmd_set_unset,
    },
    {
        .word = "delete",
        .section = COMMAND_CHANGE,
        .arguments = "KIND NAME",
        .summary = "take one thing out of the configuration",
        .details = "What something else refers to stays; who does is listed. Asks before a "
                   "listener with\nconnections or the last server of a pool goes.",
        .options = BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_FORCE) |
                   BIT(COMMAND_YES),
        .arg_min = 2,
        .arg_max = 2,
        .names = COMMAND_KINDS,
        .run = cmd_set_delete,
    },
    {
        .word = "config validate",
        .section = COMMAND_CHANGE,
        .arguments = "FILE",
        .summary = "is this file a valid configuration? All errors, with their places",
        .arg_min = 1,
        .arg_max = 1,
        .run = cmd_config_validate,
    },
    {
        .word = "config fmt",
        .section = COMMAND_CHANGE,
        .arguments = "FILE",
        .summary = "lay a file out afresh, comments and all",
        .details = "Prints it; with --write the file is replaced.",
        .options = BIT(COMMAND_WRITE),
        .arg_min = 1,
        .arg_max = 1,
        .run = cmd_config_fmt,
    },
    {
        .word = "config schema",
        .section = COMMAND_CHANGE,
        .arguments = "",
        .summary = "the JSON Schema of a configuration, for editors",
        .run = cmd_config_schema,
    },
    {
        .word = "reload",
        .section = COMMAND_CHANGE,
        .arguments = "",
        .summary = "read the configuration file again, when lbd has it from a file",
        .options = BIT(COMMAND_WAIT),
        .run = cmd_config_reload,
    },
    {
        .word = "drain",
        .section = COMMAND_RUN,
        .arguments = "POOL/SERVER | listener/NAME | process",
        .summary = "send it nothing new and let it finish what it has",
        .details = "A server's name alone will do where only one pool has it. With --wait it "
                   "tells how it goes and\nreturns when no connection is left. Asks before the "
                   "last server of a pool goes.",
        .options = BIT(COMMAND_DEADLINE) | BIT(COMMAND_ON_DEADLINE) | BIT(COMMAND_REASON) |
                   BIT(COMMAND_WAIT) | BIT(COMMAND_YES),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_TARGETS,
        .run = cmd_server_drain,
    },
    {
        .word = "enable",
        .section = COMMAND_RUN,
        .arguments = "POOL/SERVER | listener/NAME | process",
        .summary = "send it its share again",
        .options = BIT(COMMAND_REASON),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_TARGETS,
        .run = cmd_server_enable,
    },
    {
        .word = "maint",
        .section = COMMAND_RUN,
        .arguments = "POOL/SERVER",
        .summary = "take a server out for maintenance, without checks",
        .details = "It comes back by itself after --for, which is 1h unless you say; --for "
                   "forever leaves it out.",
        .options = BIT(COMMAND_FOR) | BIT(COMMAND_DEADLINE) | BIT(COMMAND_ON_DEADLINE) |
                   BIT(COMMAND_REASON) | BIT(COMMAND_WAIT) | BIT(COMMAND_YES),
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_SERVERS,
        .run = cmd_server_maint,
    },
    {
        .word = "weight",
        .section = COMMAND_RUN,
        .arguments = "POOL/SERVER N|N%|reset",
        .summary = "give a server another share for now; the configuration stays",
        .options = BIT(COMMAND_FOR) | BIT(COMMAND_REASON),
        .arg_min = 2,
        .arg_max = 2,
        .names = COMMAND_SERVERS,
        .run = cmd_server_weight,
    },
    {
        .word = "check",
        .section = COMMAND_RUN,
        .arguments = "POOL[/SERVER]",
        .summary = "probe now; ends with 1 when a check fails",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_POOLS_SERVERS,
        .run = cmd_server_check,
    },
    {
        .word = "wait",
        .section = COMMAND_RUN,
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
        .word = "history",
        .section = COMMAND_PAST,
        .arguments = "",
        .summary = "the revisions of the configuration, newest first",
        .options = BIT(COMMAND_LIMIT),
        .run = cmd_history,
    },
    {
        .word = "rollback",
        .section = COMMAND_PAST,
        .arguments = "[REVISION]",
        .summary = "make the configuration what a revision says, as a new revision",
        .details = "Without a number: the one before the current one. Asks before more than half "
                   "of the servers go.",
        .options = BIT(COMMAND_DRY_RUN) | BIT(COMMAND_CONFIRM_WITHIN) | BIT(COMMAND_YES),
        .arg_max = 1,
        .names = COMMAND_REVISIONS,
        .run = cmd_history_rollback,
    },
    {
        .word = "confirm",
        .section = COMMAND_PAST,
        .arguments = "[REVISION]",
        .summary = "keep what was applied with --confirm-within",
        .arg_max = 1,
        .names = COMMAND_REVISIONS,
        .run = cmd_history_confirm,
    },
    {
        .word = "reject",
        .section = COMMAND_PAST,
        .arguments = "[REVISION]",
        .summary = "take back now what was applied with --confirm-within",
        .arg_max = 1,
        .names = COMMAND_REVISIONS,
        .run = cmd_history_reject,
    },
    {
        .word = "token create",
        .section = COMMAND_ACCESS,
        .arguments = "NAME metrics|read|operate|admin",
        .summary = "make a token, and print its secret, this once",
        .details =
            "Only the secret goes to stdout. --for says how long it lets in (for ever unless "
            "you say), --reason\nwhat it is for. For a name that is there it makes a new "
            "secret, after asking.",
        .options = BIT(COMMAND_FOR) | BIT(COMMAND_REASON) | BIT(COMMAND_YES),
        .arg_min = 2,
        .arg_max = 2,
        .names = COMMAND_TOKENS,
        .run = cmd_token_create,
    },
    {
        .word = "token list",
        .section = COMMAND_ACCESS,
        .arguments = "",
        .summary = "all tokens, without their secrets",
        .run = cmd_token_list,
    },
    {
        .word = "token revoke",
        .section = COMMAND_ACCESS,
        .arguments = "NAME",
        .summary = "let nobody in with this token any more",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_TOKENS,
        .run = cmd_token_revoke,
    },
    {
        .word = "context list",
        .section = COMMAND_ACCESS,
        .arguments = "",
        .summary = "the lbds that you gave names",
        .run = cmd_context_list,
    },
    {
        .word = "context use",
        .section = COMMAND_ACCESS,
        .arguments = "NAME",
        .summary = "ask this one from now on",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_CONTEXTS,
        .run = cmd_context_use,
    },
    {
        .word = "context add",
        .section = COMMAND_ACCESS,
        .arguments = "NAME --url URL | --socket PATH",
        .summary = "give an lbd a name, with what it takes to speak to it",
        .details =
            "--ca, --cert, --key and --token-file are kept with it, as paths; --token-file - "
            "reads the token\nfrom stdin into a file of its own.",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_CONTEXTS,
        .run = cmd_context_add,
    },
    {
        .word = "context remove",
        .section = COMMAND_ACCESS,
        .arguments = "NAME",
        .summary = "forget a name",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_CONTEXTS,
        .run = cmd_context_remove,
    },
    {
        .word = "version",
        .section = COMMAND_SELF,
        .arguments = "",
        .summary = "which lbctl this is, and which lbd answers",
        .run = cmd_status_version,
    },
    {
        .word = "help",
        .section = COMMAND_SELF,
        .arguments = "[COMMAND]",
        .summary = "what a command does",
        .arg_max = 2,
        .names = COMMAND_COMMANDS,
        .run = command_help,
    },
    {
        .word = "completion",
        .section = COMMAND_SELF,
        .arguments = "bash|zsh",
        .summary = "print the script that completes lbctl's words in a shell",
        .details = "Try it: . <(lbctl completion bash)",
        .arg_min = 1,
        .arg_max = 1,
        .names = COMMAND_WORDS,
        .words = shell_words,
        .run = completion_script,
    },
};

const size_t command_count = ARRAY_LEN(command_rows);
