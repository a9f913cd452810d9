#include "api/api_metrics.h"

#include <stdlib.h>

#include "api/api_blocks.h"
#include "api/api_problem.h"
#include "api/api_scrape.h"
#include "lbd/base/mem.h"
#include "lbd/stats/prometheus_accept.h"

/* One answer on its way. */
struct metrics {
    struct api_blocks blocks;
    struct api_scrape *scrape;
};

static bool make_more(struct api_blocks *blocks, struct buf *out, size_t bytes)
{
    return api_scrape_more(container_of(blocks, struct metrics, blocks)->scrape, out, bytes);
}

static void fini(struct api_blocks *blocks)
{
    struct metrics *self = container_of(blocks, struct metrics, blocks);
    api_scrape_free(self->scrape);
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
    const struct conf *conf = conf_document_conf(control_running(request->control));
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
        struct metrics *self = mem_zero(1, sizeof(*self));
        self->scrape = api_scrape_new(&options);
        api_blocks_start(request, &self->blocks, make_more, fini);
        request->reply.status = 200;
        request->reply.content_type = prometheus_content_type(options.format);
    }
    api_request_done(request);
}
