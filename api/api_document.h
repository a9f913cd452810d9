/*
 * api_document - a large resource as an answer that is laid out while it is sent.
 *
 * A document of 100,000 servers is megabytes of text. Made at once it would hold up the control
 * loop, and with it the health checks, for tens of milliseconds; pulled piece by piece nobody
 * waits.
 *
 * Threads: control.
 */
#ifndef API_API_DOCUMENT_H
#define API_API_DOCUMENT_H

#include <stdbool.h>

#include "api/api_request.h"
#include "conf/conf_document.h"

/* Is the resource so large that it should be streamed? `pointer` as for conf_document_text. */
bool api_document_is_large(const struct conf_document *document, struct slice pointer);
/* The stream of a resource that exists, laid out for people; for reply.stream. Holds `document`. */
struct api_stream *api_document_stream(struct conf_document *document, struct slice pointer);

#endif
