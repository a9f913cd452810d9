/*
 * ctl - what every command of lbctl is given, and the ways it can end.
 *
 * command.c fills it from the command line; a command asks the API through it, prints to its
 * streams and returns an exit code. Nothing here knows a resource.
 *
 *     lbctl.c -> command (which?) -> cmd_* (what?) -> ctl -> rest_client -> lbd
 *
 * Data and what a change did go to `out`; complaints, hints and progress go to `err`.
 *
 * Memory: borrows its texts from argv and the environment. Threads: one.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/json/json.h"
#include "ctl/rest_client.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* Documented in lbctl(1); never renumbered. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_NO = 1,          /* the answer to the question is no */
    CTL_USAGE = 2,       /* the command line, or a file it names, makes no sense */
    CTL_UNREACHABLE = 3, /* nobody answers on the socket */
    CTL_DENIED = 4,      /* not allowed */
    CTL_NOT_FOUND = 5,
    CTL_CONFLICT = 6,  /* in use, changed meanwhile, managed elsewhere */
    CTL_INVALID = 7,   /* the configuration is not valid */
    CTL_TIMED_OUT = 8, /* it may still happen */
    CTL_REFUSED = 9,   /* any other no of the daemon */
    CTL_BUG = 70
};

enum ctl_output { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_JSONL, CTL_NAME };

enum {
    CTL_ARGS_MAX = 16,
    CTL_REPEATS_MAX = 16,            /* an option that may be given more than once */
    CTL_TIMEOUT_MS = 10 * 1000,      /* of one question, when nobody says otherwise */
    CTL_WAIT_TIMEOUT_MS = 60 * 1000, /* of waiting for something to become true */
    CTL_PATH_MAX = 4096,
    CTL_TEXT_MAX = 256 * 1024 * 1024
};

struct ctl {
    FILE *in;
    FILE *out;
    FILE *err;
    bool color;          /* of `out` */
    uint32_t width;      /* of the terminal behind `out`, in characters; 0: there is none */
    bool is_interactive; /* a person sits at `in` and `err`: they can be asked */
    bool is_followed;    /* `err` is a terminal: a line of progress may be written over */

    /* for every command */
    const char *socket_path; /* NULL: look where lbd puts it */
    const char *context;     /* of contexts.json */
    const char *url;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *token_file;
    enum ctl_output output;
    bool timeout_given;
    uint64_t timeout_ms; /* CTL_TIMEOUT_MS unless given */
    bool trace;

    /* for some: what the options of command_rows.c said, NULL and false when they did not */
    const char *file;
    const char *owner;
    const char *confirm_within;
    const char *reason;
    const char *until; /* --for: what, or how long */
    const char *deadline;
    const char *on_deadline;
    const char *over;
    const char *rev;
    const char *since;
    const char *pool;
    const char *listener;
    const char *client; /* an IP address */
    const char *limit;
    const char *ended;                   /* of `requests`: the reason */
    const char *route;                   /* likewise */
    const char *status;                  /* likewise: "503", "5xx" */
    const char *slower;                  /* likewise */
    const char *chain_file;              /* of `cert put` */
    const char *labels[CTL_REPEATS_MAX]; /* "key=value" */
    uint32_t label_count;
    const char *headers[CTL_REPEATS_MAX]; /* "Name: value" */
    uint32_t header_count;
    bool dry_run;
    bool wait;
    bool yes;
    bool force;
    bool seed;
    bool watch;
    bool once;
    bool write;
    const char *args[CTL_ARGS_MAX]; /* after the command's words */
    uint32_t arg_count;

    char socket_found[128]; /* what ctl_socket() found */
};

/* Streams of the process, no colour, all defaults. */
void ctl_init(struct ctl *ctl);

/* Prints "lbctl: ..." and returns `code`. */
enum ctl_exit ctl_fail(struct ctl *ctl, enum ctl_exit code, const char *fmt, ...) LB_PRINTF(3, 4);
/* "hint: ..." */
void ctl_hint(struct ctl *ctl, const char *fmt, ...) LB_PRINTF(2, 3);
/* Of a list: hints at what is missing in it, of which the API gives at most `most` at once. */
void ctl_hint_more(struct ctl *ctl, uint64_t listed, uint64_t total, uint64_t most);

/* Where the API is: --socket, else $LBCTL_SOCKET, else the first that is there of
 * /run/lbd/api.sock, $XDG_RUNTIME_DIR/lbd/api.sock and /tmp/lbd-UID/api.sock (only when that
 * directory is ours: anybody may make one). With none of them the first. Never NULL. */
const char *ctl_socket(struct ctl *ctl);

/* Which lbd is meant: --socket, --url or --context, else $LBCTL_CONTEXT, else $LBCTL_SOCKET, else
 * the current context, else ctl_socket(); with what --ca, --cert, --key and --token-file say. Fills
 * `out`, which the caller gives back with endpoint_fini. False: printed why not. */
LB_MUST_CHECK bool ctl_endpoint(struct ctl *ctl, struct endpoint *out, enum ctl_exit *code);

/* Asks; true when there is an answer of any status. Else prints why not and sets *code. */
LB_MUST_CHECK bool ctl_ask(struct ctl *ctl, const struct rest_request *request,
                           struct rest_reply *reply, enum ctl_exit *code);
/* GET that must be answered with 200 and JSON. NULL: printed why not, *code says how to end. The
 * caller owns the tree. `reply` may be NULL when only the tree is wanted. */
LB_MUST_CHECK struct json *ctl_get(struct ctl *ctl, const char *target, struct rest_reply *reply,
                                   enum ctl_exit *code);
/* The exit code that belongs to an HTTP status. */
enum ctl_exit ctl_exit_of(uint32_t status);
/* The body of a reply as a tree, or NULL when it is no JSON. The caller owns it. */
LB_MUST_CHECK struct json *ctl_body(const struct rest_reply *reply);

/* The same without a complaint, within `timeout_ms`. */
LB_MUST_CHECK struct json *ctl_get_silently(const struct ctl *ctl, const char *target,
                                            uint64_t timeout_ms, enum ctl_exit *code);
/* The same for POST, with a JSON body (empty: none). */
LB_MUST_CHECK struct json *ctl_post(struct ctl *ctl, const char *target, struct slice body,
                                    struct rest_reply *reply, enum ctl_exit *code);
/* Appends KEY=VALUE to a target's query, percent-encoded; nothing when `value` is NULL. */
void ctl_query(struct buf *target, const char *key, const char *value);

/* -o json or jsonl; -o table or wide */
bool ctl_wants_json(const struct ctl *ctl);
bool ctl_wants_table(const struct ctl *ctl);
/* Prints the body of a reply, when it is JSON. */
void ctl_print_body(struct ctl *ctl, const struct rest_reply *reply);
/* Prints a JSON text: CTL_JSONL on one line, else indented; with a newline. */
void ctl_print_json(struct ctl *ctl, const struct json *json);

/* Member by dotted path ("timeouts.connect"); NULL when a part is missing. */
const struct json *ctl_member(const struct json *json, const char *path);
/* The member with this key. Looks behind *last first (NULL in the beginning), which follows: two
 * documents keep the same order, and a walk from the front for each of 100,000 servers would take
 * minutes. */
const struct json *ctl_member_beside(const struct json *container, const struct json **last,
                                     struct slice key);
/* As text and number, by dotted path; empty and 0 when it is missing or of another type. */
struct slice ctl_text(const struct json *json, const char *path);
uint64_t ctl_number(const struct json *json, const char *path);
/* "1 server", "2 servers" */
const char *ctl_plural(uint64_t count, const char *one, const char *many);

#endif
