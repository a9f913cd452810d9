/*
 * api_tokens - /v1/whoami and /v1/tokens: who am I, and who else is let in.
 *
 *     PUT /v1/tokens/ci {"role":"operate","expires":"30d","note":"the pipeline"}
 *         {"id":"ci","role":"operate","expires":"...","note":"...","secret":"lbd_..."}
 *
 * The secret is in that answer and nowhere else: the file has its hash. The same PUT again makes a
 * new secret, and the old one is worth nothing.
 *
 * Threads: control.
 */
#ifndef API_API_TOKENS_H
#define API_API_TOKENS_H

#include "api/api_request.h"

void api_tokens_whoami(struct api_request *request);
void api_tokens_list(struct api_request *request);
void api_tokens_put(struct api_request *request);
void api_tokens_delete(struct api_request *request);

#endif
