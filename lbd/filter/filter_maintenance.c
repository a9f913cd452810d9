#include "lbd/filter/filter_maintenance.h"

#include "lbd/base/cidr.h"
#include "lbd/http/media_type.h"

struct filter_maintenance {
    struct filter filter;
    struct cidr_set allow;
    struct slice body;
    struct slice type;
    struct slice retry_after;
};

/* That of the file's name; the page in the document is HTML. */
static struct slice type_of(const struct conf_policy_maintenance *from)
{
    if (from->content_type.len != 0) {
        return from->content_type;
    }
    return from->body_file.len != 0 ? media_type_of_path(from->body_file)
                                    : SLICE("text/html; charset=utf-8");
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    const struct conf_policy_maintenance *from = &conf->maintenance;
    struct filter_maintenance *page = container_of(self, struct filter_maintenance, filter);
    (void)err; /* the schema has read the networks */
    (void)cidr_set_build(&page->allow, &self->arena, from->allow, from->allow_count);
    page->body = arena_copy(&self->arena, from->body_file.len != 0 ? self->material : from->body);
    page->type = arena_copy(&self->arena, type_of(from));
    page->retry_after = arena_printf(&self->arena, "%u", (from->retry_after_ms + 999) / 1000);
    return true;
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_maintenance *page = (const struct filter_maintenance *)self; /* first */
    (void)kept;
    if (cidr_set_has(&page->allow, run->client)) {
        return FILTER_GO_ON;
    }
    (void)filter_refuse(run, CLOSE_MAINTENANCE);
    run->answer.body = page->body;
    run->answer.type = page->type;
    filter_answer_add(run, SLICE("Retry-After"), page->retry_after);
    return FILTER_ANSWERED;
}

const struct filter_ops filter_maintenance_ops = {
    .size = sizeof(struct filter_maintenance),
    .build = build,
    .request = request,
};
