/*
 * api_limit - the parameter `limit` of lists: how many entries are asked for.
 *
 * Threads: control.
 */
#ifndef API_API_LIMIT_H
#define API_API_LIMIT_H

#include "api/api_request.h"

/* Sets *limit: what is asked for, `usual` when nothing is. False: it is no number from `least` to
 * `most`, and the reply says so. */
LB_MUST_CHECK bool api_limit_read(struct api_request *request, uint32_t least, uint32_t usual,
                                  uint32_t most, uint32_t *limit);

#endif
