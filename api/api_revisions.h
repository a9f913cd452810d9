/*
 * api_revisions - what ran before, and the way back.
 *
 * Threads: control.
 */
#ifndef API_API_REVISIONS_H
#define API_API_REVISIONS_H

#include "api/api_request.h"

void api_revisions_list(struct api_request *request);
void api_revisions_get(struct api_request *request);
void api_revisions_config(struct api_request *request);
void api_revisions_diff(struct api_request *request);
void api_revisions_rollback(struct api_request *request);
void api_revisions_confirm(struct api_request *request);
void api_revisions_reject(struct api_request *request);

#endif
