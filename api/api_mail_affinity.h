/*
 * api_mail_affinity - which user belongs to which server of a pool: GET /v1/mail/affinity/{pool}.
 *
 *     {"users":[{"user":"joe@example.com","server":"b1","sessions":2,"pinned":false}],"total":1}
 *
 * Made block by block, as it is taken: all users are looked at, of a hundred thousand at most
 * `limit` shown.
 *
 * Threads: control.
 */
#ifndef API_API_MAIL_AFFINITY_H
#define API_API_MAIL_AFFINITY_H

#include "api/api_request.h"

void api_mail_affinity_list(struct api_request *request);

#endif
