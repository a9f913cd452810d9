/*
 * mail_record - the lines of the access log that a mail session writes.
 *
 *     "event":"login"   one for each login that was tried: reason "ok", or why not
 *     "event":"end"     one for each session, with the bytes that were relayed
 *
 * Never a password or token. Nothing is written where the log is off. Threads: worker.
 */
#ifndef LBD_PROXY_MAIL_RECORD_H
#define LBD_PROXY_MAIL_RECORD_H

#include <stdint.h>

#include "lbd/base/close_reason.h"

struct addr_small;
struct mail_seat;
struct mail_session;
struct server;
struct session;

void mail_record_login(const struct mail_session *mail, enum close_reason reason);
/* Nobody is logged in. */
void mail_record_end(const struct mail_session *mail, enum close_reason reason);
/* Of a session that was relayed. */
void mail_record_relayed(const struct session *session, const struct mail_seat *seat,
                         const struct addr_small *behind, const struct server *server,
                         enum close_reason reason, uint64_t up_bytes, uint64_t down_bytes);

#endif
