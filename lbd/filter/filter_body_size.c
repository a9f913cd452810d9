#include "lbd/filter/filter_body_size.h"

struct filter_body_size {
    struct filter filter;
    uint64_t max_bytes;
};

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    (void)err;
    container_of(self, struct filter_body_size, filter)->max_bytes = conf->body_size.max_bytes;
    return true;
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    uint64_t max_bytes = ((const struct filter_body_size *)self)->max_bytes; /* first member */
    if (run->request->has_length && run->request->content_length > max_bytes) {
        *kept = run; /* it has spoken */
        return filter_refuse(run, CLOSE_BODY_TOO_LARGE);
    }
    return FILTER_GO_ON;
}

static uint64_t body_max(const struct filter *self)
{
    return ((const struct filter_body_size *)self)->max_bytes; /* first member */
}

const struct filter_ops filter_body_size_ops = {
    .size = sizeof(struct filter_body_size),
    .build = build,
    .request = request,
    .body_max = body_max,
};
