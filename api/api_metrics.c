#include "api/api_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_problem.h"
#include "api/api_scrape.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/stats/prometheus_accept.h"

/* One answer on its way. */
struct metrics_stream {
    struct api_stream stream;
    struct api_scrape *scrape;
    struct buf block; /* written and not yet taken */
    size_t taken;
    bool is_complete; /* the scrape has come to its end */
};

/* What is taken at once is about what is made at once: the block stays small. */
static ssize_t read_block(struct api_stream *stream, char *out, size_t max)
{
    struct metrics_stream *self = container_of(stream, struct metrics_stream, stream);
    if (self->taken == self->block.len && !self->is_complete) {
        if (now_us() - api_scrape_began_us(self->scrape) > API_METRICS_LIMIT_S * 1000000ULL) {
            return API_STREAM_BROKEN;
        }
        buf_clear(&self->block);
        self->taken = 0;
        self->is_complete = !api_scrape_more(self->scrape, &self->block, max);
    }
    size_t len = self->block.len - self->taken;
    if (len == 0) {
        return API_STREAM_END;
    }
    if (len > max) {
        len = max;
    }
    memcpy(out, self->block.data + self->taken, len);
    self->taken += len;
    return (ssize_t)len;
}

static void free_stream(struct api_stream *stream)
{
    struct metrics_stream *self = container_of(stream, struct metrics_stream, stream);
    api_scrape_free(self->scrape);
    buf_fini(&self->block);
    free(self);
}

static bool parse_scopes(struct api_request *request, unsigned *scopes)
{
    struct slice rest = api_request_query(request, "scope");
    struct slice word;
    if (rest.ptr == NULL) {
        *scopes = API_SCRAPE_ALL;
        return true;
    }
    *scopes = 0;
    while (slice_split(&rest, ',', &word)) {
        unsigned scope = api_scrape_scope(word);
        if (scope == 0) {
            api_problem(request, "unknown-parameter",
                        "'%.*s' is no scope: process, listener, route, pool, server",
                        SLICE_ARG(word));
            return false;
        }
        *scopes |= scope;
    }
    return true;
}

static bool parse_names(struct api_request *request, struct api_scrape_options *options)
{
    for (uint32_t i = 0; i < request->query_count; i++) {
        if (!slice_eq(request->query[i].name, SLICE("name[]"))) {
            continue;
        }
        if (options->name_count == API_SCRAPE_NAMES_MAX) {
            api_problem(request, "unknown-parameter", "more than %u name[]",
                        (unsigned)API_SCRAPE_NAMES_MAX);
            return false;
        }
        options->names[options->name_count++] = request->query[i].value;
    }
    return true;
}

static bool parse_pool(struct api_request *request, struct api_scrape_options *options)
{
    options->pool = api_request_query(request, "pool");
    const struct conf *conf = conf_document_conf(control_document(request->control));
    if (options->pool.ptr != NULL && conf_pool_find(conf, options->pool) == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(options->pool));
        return false;
    }
    return true;
}

void api_metrics_get(struct api_request *request)
{
    struct api_scrape_options options = {
        .control = request->control,
        .format = prometheus_accept(request->accept),
    };
    if (parse_scopes(request, &options.scopes) && parse_pool(request, &options) &&
        parse_names(request, &options)) {
        struct metrics_stream *self = mem_zero(1, sizeof(*self));
        self->stream.read = read_block;
        self->stream.free = free_stream;
        self->scrape = api_scrape_new(&options);
        buf_init(&self->block, API_REPLY_MAX);
        request->reply.stream = &self->stream;
        request->reply.status = 200;
        request->reply.content_type = prometheus_content_type(options.format);
    }
    api_request_done(request);
}
