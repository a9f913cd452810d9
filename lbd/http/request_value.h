/*
 * request_value - what a request says under a name: a header, a cookie, a parameter of its query.
 *
 * Values are as they were sent, nothing is decoded but the names of parameters, which are compared
 * as servers read them (query.h); of several the first one counts. Cookies are
 * looked for in every Cookie field: HTTP/2 may send each in its own (RFC 9113 8.2.3), and where
 * one was taken out (cookie_strip) the others stand in a field that was added.
 *
 *     Cookie: a=1; session="x y"; b      session: x y       b: none
 *     ?a=1&id=7&id=8&b                   id: 7              b: empty
 *     ?%69d=%37                          id: %37
 *
 * Limits: the head's. Memory: points into the head. Threads: any.
 */
#ifndef LBD_HTTP_REQUEST_VALUE_H
#define LBD_HTTP_REQUEST_VALUE_H

#include <stdbool.h>

#include "lbd/http/message.h"

/* Each: false when there is none. Names of headers in any case, those that a policy has set, too;
 * "host" is the one authority (R8). */
bool request_value_header(const struct message *request, struct slice name, struct slice *value);
bool request_value_cookie(const struct message *request, struct slice name, struct slice *value);
bool request_value_query(const struct message *request, struct slice name, struct slice *value);
/* The same for the text of one Cookie field, and for a query with its '?' or without. */
bool request_value_of_cookies(struct slice text, struct slice name, struct slice *value);
bool request_value_of_query(struct slice text, struct slice name, struct slice *value);

#endif
