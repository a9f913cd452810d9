/*
 * api_mail_import - lists that come as text: who is where, and popmaps.
 *
 *     POST /v1/mail/affinity/{pool}       `doveadm director map`, or lines "user server"
 *     POST /v1/mail/maps/{map}/import     a popmap of perdition, into a map that is there
 *
 * A line that makes no sense, or names a server that the pool has not, is left out and counted.
 *
 * Threads: control.
 */
#ifndef API_API_MAIL_IMPORT_H
#define API_API_MAIL_IMPORT_H

#include "api/api_request.h"

void api_mail_import_affinity(struct api_request *request);
void api_mail_import_map(struct api_request *request);

#endif
