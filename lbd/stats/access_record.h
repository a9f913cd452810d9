/*
 * access_record - the flat facts of one request or tunnel, for the access log.
 *
 * Filled by the exchange when it ends; whatever did not happen stays zero or empty and is left out
 * of the line.
 *
 * Memory: borrows every slice for the call. Threads: the worker that fills it.
 */
#ifndef LBD_STATS_ACCESS_RECORD_H
#define LBD_STATS_ACCESS_RECORD_H

#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"

struct access_record {
    uint64_t time_us;         /* wall clock, when the request began */
    struct addr_small client; /* the client's address; family 0: unknown */
    struct addr_small peer; /* mail: who speaks for it, where that is another one; else family 0 */
    struct slice listener;
    struct slice method;
    struct slice host;
    struct slice path;            /* as the client sent it, with the query */
    struct slice protocol;        /* "HTTP/1.1" */
    struct slice tls;             /* "TLSv1.3" */
    struct slice cipher;          /* of TLS */
    struct slice sni;             /* the name in the handshake */
    struct slice subject;         /* of the client's certificate */
    struct slice proxy_authority; /* by the PROXY header: the name that the client asked for, */
    struct slice proxy_unique_id; /* and the id of its connection */
    struct slice route;
    struct slice pool;
    struct slice server;
    struct slice request_id;
    struct slice trace_id;   /* W3C Trace Context */
    struct slice detail;     /* why a handshake failed, in words */
    struct slice event;      /* mail: "login", "end"; empty: the request's or tunnel's only line */
    struct slice user;       /* mail: who logged in, or wanted to */
    struct slice mechanism;  /* mail: how */
    struct slice state;      /* mail: how far client and server came, "login/banner" */
    struct addr_small local; /* mail: where the client connected to; family 0: unknown */
    struct slice setting;    /* the setting behind the reason: a JSON pointer; empty: none is */
    struct slice setting_value; /* "60s"; empty: it is not one number */
    /* values of those headers that the format names, in its order; NULL: none are there */
    const struct slice *request_headers;
    const struct slice *response_headers;
    uint32_t request_header_count;
    uint32_t response_header_count;
    struct slice
        shadow_policy;       /* the first that would have refused it, in shadow mode; empty: none */
    struct slice policy_key; /* the id of the key that this one, or that of `setting`, refused */
    enum close_reason reason;
    uint16_t status;         /* 0: no answer was begun */
    uint32_t tries;          /* attempts at a server; 0: none */
    uint64_t request_bytes;  /* of the body */
    uint64_t response_bytes; /* of the body */
    uint64_t duration_us;    /* first byte of the request to last of the answer */
    uint64_t queue_us;       /* until the last try began; 0: at once, or none did */
    uint64_t connect_us;     /* of the last connection; 0: none was made */
    uint64_t first_byte_us;  /* from the request's first byte to the answer's; 0: none came */
    uint64_t connection_id;  /* carries the worker's number */
    uint64_t revision;       /* of the configuration that served it */
};

#endif
