/*
 * api_events - what happened, and what happens: GET /v1/events and GET /v1/watch.
 *
 *     GET /v1/events?since=7           {"events":[{"sequence":7,...}],"next":8,"oldest":1}
 *         &wait=30s                    with nothing to tell yet: when there is, or after that time
 *     GET /v1/watch                    the same as Server-Sent Events, for as long as the client
 *         Last-Event-ID: 7             stays; goes on behind that one
 *
 *             id: 8
 *             event: server.health
 *             data: {"sequence":8,...}
 *
 * A number that is not held any more, or of another life of the process: 410 events-gone. A watcher
 * owns no queue, it has a place in the ring; when the ring has gone round before it read, it is
 * told `event: events-gone` and ends, and one that takes nothing for two seconds then is cut off. A
 * comment comes every 15 s: libmicrohttpd notices by it that a client has left.
 *
 * Limits: 64 watchers, 64 who wait. Memory: about a kilobyte each, and at most one event as text.
 * Threads: control.
 */
#ifndef API_API_EVENTS_H
#define API_API_EVENTS_H

#include "api/api_request.h"

#define API_EVENTS_WATCHERS_MAX 64U
#define API_EVENTS_WAITING_MAX  64U

void api_events_list(struct api_request *request);
void api_events_watch(struct api_request *request);

/* For the metrics: who watches now; events that were gone before a watcher read them. */
uint32_t api_events_watchers(void);
uint64_t api_events_missed(void);

#endif
