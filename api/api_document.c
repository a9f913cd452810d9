#include "api/api_document.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf_part.h"
#include "conf/conf_walk.h"
#include "lbd/base/mem.h"

/* Below this a length is worth more to the client than a few hundred microseconds to us. */
#define LARGE_BYTES (256U * 1024U)
#define TEXT_MAX    (64U * 1024U * 1024U) /* of the settings of one object, laid out */

struct document_stream {
    struct api_stream stream;
    struct conf_walk walk;
    struct json_write writer;
    struct buf text; /* laid out and not sent yet */
    bool is_over;
};

static void lay_out(struct document_stream *document)
{
    struct slice piece;
    while (document->text.len < API_STREAM_BLOCK && !document->is_over) {
        if (conf_walk_next(&document->walk, &piece)) {
            json_write_raw(&document->writer, piece);
        } else {
            (void)buf_append_char(&document->text, '\n');
            document->is_over = true;
        }
    }
}

static ssize_t read_more(struct api_stream *stream, char *out, size_t max)
{
    struct document_stream *document = container_of(stream, struct document_stream, stream);
    if (document->text.len < max) {
        lay_out(document);
    }
    size_t len = document->text.len < max ? document->text.len : max;
    if (len == 0) {
        return API_STREAM_END;
    }
    memcpy(out, document->text.data, len);
    buf_consume(&document->text, len);
    return (ssize_t)len;
}

static void free_stream(struct api_stream *stream)
{
    struct document_stream *document = container_of(stream, struct document_stream, stream);
    conf_walk_end(&document->walk);
    buf_fini(&document->text);
    free(document);
}

bool api_document_is_large(const struct conf_document *document, struct slice pointer)
{
    size_t slashes = 0;
    for (size_t i = 0; i < pointer.len; i++) {
        slashes += pointer.ptr[i] == '/' ? 1 : 0;
    }
    /* All of it, or a collection, may be most of the document. */
    return slashes <= 1 && conf_document_root(document)->bytes > LARGE_BYTES;
}

struct api_stream *api_document_stream(struct conf_document *document, struct slice pointer)
{
    struct document_stream *made = mem_zero(1, sizeof(*made));
    made->stream.read = read_more;
    made->stream.free = free_stream;
    bool is_there = conf_walk_begin(&made->walk, document, pointer);
    assert(is_there);
    buf_init(&made->text, TEXT_MAX);
    json_write_init(&made->writer, &made->text, JSON_PRETTY);
    return &made->stream;
}
