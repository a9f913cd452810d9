/*
 * imap_id - who is behind a proxy, told and heard in IMAP's ID (RFC 2971), with the keys that
 * Dovecot believes from trusted networks.
 *
 *     ID ("x-originating-ip" "2001:db8::1" "x-originating-port" "1025" "x-proxy-ttl" "6" ...)
 *
 * Limits: those of RFC 2971 3.3. Memory: the caller's. Threads: any.
 */
#ifndef LBD_MAIL_IMAP_ID_H
#define LBD_MAIL_IMAP_ID_H

#include <stdbool.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_server.h"

/* The arguments of a client's ID: NIL, or ("key" "value" "key" NIL). What it says of the one behind
 * it is added to *behind; values that cannot be what they should are passed over. False: it breaks
 * the grammar, and *behind is as it was. */
LB_MUST_CHECK bool imap_id_read(struct mail_words words, struct mail_behind *behind);
/* The command without its tag, with a CRLF. */
void imap_id_write(const struct mail_origin *origin, struct buf *out);

#endif
