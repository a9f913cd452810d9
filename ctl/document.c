#include "ctl/document.h"

#include "conf/json/json_write.h"
#include "ctl/text_file.h"

static enum ctl_exit parse(struct ctl *ctl, const char *verdict, struct document *document)
{
    struct json_error error;
    struct json_write w;
    document->json =
        json_parse(document->source.text, JSON_COMMENTS, &json_limits_document, &error);
    if (document->json == NULL) {
        return ctl_fail(ctl, CTL_INVALID, "%s: %s:%u:%u: %s", verdict, document->source.name,
                        error.line, error.column, error.text);
    }
    if (!json_is(document->json, JSON_OBJECT)) {
        return ctl_fail(ctl, CTL_INVALID, "%s: %s:1:1: must be an object", verdict,
                        document->source.name);
    }
    json_free(json_take(document->json, SLICE("daemon")));
    json_write_init(&w, &document->body, JSON_COMPACT);
    json_write_json(&w, document->json);
    return CTL_OK;
}

enum ctl_exit document_read(struct ctl *ctl, const char *path, const char *verdict,
                            struct document *document)
{
    *document = (struct document){.source = {.name = text_file_name(path), .verdict = verdict}};
    text_file_init(&document->text);
    buf_init(&document->body, CTL_TEXT_MAX);
    enum ctl_exit code = text_file_read(ctl, path, &document->text);
    document->source.text = buf_slice(&document->text);
    return code == CTL_OK ? parse(ctl, verdict, document) : code;
}

struct json *document_post(struct ctl *ctl, const struct document *document, const char *target,
                           enum ctl_exit *code)
{
    struct json *answer = NULL;
    struct rest_reply reply;
    const struct rest_request request = {.method = "POST",
                                         .target = target,
                                         .content_type = "application/json",
                                         .body = buf_slice(&document->body)};
    rest_reply_init(&reply);
    if (ctl_ask(ctl, &request, &reply, code)) {
        answer = reply.status < 300 ? ctl_body(&reply) : NULL;
        if (answer == NULL && reply.status < 300) {
            *code = ctl_fail(ctl, CTL_BUG, "the answer to POST %s is not JSON", target);
        } else if (answer == NULL) {
            *code = refusal_print(ctl, &reply, &document->source);
        }
    }
    rest_reply_fini(&reply);
    return answer;
}

void document_fini(struct document *document)
{
    json_free(document->json);
    buf_fini(&document->text);
    buf_fini(&document->body);
}
