/*
 * imap_peek - what a command of IMAP is, before any of it is passed on.
 *
 *     "a1 LOGOUT\r\n"     need not reach the server (imap_track, holds_logout)
 *     "a1 SELECT x\r\n"   leaves the mailbox that somebody else had selected (imap_track_inherit)
 *
 * Only the bytes that lie here are looked at: where they are too few to tell, they are to be kept,
 * and shown again with what comes behind them. Memory: none. Threads: any.
 */
#ifndef LBD_MAIL_IMAP_PEEK_H
#define LBD_MAIL_IMAP_PEEK_H

#include <stddef.h>

/* There are never more that are too few: tag, space, "LOGOUT\r" or a name of 7 letters. */
#define IMAP_PEEK_MAX 48U

enum imap_peek { IMAP_PEEK_OTHER, IMAP_PEEK_CUT, IMAP_PEEK_SO };

/* Does a command that begins here say LOGOUT? SO: the lengths of its tag and of its whole line. */
enum imap_peek imap_peek_logout(const char *bytes, size_t len, size_t *tag_len, size_t *line_len);
/* Does it select a mailbox (SELECT, EXAMINE)? */
enum imap_peek imap_peek_select(const char *bytes, size_t len);

#endif
