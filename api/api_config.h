/*
 * api_config - questions about a whole configuration that change nothing, and reading the file
 * anew.
 *
 * Threads: control.
 */
#ifndef API_API_CONFIG_H
#define API_API_CONFIG_H

#include "api/api_request.h"

/* POST /v1/config/validate: PUT /v1/config?dry_run=true for those who may only read. */
void api_config_validate(struct api_request *request);
/* POST /v1/config/diff: what would be different; nothing is compiled, no socket opened. */
void api_config_diff(struct api_request *request);
/* POST /v1/config/reload */
void api_config_reload(struct api_request *request);

#endif
