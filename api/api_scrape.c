#include "api/api_scrape.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_scrape_inside.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"

#define NO_KIND COUNTERS_KIND_COUNT

/* Families of our own first, then those of the kind in counters.def. */
struct section {
    unsigned scope; /* 0: always */
    enum counters_kind kind;
    const struct api_scrape_family *own;
    const size_t *own_count; /* NULL: none */
};

static const struct section sections[] = {
    {API_SCRAPE_PROCESS, NO_KIND, api_scrape_process, &api_scrape_process_count},
    {API_SCRAPE_PROCESS, NO_KIND, api_scrape_mail, &api_scrape_mail_count},
    {API_SCRAPE_PROCESS, COUNTERS_LOOP, NULL, NULL},
    {API_SCRAPE_PROCESS, COUNTERS_MAIL, NULL, NULL},
    {API_SCRAPE_LISTENER, COUNTERS_LISTENER, api_scrape_listener, &api_scrape_listener_count},
    {API_SCRAPE_ROUTE, COUNTERS_ROUTE, NULL, NULL},
    {API_SCRAPE_ROUTE, COUNTERS_POLICY, NULL, NULL},
    {API_SCRAPE_POOL, COUNTERS_POOL, api_scrape_pool, &api_scrape_pool_count},
    {API_SCRAPE_SERVER, COUNTERS_SERVER, api_scrape_server, &api_scrape_server_count},
    {0, NO_KIND, api_scrape_last, &api_scrape_last_count},
};

static uint64_t last_us;

uint64_t api_scrape_last_us(void)
{
    return last_us;
}

unsigned api_scrape_scope(struct slice word)
{
    static const char *const words[] = {"process", "listener", "route", "pool", "server"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(word, slice_from(words[i]))) {
            return 1U << i;
        }
    }
    return 0;
}

/* -- how much it will be -- */

static size_t own_families(const struct section *section)
{
    return section->own_count != NULL ? *section->own_count : 0;
}

static size_t all_families(const struct section *section)
{
    return own_families(section) +
           (section->kind != NO_KIND ? counters_export_families(section->kind) : 0);
}

/* Series of one object. */
static uint64_t series_of(const struct section *section, bool is_full)
{
    uint64_t series = 0;
    for (size_t i = 0; i < own_families(section); i++) {
        series += !section->own[i].is_full || is_full ? section->own[i].series : 0;
    }
    for (size_t i = 0; i < counters_export_families(section->kind); i++) {
        series += !counters_export_is_full(section->kind, i) || is_full
                      ? counters_export_series(section->kind, i)
                      : 0;
    }
    return series;
}

static uint64_t count_series(const struct api_scrape *scrape)
{
    uint64_t series = 0;
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const struct section *section = &sections[i];
        if (section->kind < COUNTERS_LOOP && (scrape->scopes & section->scope) != 0) {
            series += api_scrape_object_count(scrape, section->kind) *
                      series_of(section, scrape->is_full);
        }
    }
    return series;
}

static void choose_pools(struct api_scrape *scrape, struct slice pool)
{
    const struct conf *conf = scrape->conf;
    scrape->end_pool = conf->pool_count;
    if (pool.len != 0) {
        const struct conf_pool *only = conf_pool_find(conf, pool);
        scrape->first_pool = only != NULL ? (uint32_t)(only - conf->pools) : conf->pool_count;
        scrape->end_pool = scrape->first_pool + (only != NULL ? 1 : 0);
    }
    for (uint32_t i = scrape->first_pool; i < scrape->end_pool; i++) {
        scrape->server_count += conf->pools[i].server_count;
    }
}

static void choose_scopes(struct api_scrape *scrape, unsigned scopes)
{
    const struct conf_metrics *metrics = &scrape->conf->metrics;
    scrape->scopes = scopes;
    scrape->is_full = metrics->server_scope == CONF_SERVER_SCOPE_FULL;
    if (metrics->server_scope == CONF_SERVER_SCOPE_NONE) {
        scrape->scopes &= ~(unsigned)API_SCRAPE_SERVER;
    }
}

struct api_scrape_size api_scrape_size(const struct control *control)
{
    struct api_scrape scrape = {
        .conf = conf_document_conf(control_running(control)),
    };
    struct api_scrape_size size = {.max = scrape.conf->metrics.max_series};
    choose_pools(&scrape, SLICE_NONE);
    choose_scopes(&scrape, API_SCRAPE_ALL);
    size.series = count_series(&scrape);
    size.fits = size.series <= size.max || (scrape.scopes & API_SCRAPE_SERVER) == 0;
    return size;
}

/* -- life -- */

