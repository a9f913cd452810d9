/*
 * hop - what stops at this hop and what this hop adds (RFC 9110 7.6, R9).
 *
 * Both drop Connection and everything it names, Keep-Alive, Proxy-Connection, Proxy-Authorization,
 * Proxy-Authenticate, TE, Trailer (unless trailers are forwarded), Upgrade, HTTP2-Settings; framing
 * and connection fields are the writer's (TE: trailers is struct h1_write's). hop_request also
 * drops what the client claims in fields that are ours and adds
 *
 *     X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host (when there is an authority),
 *     X-Forwarded-Port (when there are facts), or Forwarded, or all of these,
 *     X-Request-Id (when it is ours), Via,
 *     X-Client-Cert-Subject, X-Client-Cert-SHA256, Client-Cert (RFC 9440) when there are facts
 *
 * X-Real-IP and Client-Cert-Chain are dropped and not made. Names
 * reach us as [A-Za-z0-9-] only (R9), so no other spelling folds to ours. Every field is looked at
 * once.
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_HOP_H
#define LBD_HTTP_HOP_H

#include <stdbool.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/message.h"

/* Of the client and the proxies before us, where rules say whom to believe (http/forwarded). */
struct hop_told {
    struct slice list;      /* of X-Forwarded-For; empty: no X-Forwarded-* is made */
    struct slice forwarded; /* of Forwarded; empty: none */
    struct slice proto;     /* "http" or "https" */
    struct slice host;      /* of X-Forwarded-Host; empty: the authority */
    struct slice port;      /* of X-Forwarded-Port; empty: none */
};

struct hop_facts {
    const struct hop_told *told; /* NULL: nobody is believed */
    struct slice client_ip;      /* text; not looked at where `told` says it */
    struct slice proto;          /* likewise */
    struct slice request_id;     /* ours; empty: a valid one of the client's is kept */
    /* of the client's certificate; empty: nothing is told */
    struct slice cert_subject;
    struct slice cert_sha256;
    struct slice cert; /* as RFC 9440 has it */
    bool forward_trailers;
};

/* True, or false with *reason when Connection names a field that must not be taken out
 * (bad_connection_header). All slices in `facts` must live as long as the message. */
bool hop_request(struct message *message, const struct hop_facts *facts, enum close_reason *reason);
/* Drops what stops here, adds Via, and Date when the server sent none (`http_date`, RFC
 * 9110 6.6.1). */
void hop_response(struct message *message, struct slice http_date, bool forward_trailers);
/* The one request id that the client sent: 1-128 bytes of [A-Za-z0-9._~+/=-], or empty. */
struct slice hop_client_request_id(const struct message *message);

#endif
