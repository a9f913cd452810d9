/*
 * api_idempotency - a request that comes again under the same Idempotency-Key gets the answer that
 * it got before.
 *
 *     begin --new key--> runs --> end: the answer is kept
 *           --same key, same request--> the answer again, with Idempotent-Replay: true
 *           --same key, other request--> 422 idempotency-mismatch
 *           --same key, not answered yet--> 409 idempotency-running
 *
 * A key belongs to who uses it: two identities may use the same word. A request is its method,
 * path, query, preconditions, media type and body; dry runs are requests like others. Answers that
 * say "not now" (401, 403, 429, 5xx) are not kept: the next attempt is a new one. So are secrets:
 * PUT /v1/tokens pays no heed to the key.
 *
 * Limits: 24 hours, 1,000 answers, 32 MiB of them; the oldest go first. A restart forgets all: then
 * PUT, PATCH and DELETE are what protects.
 * Memory: owns copies. Threads: control.
 */
#ifndef API_API_IDEMPOTENCY_H
#define API_API_IDEMPOTENCY_H

#include <stdbool.h>

#include "api/api_request.h"

#define API_IDEMPOTENCY_KEY_MAX   255
#define API_IDEMPOTENCY_COUNT_MAX 1000
#define API_IDEMPOTENCY_BYTES_MAX (32U * 1024U * 1024U)
#define API_IDEMPOTENCY_HOURS     24

struct api_idempotency;

struct api_idempotency *api_idempotency_new(void);
void api_idempotency_free(struct api_idempotency *idempotency); /* NULL is fine */

/* Before the handler, when the request's body is there. True: go on. False: the reply is complete,
 * from memory or a problem. */
bool api_idempotency_begin(struct api_idempotency *idempotency, struct api_request *request);
/* Before the reply is sent. */
void api_idempotency_end(struct api_idempotency *idempotency, struct api_request *request);
/* It will not be answered any more. Does nothing after _end. */
void api_idempotency_abandon(struct api_idempotency *idempotency, struct api_request *request);

size_t api_idempotency_count(const struct api_idempotency *idempotency);
size_t api_idempotency_bytes(const struct api_idempotency *idempotency);

#endif
