/*
 * top_model - what `lbctl top` shows, worked out of two answers of /v1/stats.
 *
 *     before, now --> rates, shares of errors, quantiles of the time between --> rows --> filtered,
 *     sorted
 *
 * Counters only grow; where one went back, because lbd began anew, nothing happened. Knows neither
 * a terminal nor a socket.
 *
 * Memory: owns both answers and its rows, whose texts are borrowed from the newer one. Threads:
 * one.
 */
#ifndef CTL_TOP_MODEL_H
#define CTL_TOP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json.h"
#include "lbd/base/slice.h"

enum top_view { TOP_POOLS, TOP_SERVERS, TOP_LISTENERS, TOP_ROUTES, TOP_VIEW_COUNT };
enum top_sort { TOP_BY_RATE, TOP_BY_CONNECTIONS, TOP_BY_ERRORS, TOP_BY_LATENCY, TOP_BY_NAME };

enum { TOP_FILTER_MAX = 63 };

struct top_row {
    struct slice name;
    struct slice health;  /* servers */
    struct slice admin;   /* servers */
    uint64_t weight;      /* servers */
    uint64_t servers;     /* pools */
    uint64_t usable;      /* pools */
    uint64_t connections; /* not routes */
    double rate;          /* requests in a second */
    double errors;        /* per cent of them; 0 when there were none */
    bool has_latency;     /* there were any to measure */
    double p50_ms;        /* servers: the mean, in all three */
    double p95_ms;
    double p99_ms;
};

/* Of all protocols of mail. */
struct top_mail {
    bool is_there; /* some listener speaks one */
    uint64_t sessions;
    double rate;   /* logins in a second */
    double failed; /* per cent of them; 0 when there were none */
};

struct top_model {
    enum top_view view;
    enum top_sort sort;
    char filter[TOP_FILTER_MAX + 1]; /* a part of the name; "": all */

    struct json *before; /* NULL: there was none yet, all rates are 0 */
    struct json *now;
    double elapsed_s;
    struct top_row process;
    struct top_mail mail;
    struct top_row *rows;
    uint32_t count;
    uint32_t all; /* without the filter */
    uint32_t capacity;
};

extern const char *const top_view_words[TOP_VIEW_COUNT + 1]; /* "pools", ...; ends with NULL */

void top_model_init(struct top_model *model, enum top_view view);
void top_model_fini(struct top_model *model);
/* Takes the next answer (kept). */
void top_model_feed(struct top_model *model, struct json *stats);
/* Makes the rows anew: after a feed, another view, sort or filter. */
void top_model_arrange(struct top_model *model);
/* The row of that name, or UINT32_MAX. */
uint32_t top_model_find(const struct top_model *model, struct slice name);

/* The value below which `share` (0 to 1) of what was counted between two lists of buckets lies, in
 * the unit of `bounds`. `before` may be NULL. False: nothing was counted. */
bool top_model_quantile(const struct json *bounds, const struct json *before,
                        const struct json *now, double share, double *value);

#endif
