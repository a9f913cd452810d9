/*
 * mail_import - tables of the programs that lbd takes over from, line by line: perdition's popmaps,
 * and who is where of Dovecot's Director.
 *
 *     popmap        joe: imap1.example.com              gdbm and the like, as text
 *                   joe: joseph@[2001:db8::1]:143       [user@]host[:port]
 *     popmap.re     ^(.*)@a\.example: $1@imap2          POSIX extended, no case; $0 to $9
 *     director      joe@a.example  10.0.0.1  2026-11-26 18:00:00    `doveadm director map`
 *     lbd           joe@a.example b1                    user and server; a name or an address
 *                   {"user":"joe@a.example","server":"b1"}   `lbctl mail affinity -o jsonl`
 *
 * What is read is parts of the caller's text, but for lines of JSON, and patterns and names at the
 * server, which are rewritten as mail_maps have them: "$1" is "{1}", users and patterns are in
 * lower case, because names are, unless the caller sets keeps_case. Which server of which pool a
 * host is, the caller knows.
 *
 * Empty lines, comments (#), headings and users that Director has as "<unknown>" are passed over.
 *
 * Limits: lines of MAIL_IMPORT_LINE_MAX. Memory: none; a line of JSON is parsed into some for the
 * call. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_IMPORT_H
#define LBD_MAIL_MAIL_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"

#define MAIL_IMPORT_LINE_MAX 4096U
#define MAIL_IMPORT_HOST_MAX 253U

enum mail_import_kind {
    MAIL_IMPORT_POPMAP,    /* keys are users */
    MAIL_IMPORT_POPMAP_RE, /* keys are patterns */
    MAIL_IMPORT_AFFINITY,  /* of Director or lbd */
};

struct mail_import {
    enum mail_import_kind kind;
    bool keeps_case;   /* of users and patterns */
    struct slice rest; /* of the text */
    uint32_t line;     /* of the latest entry, from 1 */
    size_t key_len;    /* what follows is the latest entry's */
    size_t user_len;
    char key[MAIL_USER_MAX];
    char user[MAIL_USER_MAX];
    char host[MAIL_IMPORT_HOST_MAX];
};

struct mail_import_entry {
    struct slice key;    /* user or pattern */
    struct slice user;   /* at the server, as login_user has it; empty: the same */
    struct slice server; /* host, address or name */
    uint16_t port;       /* 0: none was said */
};

enum mail_import_verdict {
    MAIL_IMPORT_ENTRY,
    MAIL_IMPORT_END,
    MAIL_IMPORT_BAD, /* *why says what is wrong with import->line; the next call goes on behind it
                      */
};

void mail_import_init(struct mail_import *import, enum mail_import_kind kind, struct slice text);
/* The entry lives until the next call. */
enum mail_import_verdict mail_import_next(struct mail_import *import,
                                          struct mail_import_entry *entry, const char **why);

#endif
