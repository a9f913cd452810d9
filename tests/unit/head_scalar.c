#define H1_HEAD_SCALAR
#include "tests/unit/head_scalar.h"

#include "lbd/http/h1_facts.h"

#define h1_head_request   head_scalar_request
#define h1_head_response  head_scalar_response
#define h1_facts_request  head_scalar_facts_request
#define h1_facts_response head_scalar_facts_response

static enum close_reason h1_facts_request(const struct h1_seen *seen, struct message *message);
static enum close_reason h1_facts_response(const struct h1_seen *seen, enum method request_method,
                                           struct message *message);

#include "lbd/http/h1_facts.c"
#include "lbd/http/h1_head.c"
