/*
 * interview - what does a server speak that does not answer as it is configured?
 *
 *     listen: a plain connection, nothing said --it speaks first--> a banner: SMTP, IMAP, POP3, SSH
 *         --silence--> ask: a request of HTTP/1.1 --> HTTP, HTTP/2, an alert of TLS, something else
 *         --alert, end, "HTTPS"--> shake hands --> TLS
 *         --end, 400--> ask again behind a PROXY header, where HTTP in clear is configured
 *
 * Run by control once, after the first check of a server that connected and was not understood. The
 * answer is a sentence for people, or none where nothing is certain.
 *
 * Limits: INTERVIEW_STEP_MS for each connection, three connections at most, 4 KiB of each answer.
 * Memory: one heap object until fn or cancel. Threads: the loop's owner (control).
 */
#ifndef LBD_UPSTREAM_INTERVIEW_H
#define LBD_UPSTREAM_INTERVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/slice.h"
#include "lbd/net/loop.h"
#include "lbd/net/proxy_header.h"
#include "lbd/tls/tls_client.h"

#define INTERVIEW_LISTEN_MS 300U
#define INTERVIEW_STEP_MS   1000U
#define INTERVIEW_TEXT_MAX  120

enum interview_found {
    INTERVIEW_NOTHING, /* it said nothing, or could not be reached */
    INTERVIEW_CLOSES,  /* closes without a word */
    INTERVIEW_HTTP1,
    INTERVIEW_HTTP2,
    INTERVIEW_TLS,
    INTERVIEW_SMTP,
    INTERVIEW_IMAP,
    INTERVIEW_POP3,
    INTERVIEW_SSH,
    INTERVIEW_PROXY, /* HTTP, but only behind a PROXY header */
    INTERVIEW_OTHER  /* something that we do not know */
};

/* Whom, and what it is configured as. Borrowed for the call. */
struct interview_server {
    const struct addr *address;
    struct slice host;               /* for the request of HTTP */
    enum proxy_header_version proxy; /* such a header goes first */
    struct tls_client *tls;          /* for a handshake that looks at no certificate */
    const char *tls_name;
    const char *word;              /* as configured: "http", "https", "imaps" */
    enum interview_found expected; /* what that is, from the first byte */
};

struct interview;
/* `text`: "configured http, answers TLS (TLSv1.3)"; "": nothing is certain, or all is as
 * configured. The interview is gone when this is called. */
typedef void interview_fn(const char *text, void *arg);

/* fn comes later from the loop, once. */
struct interview *interview_start(struct loop *loop, const struct interview_server *server,
                                  interview_fn *fn, void *arg);
/* fn will not come. NULL is fine. */
void interview_cancel(struct interview *interview);

/* What these first bytes of an answer are. */
enum interview_found interview_look(struct slice said);

#endif
