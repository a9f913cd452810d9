/*
 * api_mail_tables - mail, by the many: sessions, bans, the cache.
 *
 *     GET /v1/mail/sessions   user, listener, pool, server, client, limit   DELETE .../{id}
 *     GET /v1/mail/bans                                                     DELETE .../{id}
 *                                            address, user: those, else all DELETE
 *     GET /v1/mail/cache                     user: of this one, else all    DELETE
 *
 * Threads: control.
 */
#ifndef API_API_MAIL_TABLES_H
#define API_API_MAIL_TABLES_H

#include "api/api_request.h"

void api_mail_sessions_list(struct api_request *request);
void api_mail_sessions_delete(struct api_request *request);
void api_mail_bans_list(struct api_request *request);
void api_mail_bans_delete(struct api_request *request);
void api_mail_bans_clear(struct api_request *request);
void api_mail_cache_get(struct api_request *request);
void api_mail_cache_delete(struct api_request *request);

#endif