struct api_scrape *api_scrape_new(const struct api_scrape_options *options)
{
    struct api_scrape *scrape = mem_zero(1, sizeof(*scrape));
    scrape->control = options->control;
    scrape->document = conf_document_ref(control_running(options->control));
    scrape->conf = conf_document_conf(scrape->document);
    scrape->began_us = now_us();
    arena_init(&scrape->arena, NULL, 0);
    for (size_t i = 0; i < options->name_count; i++) {
        scrape->names[i] = arena_copy(&scrape->arena, options->names[i]);
    }
    scrape->name_count = options->name_count;
    choose_pools(scrape, options->pool);
    choose_scopes(scrape, options->scopes);
    if ((scrape->scopes & API_SCRAPE_SERVER) != 0 &&
        count_series(scrape) > scrape->conf->metrics.max_series) {
        scrape->scopes &= ~(unsigned)API_SCRAPE_SERVER;
        scrape->is_omitted = true;
    }
    scrape->out.format = options->format;
    counters_hold();
    return scrape;
}

void api_scrape_free(struct api_scrape *scrape)
{
    if (scrape == NULL) {
        return;
    }
    api_scrape_drop(scrape);
    counters_unhold();
    conf_document_unref(scrape->document);
    arena_fini(&scrape->arena);
    free(scrape);
}

/* -- the cursor -- */

/* A family is meant by its name in either format, or by the name of one of its samples. */
static bool is_meant(struct slice family, struct slice name)
{
    static const char *const endings[] = {"_bucket", "_sum", "_count"};
    if (slice_eq(family, name)) {
        return true;
    }
    if (slice_ends(family, SLICE("_total")) && slice_starts(family, name)) {
        return name.len == family.len - strlen("_total");
    }
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        if (slice_starts(name, family) &&
            slice_eq(slice_from_at(name, family.len), slice_from(endings[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct api_scrape *scrape, const char *family, bool is_full)
{
    if (is_full && !scrape->is_full) {
        return false;
    }
    for (size_t i = 0; i < scrape->name_count; i++) {
        if (is_meant(slice_from(family), scrape->names[i])) {
            return true;
        }
    }
    return scrape->name_count == 0;
}

static void next_family(struct api_scrape *scrape)
{
    scrape->family++;
    scrape->is_heading_done = false;
    api_scrape_rewind(scrape);
    while (scrape->section < ARRAY_LEN(sections)) {
        const struct section *section = &sections[scrape->section];
        if (scrape->family < all_families(section) &&
            (section->scope == 0 || (scrape->scopes & section->scope) != 0)) {
            return;
        }
        scrape->section++;
        scrape->family = 0;
    }
}

static void write_own(struct api_scrape *scrape, const struct section *section)
{
    const struct api_scrape_family *family = &section->own[scrape->family];
    uint32_t count = section->kind != NO_KIND ? api_scrape_object_count(scrape, section->kind)
                     : family->count != NULL  ? family->count(scrape)
                                              : 1;
    if (scrape->index == count || !is_wanted(scrape, family->name, family->is_full)) {
        next_family(scrape);
        return;
    }
    if (!scrape->is_heading_done) {
        prometheus_family(&scrape->out, family->name, family->type, family->help);
        scrape->is_heading_done = true;
    }
    if (section->kind == NO_KIND || api_scrape_find(scrape, section->kind)) {
        family->write(scrape, scrape->index);
    }
    api_scrape_step(scrape, section->kind);
}

static void write_counters(struct api_scrape *scrape, const struct section *section)
{
    size_t family = scrape->family - own_families(section);
    enum counters_kind kind = section->kind;
    if (scrape->index == api_scrape_object_count(scrape, kind) ||
        !is_wanted(scrape, counters_export_name(kind, family),
                   counters_export_is_full(kind, family))) {
        next_family(scrape);
        return;
    }
    if (!scrape->is_heading_done) {
        counters_export_heading(&scrape->out, kind, family);
        scrape->is_heading_done = true;
    }
    if (api_scrape_find(scrape, kind)) {
        counters_export_object(&scrape->out, kind, family, scrape->id, api_scrape_labels(scrape));
    }
    api_scrape_step(scrape, kind);
}

bool api_scrape_more(struct api_scrape *scrape, struct buf *out, size_t bytes)
{
    size_t begun = out->len;
    if (scrape->out.out == NULL) { /* the first call */
        prometheus_init(&scrape->out, out, scrape->out.format);
        scrape->family = SIZE_MAX; /* the next one is 0 */
        next_family(scrape);
    }
    scrape->out.out = out;
    scrape->live_pool = NULL; /* may be gone since the last call */
    while (scrape->section < ARRAY_LEN(sections)) {
        const struct section *section = &sections[scrape->section];
        if (out->len - begun >= bytes) {
            return true;
        }
        if (scrape->family < own_families(section)) {
            write_own(scrape, section);
        } else {
            write_counters(scrape, section);
        }
    }
    prometheus_end(&scrape->out);
    last_us = now_us() - scrape->began_us;
    return false;
}
