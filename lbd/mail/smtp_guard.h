/*
 * smtp_guard - keeps XCLIENT and XFORWARD of a client from a server that believes lbd.
 *
 * Postfix takes them at any time from hosts it trusts (smtpd_authorized_xclient_hosts): behind a
 * relay a client could name another address, and another user who is logged in. So command lines
 * are looked at, not what a message holds.
 *
 *     commands --DATA, then 354 and nothing sent before it--> message --"." or another reply-->
 * commands
 *
 * In doubt it is commands. A client that sends something behind DATA without waiting for the answer
 * leaves it in doubt for good; then a line of a message that begins so is refused, too.
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
    char word[9]; /* of the client's line, the first one */
    char reply[3];
    uint8_t word_len;
    uint8_t reply_len;
    bool is_past_word;
    bool is_message;
    bool waits;  /* DATA was the last it said */
    bool doubts; /* it does not wait for answers to DATA */
};

/* Bytes of the client: true, they may go on. False: the server must hear nothing more of it. */
bool smtp_guard_client(struct smtp_guard *guard, struct slice bytes);
/* Bytes of the server. */
void smtp_guard_server(struct smtp_guard *guard, struct slice bytes);

#endif
