/*
 * smtp_guard - keeps commands of a client from a server that believes lbd.
 *
 * Postfix takes XCLIENT and XFORWARD at any time from hosts it trusts
 * (smtpd_authorized_xclient_hosts): behind a relay a client could name another address, and another
 * user who is logged in. Behind STARTTLS nobody would see it. So command lines are looked at, not
 * what a message holds.
 *
 *     COMMANDS --DATA, answered by 354, nothing sent before it--> MESSAGE --"."--> COMMANDS
 *     COMMANDS --BDAT n, of a server that has CHUNKING--> CHUNK --n bytes--> COMMANDS
 *
 * In doubt it is commands, and there is no BDAT: a client that sends something behind DATA without
 * waiting for the answer, or ends lines in ways that servers do not agree about, leaves it in doubt
 * for good. Then a line of a message that begins with such a word is refused, too. Replies are
 * counted, so that a DATA that is refused leaves no doubt.
 *
 * Split anywhere, the same happens. Memory: the caller's. Threads: one owner.
 */
#ifndef LBD_MAIL_SMTP_GUARD_H
#define LBD_MAIL_SMTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

struct smtp_guard {
    uint64_t chunk_left;
    uint32_t unanswered; /* commands, messages and chunks */
    uint8_t mode;
    uint8_t line_len;
    uint8_t word_len; /* of the line; 0: it goes on */
    uint8_t reply_len;
    char line[34]; /* of the client's command, where it begins: "BDAT <u64> LAST" */
    char reply[4];
    uint8_t dot;       /* of a message: what the line is so far */
    bool is_behind_cr; /* the client's last byte */
    bool begins_well;  /* CRLF stands before the line */
    bool waits;        /* DATA was the last it said */
    bool doubts;
    bool has_chunking;
};

/* `unanswered`: commands that the server has heard and whose replies will pass. */
void smtp_guard_init(struct smtp_guard *guard, bool has_chunking, uint32_t unanswered);
/* Bytes of the client: true, they may go on. False: the server must hear nothing more of it. */
bool smtp_guard_client(struct smtp_guard *guard, struct slice bytes);
/* The reply to what was refused. */
const char *smtp_guard_refusal(const struct smtp_guard *guard);
/* Bytes of the server. */
void smtp_guard_server(struct smtp_guard *guard, struct slice bytes);

#endif
