#include "tests/unit/head_of.h"

#include <check.h>

#include "lbd/http/h1_head.h"

static const struct h1_limits limits = {.head_bytes = 65536, .fields = HEAD_OF_FIELDS};

static struct message *prepare(struct head_of *head, struct h1_head *parser)
{
    *head = (struct head_of){0};
    head->message.headers.list = head->fields;
    head->message.headers.capacity = HEAD_OF_FIELDS;
    h1_head_init(parser);
    return &head->message;
}

void head_of_request(struct head_of *head, struct slice text)
{
    struct h1_head parser;
    struct message *message = prepare(head, &parser);
    ck_assert_msg(h1_head_request(&parser, text, &limits, message) == H1_DONE, "%.*s",
                  SLICE_ARG(text));
}

void head_of_response(struct head_of *head, struct slice text)
{
    struct h1_head parser;
    struct message *message = prepare(head, &parser);
    ck_assert_msg(h1_head_response(&parser, text, &limits, METHOD_GET, message) == H1_DONE, "%.*s",
                  SLICE_ARG(text));
}
