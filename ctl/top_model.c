#include "ctl/top_model.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/when.h"
#include "lbd/base/mem.h"

enum { ROWS_FIRST = 64, BUCKETS_MAX = 64 };

const char *const top_view_words[TOP_VIEW_COUNT + 1] = {"pools", "servers", "listeners", "routes",
                                                        NULL};

void top_model_init(struct top_model *model, enum top_view view)
{
    *model = (struct top_model){.view = view, .sort = TOP_BY_RATE};
}

void top_model_fini(struct top_model *model)
{
    json_free(model->before);
    json_free(model->now);
    free(model->rows);
    *model = (struct top_model){.count = 0};
}

/* -- numbers between two answers -- */

static double grown(const struct json *before, const struct json *now, const char *path)
{
    uint64_t was = ctl_number(before, path);
    uint64_t is = ctl_number(now, path);
    return is > was ? (double)(is - was) : 0.0;
}

static double grown_double(const struct json *before, const struct json *now, const char *path)
{
    double grown_by = json_number(ctl_member(now, path)) - json_number(ctl_member(before, path));
    return grown_by > 0.0 ? grown_by : 0.0;
}

/* What each bucket grew by. Returns how many buckets there are. */
static uint32_t read_buckets(const struct json *before, const struct json *now,
                             double counts[BUCKETS_MAX], double *total)
{
    uint32_t count = 0;
    const struct json *was = json_first(before);
    const struct json *is;
    *total = 0.0;
    json_for_each(is, now)
    {
        double grown_by = json_number(is) - json_number(was);
        if (count == BUCKETS_MAX) {
            break;
        }
        counts[count] = grown_by > 0.0 ? grown_by : 0.0;
        *total += counts[count];
        count++;
        was = was != NULL ? json_next(was) : NULL;
    }
    return count;
}

bool top_model_quantile(const struct json *bounds, const struct json *before,
                        const struct json *now, double share, double *value)
{
    double counts[BUCKETS_MAX];
    double total;
    double seen = 0.0;
    double low = 0.0;
    uint32_t count = read_buckets(before, now, counts, &total);
    const struct json *bound = json_first(bounds);
    *value = 0.0;
    if (total <= 0.0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        double wanted = share * total - seen;
        if (bound == NULL) { /* above the last bound: no more is known */
            *value = low;
            return true;
        }
        double high = json_number(bound);
        if (counts[i] > 0.0 && wanted <= counts[i]) {
            *value = low + (high - low) * (wanted / counts[i]);
            return true;
        }
        seen += counts[i];
        low = high;
        bound = json_next(bound);
    }
    *value = low;
    return true;
}

static void fill_latency(const struct top_model *model, struct top_row *row,
                         const struct json *before, const struct json *now, const char *histogram)
{
    const struct json *bounds = json_get(model->now, SLICE("bounds_ms"));
    const struct json *was = json_get(ctl_member(before, histogram), SLICE("buckets"));
    const struct json *is = json_get(ctl_member(now, histogram), SLICE("buckets"));
    row->has_latency = top_model_quantile(bounds, was, is, 0.50, &row->p50_ms) &&
                       top_model_quantile(bounds, was, is, 0.95, &row->p95_ms) &&
                       top_model_quantile(bounds, was, is, 0.99, &row->p99_ms);
}

/* Servers have no histogram: the mean of the time between. */
static void fill_mean(struct top_row *row, const struct json *before, const struct json *now,
                      double requests)
{
    row->has_latency = requests > 0.0;
    if (row->has_latency) {
        row->p50_ms = grown_double(before, now, "response_sum_ms") / requests;
        row->p95_ms = row->p50_ms;
        row->p99_ms = row->p50_ms;
    }
}

/* `histogram` is NULL for what has none. */
static struct top_row make_row(const struct top_model *model, const struct json *before,
                               const struct json *now, const char *histogram)
{
    bool is_first = model->before == NULL;
    const struct json *was = is_first ? now : before; /* nothing grew */
    double requests = grown(was, now, "requests");
    double failed = grown(was, now, "responses.5xx") + grown(was, now, "errors");
    double tried = requests > failed ? requests : failed;
    struct top_row row = {
        .name = json_key(now),
        .health = ctl_text(now, "health"),
        .admin = ctl_text(now, "admin"),
        .weight = ctl_number(now, "weight"),
        .servers = ctl_number(now, "servers"),
        .usable = ctl_number(now, "usable"),
        .connections = ctl_number(now, "connections"),
        .rate = model->elapsed_s > 0.0 ? requests / model->elapsed_s : 0.0,
        .errors = tried > 0.0 ? 100.0 * failed / tried : 0.0,
    };
    if (histogram != NULL) {
        fill_latency(model, &row, was, now, histogram);
    } else {
        fill_mean(&row, was, now, requests);
    }
    return row;
}

