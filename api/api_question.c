#include "api/api_question.h"

#include <string.h>

#include "conf/conf_suggest.h"
#include "lbd/base/authority.h"
#include "lbd/base/compiler.h"

static void wrong(struct conf_errors *errors, const char *key, const char *must)
{
    struct buf pointer;
    buf_init(&pointer, 512);
    (void)buf_printf(&pointer, "/%s", key);
    conf_errors_add_at(errors, buf_slice(&pointer), "wrong-value", SLICE_NONE, "must be %s", must);
    buf_fini(&pointer);
}

/* Bytes that would be a line of their own, or end the head, in what we put together. */
static bool is_one_line(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F) {
            return false;
        }
    }
    return true;
}

static const struct scheme {
    struct slice begin;
    uint16_t port; /* 0: it has none of its own */
} schemes[] = {
    {SLICE_INIT("http://"), 80},
    {SLICE_INIT("https://"), 443},
    {SLICE_INIT("tls://"), 443},
    {SLICE_INIT("tcp://"), 0},
};

/* "http://host:port/path?query" */
static bool split_url(struct slice url, struct api_question *question)
{
    const struct scheme *scheme = NULL;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (slice_starts(url, schemes[i].begin)) {
            scheme = &schemes[i];
        }
    }
    if (scheme == NULL) {
        return false;
    }
    struct slice rest = slice_from_at(url, scheme->begin.len);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
        end++;
    }
    struct slice host;
    question->host = slice_of(rest.ptr, end);
    question->path = slice_from_at(rest, end);
    if (!authority_is_valid(question->host)) {
        return false;
    }
    authority_split(question->host, &host, &question->port);
    if (question->port == 0) {
        question->port = scheme->port;
    }
    return true;
}

static void read_headers(const struct json *item, struct api_question *question,
                         struct conf_errors *errors)
{
    const struct json *header = NULL;
    question->headers = item;
    if (!json_is(item, JSON_OBJECT)) {
        wrong(errors, "headers", "an object of strings");
        return;
    }
    json_for_each(header, item)
    {
        if (!json_is(header, JSON_STRING) || !is_one_line(json_string(header)) ||
            !is_one_line(json_key(header))) {
            wrong(errors, "headers", "an object of strings without line ends");
            return;
        }
    }
}

static void read_client(const struct json *item, struct api_question *question,
                        struct conf_errors *errors)
{
    struct addr address;
    if (!json_is(item, JSON_STRING) || !addr_from_ip(json_string(item), 0, &address)) {
        wrong(errors, "client", "an IP address");
        return;
    }
    addr_small_from(&question->client, &address.u.any);
}

static void read_member(const struct json *item, struct api_question *question, struct slice *url,
                        struct conf_errors *errors)
{
    const struct {
        const char *key;
        struct slice *into;
    } texts[] = {
        {"listener", &question->listener},
        {"method", &question->method},
        {"host", &question->host},
        {"path", &question->path},
        {"url", url},
    };
    struct conf_suggest suggest;
    conf_suggest_init(&suggest, json_key(item));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        conf_suggest_offer(&suggest, slice_from(texts[i].key));
        if (slice_eq(json_key(item), slice_from(texts[i].key))) {
            *texts[i].into = json_string(item);
            if (!json_is(item, JSON_STRING) || !is_one_line(json_string(item))) {
                wrong(errors, texts[i].key, "a text of one line");
            }
            return;
        }
    }
    conf_suggest_offer(&suggest, SLICE("client"));
    if (slice_eq(json_key(item), SLICE("client"))) {
        read_client(item, question, errors);
        return;
    }
    conf_suggest_offer(&suggest, SLICE("headers"));
    if (slice_eq(json_key(item), SLICE("headers"))) {
        read_headers(item, question, errors);
        return;
    }
    struct buf pointer;
    buf_init(&pointer, 1024);
    (void)buf_printf(&pointer, "/%.*s", SLICE_ARG(json_key(item)));
    conf_errors_add_at(errors, buf_slice(&pointer), "unknown-key", suggest.best,
                       "'%.*s' is not a known key; there are url, host, path, method, headers, "
                       "client and listener",
                       SLICE_ARG(json_key(item)));
    buf_fini(&pointer);
}

bool api_question_read(const struct json *body, struct api_question *question,
                       struct conf_errors *errors)
{
    const struct json *item = NULL;
    struct slice url = SLICE_NONE;
    if (!json_is(body, JSON_OBJECT)) {
        conf_errors_add_at(errors, SLICE_NONE, "wrong-type", SLICE_NONE, "must be an object");
        return false;
    }
    json_for_each(item, body)
    {
        read_member(item, question, &url, errors);
    }
    if (url.len != 0) {
        if (question->host.len != 0 || question->path.len != 0) {
            wrong(errors, "url", "alone: it excludes host and path");
        } else if (!split_url(url, question)) {
            wrong(errors, "url",
                  "\"http://host/path\", \"https://host/path\", \"tls://host\" or \"tcp://host\"");
        }
    } else if (errors->error_count == 0 && question->host.len == 0 && question->path.len == 0) {
        conf_errors_add_at(errors, SLICE_NONE, "missing-key", SLICE_NONE,
                           "'url', or 'host' and 'path', must be set");
    }
    if (question->path.len == 0) {
        question->path = SLICE("/");
    }
    if (question->method.len == 0) {
        question->method = SLICE("GET");
    }
    return errors->error_count == 0;
}

size_t api_question_alpn(const struct api_question *question, char *out, size_t max)
{
    const struct json *header = NULL;
    struct slice word;
    size_t len = 0;
    if (question->headers == NULL) {
        return 0;
    }
    json_for_each(header, question->headers)
    {
        struct slice rest = json_string(header);
        if (!slice_eq_nocase(json_key(header), SLICE("ALPN"))) {
            continue;
        }
        while (slice_split(&rest, ',', &word)) {
            word = slice_trim(word);
            if (word.len != 0 && word.len < 256 && word.len < max - len) {
                out[len] = (char)(unsigned char)word.len;
                memcpy(out + len + 1, word.ptr, word.len);
                len += 1 + word.len;
            }
        }
    }
    return len;
}

bool api_question_write_head(const struct api_question *question, struct buf *out)
{
    const struct json *header = NULL;
    (void)buf_printf(out, "%.*s %s%.*s HTTP/1.1\r\n", SLICE_ARG(question->method),
                     question->path.ptr[0] == '?' ? "/" : "", SLICE_ARG(question->path));
    if (question->host.len != 0) {
        (void)buf_printf(out, "Host: %.*s\r\n", SLICE_ARG(question->host));
    }
    if (question->headers != NULL) {
        json_for_each(header, question->headers)
        {
            (void)buf_printf(out, "%.*s: %.*s\r\n", SLICE_ARG(json_key(header)),
                             SLICE_ARG(json_string(header)));
        }
    }
    (void)buf_append_text(out, "\r\n");
    return !out->overflow;
}
