/*
 * mail_xclient - the attributes of XCLIENT: who is behind a proxy, told and heard.
 *
 *     SMTP (Postfix, Dovecot): XCLIENT ADDR=IPV6:2001:db8::1 PORT=1025 HELO=a.example LOGIN=joe+40b
 *     POP3 (Dovecot):          XCLIENT ADDR=2001:db8::1 PORT=1025 SESSION=x7 TTL=6
 *
 * Only attributes that the server advertised are written, each value as xtext (RFC 3461 4), so that
 * no name of a client begins an attribute or a line of its own. What a trusted client says is held
 * against its grammar before it counts; that it is trusted the caller knows.
 *
 * Limits: a line of 512 bytes. Memory: the caller's. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_XCLIENT_H
#define LBD_MAIL_MAIL_XCLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_server.h"

#define MAIL_XCLIENT_LINE_MAX 512U /* with its CRLF */

/* A set of attributes, a bit each. */
#define MAIL_XCLIENT_LOGIN (1U << 5)
#define MAIL_XCLIENT_POP3  0x7c3U /* what Dovecot takes in POP3, which has no list of its own */
/* The attributes that we take from a client of SMTP, as EHLO has them. */
#define MAIL_XCLIENT_TAKEN "NAME ADDR PORT PROTO HELO SESSION TTL"

/* The known ones among "NAME ADDR PORT". */
uint32_t mail_xclient_set(struct slice names);
/* Writes one line with as many of the attributes in *left as fit, and takes them out of *left; what
 * is not known of `origin` is left out. `login` is the name that the client logged in with; LOGIN
 * is written where it is in *left. False: there was nothing to say. */
bool mail_xclient_write(enum mail_protocol protocol, const struct mail_origin *origin,
                        struct slice login, uint32_t *left, struct buf *out);
/* "ADDR=... PORT=..." of a trusted client, added to *behind. False: it breaks the grammar, and
 * *behind is as it was. */
bool mail_xclient_read(enum mail_protocol protocol, struct slice attributes,
                       struct mail_behind *behind);
/* Visible ASCII but "+" and "=" as it is, else "+" and two hexadecimal digits. */
void mail_xclient_write_xtext(struct slice value, struct buf *out);

#endif
