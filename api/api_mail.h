/*
 * api_mail - users of mail, by hand: where one is, moving, kicking; and a server's drain that moves
 * them off.
 *
 *     GET  /v1/mail/users/{user}/status
 *     POST /v1/mail/users/{user}/move      {"server":"b2","pool":"imap","kick_delay":"2s"}
 *     POST /v1/mail/users/{user}/kick      {"reason":"..."}
 *     POST /v1/mail/users/{user}/release   {}
 *     GET, PUT, DELETE /v1/pools/{pool}/servers/{server}/mail-drain
 *
 * What is done so is not kept over a restart; an entry of mail_users is.
 *
 * Threads: control.
 */
#ifndef API_API_MAIL_H
#define API_API_MAIL_H

#include "api/api_request.h"

/* False: the reply says that the workers do not run. */
bool api_mail_is_running(struct api_request *request);
void api_mail_user_status(struct api_request *request);
void api_mail_user_move(struct api_request *request);
void api_mail_user_kick(struct api_request *request);
void api_mail_user_release(struct api_request *request);
void api_mail_drain_get(struct api_request *request);
void api_mail_drain_put(struct api_request *request);
void api_mail_drain_delete(struct api_request *request);

#endif
