/*
 * api_scrape - one rendering of /metrics: a cursor that writes family after family, object after
 * object, and may stop after any of them.
 *
 *     scrape = api_scrape_new(&options);
 *     while (api_scrape_more(scrape, &out, 16384)) send out
 *     api_scrape_free(scrape);
 *
 * What is shown is the document of the moment at which it began (held), and the live objects that
 * are found for it in the first family of their kind; they stay to the end, also when they are
 * removed meanwhile: servers and listeners by a reference, blocks of counters by counters_hold.
 * Values are those of the moment at which they are written.
 *
 * Two scrapers at once have two cursors. A shared or kept answer would save the second one some
 * milliseconds of processor and cost the whole text (4 MB for 10,000 servers) for each that reads
 * slowly; a cursor is 8 bytes a server.
 *
 *     process -> listeners -> routes -> pools -> servers, unless they exceed metrics.max_series
 *
 * api_scrape_process.c and api_scrape_objects.c hold the families; counters.def most of them.
 *
 * Threads: control.
 */
#ifndef API_API_SCRAPE_H
#define API_API_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/control/control.h"
#include "lbd/stats/prometheus.h"

enum {
    API_SCRAPE_PROCESS = 1,
    API_SCRAPE_LISTENER = 2,
    API_SCRAPE_ROUTE = 4,
    API_SCRAPE_POOL = 8,
    API_SCRAPE_SERVER = 16,
    API_SCRAPE_ALL = 31
};

#define API_SCRAPE_NAMES_MAX 16

struct api_scrape_options {
    struct control *control; /* borrowed, outlives the scrape */
    enum prometheus_format format;
    unsigned scopes;   /* API_SCRAPE_*; servers also need the setting server_scope */
    struct slice pool; /* only this one, and its servers; empty: all. Borrowed for the call */
    struct slice names[API_SCRAPE_NAMES_MAX]; /* only these families. Borrowed for the call */
    size_t name_count;                        /* 0: all */
};

struct api_scrape;

struct api_scrape *api_scrape_new(const struct api_scrape_options *options);
/* Appends to `out` until it has `bytes` or some more (an object's samples are not torn). False:
 * that was the end. */
bool api_scrape_more(struct api_scrape *scrape, struct buf *out, size_t bytes);
void api_scrape_free(struct api_scrape *scrape); /* NULL is fine */

/* "process", "listener", ...: 0 is none of them. */
unsigned api_scrape_scope(struct slice word);
/* What a scrape of everything has of listeners, routes, pools and servers. */
struct api_scrape_size {
    uint64_t series; /* with the servers */
    uint64_t max;    /* metrics.max_series */
    bool fits;       /* else servers are left out */
};
struct api_scrape_size api_scrape_size(const struct control *control);

#endif