/* -- rows -- */

static void add_row(struct top_model *model, const struct top_row *row)
{
    if (model->count == model->capacity) {
        model->capacity = model->capacity != 0 ? model->capacity * 2 : ROWS_FIRST;
        model->rows = mem_resize(model->rows, model->capacity * sizeof(struct top_row));
    }
    model->rows[model->count++] = *row;
}

static bool passes(const struct top_model *model, struct slice name)
{
    size_t len = strlen(model->filter);
    return len == 0 || (name.len >= len && memmem(name.ptr, name.len, model->filter, len) != NULL);
}

/* Larger numbers first, then by name. */
static int compare(double a, double b, const struct top_row *left, const struct top_row *right)
{
    if (a > b || a < b) {
        return a > b ? -1 : 1;
    }
    return slice_compare(left->name, right->name);
}

static int by_rate(const void *a, const void *b)
{
    const struct top_row *left = a;
    const struct top_row *right = b;
    return compare(left->rate, right->rate, left, right);
}

static int by_connections(const void *a, const void *b)
{
    const struct top_row *left = a;
    const struct top_row *right = b;
    return compare((double)left->connections, (double)right->connections, left, right);
}

static int by_errors(const void *a, const void *b)
{
    const struct top_row *left = a;
    const struct top_row *right = b;
    return compare(left->errors, right->errors, left, right);
}

static int by_latency(const void *a, const void *b)
{
    const struct top_row *left = a;
    const struct top_row *right = b;
    return compare(left->p99_ms, right->p99_ms, left, right);
}

static int by_name(const void *a, const void *b)
{
    const struct top_row *left = a;
    const struct top_row *right = b;
    return slice_compare(left->name, right->name);
}

void top_model_arrange(struct top_model *model)
{
    static const char *const histograms[TOP_VIEW_COUNT] = {
        [TOP_POOLS] = "response_duration", [TOP_LISTENERS] = "request_duration"};
    static int (*const orders[])(const void *, const void *) = {
        [TOP_BY_RATE] = by_rate,     [TOP_BY_CONNECTIONS] = by_connections,
        [TOP_BY_ERRORS] = by_errors, [TOP_BY_LATENCY] = by_latency,
        [TOP_BY_NAME] = by_name,
    };
    const char *word = top_view_words[model->view];
    const struct json *olds = ctl_member(model->before, word);
    const struct json *last = NULL;
    const struct json *one;
    model->count = 0;
    model->all = 0;
    json_for_each(one, ctl_member(model->now, word))
    {
        /* what is new began at 0; a kind that was not asked for has nothing to compare with */
        const struct json *old = olds != NULL ? ctl_member_beside(olds, &last, json_key(one)) : one;
        model->all++;
        if (passes(model, json_key(one))) {
            struct top_row row = make_row(model, old, one, histograms[model->view]);
            add_row(model, &row);
        }
    }
    if (model->count != 0) {
        qsort(model->rows, model->count, sizeof(struct top_row), orders[model->sort]);
    }
}

static struct top_mail make_mail(const struct top_model *model)
{
    const struct json *now = ctl_member(model->now, "process.mail");
    const struct json *before = ctl_member(model->before, "process.mail");
    double logins = before != NULL ? grown(before, now, "logins") : 0.0;
    double failed = before != NULL ? grown(before, now, "failed_logins") : 0.0;
    return (struct top_mail){
        .is_there = now != NULL,
        .sessions = ctl_number(now, "sessions"),
        .rate = model->elapsed_s > 0.0 ? logins / model->elapsed_s : 0.0,
        .failed = logins > 0.0 ? 100.0 * failed / logins : 0.0,
    };
}

void top_model_feed(struct top_model *model, struct json *stats)
{
    uint64_t was_ms = 0;
    uint64_t is_ms = 0;
    json_free(model->before);
    model->before = model->now;
    model->now = stats;
    bool ok = when_parse(ctl_text(model->before, "time"), &was_ms) &&
              when_parse(ctl_text(stats, "time"), &is_ms) && is_ms > was_ms;
    model->elapsed_s = ok ? (double)(is_ms - was_ms) / 1000.0 : 0.0;
    model->process = make_row(model, ctl_member(model->before, "process"),
                              ctl_member(stats, "process"), "request_duration");
    model->mail = make_mail(model);
    top_model_arrange(model);
}

uint32_t top_model_find(const struct top_model *model, struct slice name)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (slice_eq(model->rows[i].name, name)) {
            return i;
        }
    }
    return UINT32_MAX;
}
