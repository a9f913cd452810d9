/*
 * live_api - the API of a live_control over its real unix socket, and a client on the same loop.
 *
 *     live_api_begin();
 *     ck_assert_uint_eq(live_api_call("GET", "/v1/config", "", ""), 200);
 *     ck_assert(live_api_has("ETag: "));
 *     live_api_end();
 *
 * One listener `web`, one pool `p` with the server `a`. Threads: the test's is the control thread.
 */
#ifndef TESTS_UNIT_LIVE_API_H
#define TESTS_UNIT_LIVE_API_H

#include <stdbool.h>

#include "api/api.h"
#include "tests/unit/live_control.h"

#define LIVE_API_JSON  "Content-Type: application/json\r\n"
#define LIVE_API_MERGE "Content-Type: application/merge-patch+json; charset=utf-8\r\n"

struct live_api {
    struct live_control live;
    struct api *api;
    char socket[96];
    char answer[262144]; /* head and body of the last answer */
    unsigned status;
    const char *body;
};

extern struct live_api live_api;

void live_api_begin(void);
void live_api_end(void);
/* Sends `text`, reads until the peer closes. */
void live_api_talk(const char *text);
/* One request (`headers` end in CRLF each), the connection closed after it; returns the status. */
unsigned live_api_call(const char *method, const char *target, const char *headers,
                       const char *body);
/* Is this text in the answer, head or body? */
bool live_api_has(const char *text);

#endif
