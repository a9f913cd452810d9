/*
 * clients - a question to all workers about their clients: which are there, or: end those.
 *
 *     clients_ask --message--> each worker: proxy/sweep --message--> all have answered: done()
 *
 * A worker looks at its clients a slice per pass, so no request waits for it.
 *
 * Limits: at most `limit` clients of each worker are described, all are counted. Memory: freed
 * after done(). Threads: control; the parts travel to the workers and back.
 */
#ifndef LBD_WORKER_CLIENTS_H
#define LBD_WORKER_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"
#include "lbd/net/listener.h"
#include "lbd/proxy/session.h"
#include "lbd/upstream/server.h"
#include "lbd/worker/worker.h"

#define CLIENTS_NAME_MAX        64 /* with the NUL */
#define CLIENTS_SNI_MAX         256
#define CLIENTS_USER_MAX        (MAIL_USER_MAX + 1U)
#define CLIENTS_CERTIFICATE_MAX 256

/* Who is meant: all that fit every part that is given. */
struct clients_query {
    struct listener *listener;        /* NULL: any; referenced while it is asked */
    struct server *server;            /* that has a request or tunnel of the client; likewise */
    struct slice pool;                /* of the request or tunnel; empty: any */
    struct slice server_name;         /* likewise */
    struct slice user;                /* of mail; empty: any */
    const struct addr_small *address; /* without its port, the client's or its peer's; NULL: any */
    bool is_mail;                     /* mail only: whose user is known */
    bool is_kicked;                   /* mail only: whose user was kicked (mail_users) */
    uint64_t id;                      /* of the one client; 0: any */
    uint32_t limit;                   /* clients to describe */
    bool is_end;                      /* end them (of a server: the request or tunnel), politely */
    enum close_reason reason;         /* then: why */
};

struct clients_item {
    uint64_t id;
    struct addr_small address; /* the client's */
    struct addr_small peer;    /* of mail: who speaks for it; family 0: itself */
    enum session_state state;
    enum session_protocol protocol;
    uint32_t streams;            /* requests under way */
    char user[CLIENTS_USER_MAX]; /* of mail; "": not known */
    uint32_t requests;           /* so far */
    const char *tls_version;     /* NULL: clear; live for ever */
    const char *tls_cipher;
    char sni[CLIENTS_SNI_MAX];                 /* "": the client named nobody */
    char certificate[CLIENTS_CERTIFICATE_MAX]; /* its subject, perhaps cut; "": none is kept */
    uint64_t age_us;
    char listener[CLIENTS_NAME_MAX];
    char pool[CLIENTS_NAME_MAX];   /* "": none */
    char server[CLIENTS_NAME_MAX]; /* "": none */
};

struct clients_answer {
    uint64_t total; /* that fit */
    uint64_t ended; /* of them; the rest was ending already */
    uint32_t count; /* described; a fair share of each worker */
    const struct clients_item **items;
};

/* done() runs on control, once; what it is given lives as long as the call. */
void clients_ask(struct workers *workers, const struct clients_query *query,
                 void (*done)(const struct clients_answer *answer, void *arg), void *arg);

/* "1-2a": the worker's number, from 0, and the client's there, hexadecimal. */
#define CLIENTS_ID_MAX 32
void clients_write_id(uint64_t id, char out[CLIENTS_ID_MAX]);
/* False: it is none. */
bool clients_read_id(struct slice text, uint64_t *id);

#endif
