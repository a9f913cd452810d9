/*
 * api_clients - what the calls have in common that ask all workers about their clients: who is
 * meant, and what is answered.
 *
 *     api_connections, api_mail_tables --> api_clients --control_ask_clients--> the workers
 *
 * Limits: 1,000 clients are described, all are counted. Threads: control.
 */
#ifndef API_API_CLIENTS_H
#define API_API_CLIENTS_H

#include <stdbool.h>

#include "api/api_request.h"
#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/worker/clients.h"

struct api_clients_question {
    struct clients_query query;
    struct addr_small address; /* query.address, when one was named */
};

/* Adds what the parameters listener, pool, server, user, client and limit say. False: the reply
 * says what is wrong. */
LB_MUST_CHECK bool api_clients_read(struct api_request *request,
                                    struct api_clients_question *question);
/* done(answer, request) comes later; when too many ask already, the request is answered here. */
void api_clients_ask(struct api_request *request, const struct clients_query *query,
                     void (*done)(const struct clients_answer *answer, void *arg));
/* {"KEY":[...],"total":n}, and the request is done. */
void api_clients_answer(struct api_request *request, const struct clients_answer *answer,
                        const char *key,
                        void (*write)(struct json_write *w, const struct clients_item *item));
/* DELETE of the one whose id is the path's name: 204, or 404 that calls it a `word`. */
void api_clients_end(struct api_request *request, struct clients_query *query, const char *word);

#endif
