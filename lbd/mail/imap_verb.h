/*
 * imap_verb - what a command of IMAP leaves behind on its connection.
 *
 * A whitelist (MAIL.md 4.8): of a verb that is not in it nobody knows, nor of ENABLE or NOTIFY,
 * which are left out. imap_track asks, while a command passes through.
 *
 * Names are given in upper case. Threads: any.
 */
#ifndef LBD_MAIL_IMAP_VERB_H
#define LBD_MAIL_IMAP_VERB_H

#include <stdbool.h>

#include "lbd/base/slice.h"

enum imap_verb {
    IMAP_VERB_UNKNOWN,
    IMAP_VERB_PLAIN, /* changes nothing that outlives the mailbox */
    IMAP_VERB_SELECT,
    IMAP_VERB_LEAVE, /* CLOSE, UNSELECT */
    IMAP_VERB_IDLE,
    IMAP_VERB_ID,
    IMAP_VERB_APPEND,
    IMAP_VERB_COMPRESS,
    IMAP_VERB_UNAUTHENTICATE,
};

/* `after_uid`: it is what UID does, "FETCH" of "UID FETCH". */
enum imap_verb imap_verb_find(struct slice name, bool after_uid);
/* Does this word, wherever it stands in a command, turn CONDSTORE on for the connection (RFC 7162
 * 3.1)? */
bool imap_verb_is_enabling(struct slice word);

#endif
