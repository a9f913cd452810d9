/*
 * api_learned - what a pool with `sticky.mode` learn remembers: GET and DELETE
 * /v1/pools/{pool}/sessions.
 *
 *     {"sessions":[{"session":"00ff...","server":"a","idle_s":7}],"count":1,"evicted":0}
 *
 * Threads: control.
 */
#ifndef API_API_LEARNED_H
#define API_API_LEARNED_H

#include "api/api_request.h"

void api_learned_list(struct api_request *request);
void api_learned_forget(struct api_request *request);

#endif
