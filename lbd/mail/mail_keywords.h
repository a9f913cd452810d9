/*
 * mail_keywords - lists of what mail servers say they can, held against each other.
 *
 * Lists as mail_server.capabilities has them: words (IMAP), or lines that begin with a keyword
 * (SMTP's EHLO, POP3's CAPA, ManageSieve). Of several servers only what all of them can may be
 * offered to a client, who does not know yet which one it will get.
 *
 * Limits: MAIL_CAPABILITIES_MAX of each list; beyond it keywords are left out. Memory: the caller's
 * buf. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_KEYWORDS_H
#define LBD_MAIL_MAIL_KEYWORDS_H

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

enum mail_keywords_form { MAIL_KEYWORDS_WORDS, MAIL_KEYWORDS_LINES };

/* Appends what both lists have, in the order of `a`. Of lines with one keyword the words that both
 * have, of SIZE the smaller number; where they share none, the keyword is left out. */
void mail_keywords_common(struct slice a, struct slice b, enum mail_keywords_form form,
                          struct buf *out);
/* Appends the keywords of `list` that `other` has not, separated by a space, but for those that
 * `out` has already. */
void mail_keywords_beyond(struct slice list, struct slice other, enum mail_keywords_form form,
                          struct buf *out);

#endif
