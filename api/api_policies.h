/*
 * api_policies - what policies do: their decisions, whom they hold back, and what they depend on.
 *
 *     GET /v1/policies/{}/status
 *
 * Everything is read word by word from what workers write anyway (counters, key_top, shared_text):
 * nobody is asked, and nobody waits.
 *
 * Threads: control.
 */
#ifndef API_API_POLICIES_H
#define API_API_POLICIES_H

#include <stddef.h>

#include "api/api_request.h"

void api_policies_status(struct api_request *request);
/* The same in short, as members. */
void api_policies_write_summary(const struct api_request *request, const struct conf_policy *conf,
                                struct json_write *w);
/* What somebody should look at; "": nothing. */
void api_policies_problem(const struct api_request *request, const struct conf_policy *conf,
                          char *out, size_t size);

#endif
