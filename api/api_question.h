/*
 * api_question - a request that somebody asks about, as JSON, and the head that a client would send
 * for it.
 *
 *     {"url": "http://www.example.com/cart?x"}        GET /cart?x HTTP/1.1
 *     {"host": "h", "path": "/", "method": "PUT",     Host: www.example.com
 *      "headers": {"X": "y"}, "listener": "web",
 *      "client": "10.0.0.7"}
 *
 *     {"url": "tls://imap.example.com:993"}           a connection, of a listener of TCP
 *     {"url": "tcp://mail:25", "headers": {"ALPN": "imap, pop3"}}
 *
 * What would be a line of its own is refused; everything else is put in as it is, for it is the
 * parser of the proxy that shall judge it.
 *
 * Memory: borrows the JSON. Threads: any.
 */
#ifndef API_API_QUESTION_H
#define API_API_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_errors.h"
#include "conf/json/json.h"
#include "lbd/base/addr.h"
#include "lbd/base/buf.h"

#define API_QUESTION_HEAD_MAX 65537U /* bytes: one more than a parser takes */

struct api_question {
    struct slice listener;
    struct slice method;
    struct slice host;        /* with port, as the header Host has it */
    struct slice path;        /* with query */
    uint16_t port;            /* of the URL; 0: none was given */
    struct addr_small client; /* family 0: none was given */
    const struct json *headers;
};

/* False: *errors says what is wrong. */
bool api_question_read(const struct json *body, struct api_question *question,
                       struct conf_errors *errors);
/* The protocols of a connection, from the header ALPN (RFC 7639 2), as a ClientHello has them: at
 * most `max` bytes; its length. */
size_t api_question_alpn(const struct api_question *question, char *out, size_t max);
/* False: it is too long to be one. */
bool api_question_write_head(const struct api_question *question, struct buf *out);

#endif
