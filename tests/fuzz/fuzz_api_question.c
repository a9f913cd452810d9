/*
 * fuzz_api_question - any question about a request: refused, or one head and nothing behind it.
 *
 * Whatever host, path and headers are made of, what is put together is at most one request: a
 * parser that takes it takes all of it.
 */
#include <stdlib.h>

#include "api/api_question.h"
#include "lbd/http/h1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_head(struct slice head)
{
    static struct header fields[1000];
    const struct h1_limits limits = {.head_bytes = 65536, .fields = 1000};
    struct message message = {.headers = {.list = fields, .capacity = 1000}};
    struct h1_head parser;
    h1_head_init(&parser);
    switch (h1_head_request(&parser, head, &limits, &message)) {
    case H1_DONE:
        must(message.head_len == head.len);
        break;
    case H1_MORE:
        must(false); /* it has its empty line */
        break;
    case H1_BAD:
        must(parser.reason != CLOSE_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_question question = {.port = 0};
    struct conf_errors *errors = calloc(1, sizeof(*errors));
    struct json_error why;
    struct json *body =
        json_parse(slice_of((const char *)data, size), JSON_STRICT, &json_limits_resource, &why);
    must(errors != NULL);
    conf_errors_init(errors);
    if (body != NULL) {
        bool is_fine = api_question_read(body, &question, errors);
        must(is_fine == (errors->error_count == 0));
        struct buf head;
        buf_init(&head, API_QUESTION_HEAD_MAX);
        if (is_fine && api_question_write_head(&question, &head)) {
            check_head(buf_slice(&head));
        }
        char alpn[64];
        if (is_fine) {
            size_t len = api_question_alpn(&question, alpn, sizeof(alpn));
            size_t at = 0;
            while (at < len) {
                must(alpn[at] != 0);
                at += 1U + (unsigned char)alpn[at];
            }
            must(at == len && len <= sizeof(alpn));
        }
        buf_fini(&head);
    }
    json_free(body);
    conf_errors_fini(errors);
    free(errors);
    return 0;
}
