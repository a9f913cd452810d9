/*
 * health_mail - a mail server that greets and says what it can is fit; IMAP, POP3, SMTP and
 * ManageSieve.
 *
 *     greeting -> [STARTTLS] -> capabilities -> [login] -> LOGOUT or QUIT -> its end
 *
 * mail_server says all of it, as for users. TLS as the pool has it. With check.user it logs in: a
 * server that refuses is degraded, not down, for a service of passwords that fails must not take
 * all servers with it. What the server says it can goes with the result.
 *
 * Polite: it waits for the server's farewell (its time limit is no failure then), and the pool's
 * PROXY header comes first, of our own connection.
 *
 * Limits: mail_server's. The password is read from its file for each login, and wiped. Threads:
 * control.
 */
#ifndef LBD_UPSTREAM_HEALTH_MAIL_H
#define LBD_UPSTREAM_HEALTH_MAIL_H

#include <stddef.h>

#include "lbd/mail/mail_protocol.h"
#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_mail;

/* What its server said it can, as mail_server.capabilities has it; the length, 0: not known, or
 * no check of mail. */
size_t health_mail_capabilities(const struct health_probe *probe, char out[MAIL_CAPABILITIES_MAX]);

#endif
