/*
 * api_scrape_inside - what the files of a scrape share and nobody else sees.
 *
 *     api_scrape.c           the cursor            api_scrape_process.c   process, control, API
 *     api_scrape_objects.c   listeners, routes, pools, servers
 *     api_scrape_mail.c      users of mail, the cache of their connections
 *
 * Threads: control.
 */
#ifndef API_API_SCRAPE_INSIDE_H
#define API_API_SCRAPE_INSIDE_H

#include "api/api_scrape.h"
#include "lbd/stats/counters_export.h"

#define API_SCRAPE_LABELS_MAX 256 /* of an object: two names and their keys */

/* A family that is not in counters.def. */
struct api_scrape_family {
    const char *name;
    enum prometheus_type type;
    bool is_full;  /* belongs to server_scope full */
    size_t series; /* of each object, where objects are counted against max_series */
    const char *help;
    /* How many pieces `write` is called for; NULL: one piece, or one for each object of the
     * section. */
    uint32_t (*count)(const struct api_scrape *scrape);
    void (*write)(struct api_scrape *scrape, uint32_t index);
};

struct api_scrape {
    struct control *control;
    struct conf_document *document; /* held */
    const struct conf *conf;        /* of the document */
    struct prometheus out;
    unsigned scopes;
    bool is_full;        /* server_scope */
    bool is_omitted;     /* servers exceed the budget */
    uint32_t first_pool; /* pools [first_pool, end_pool) are shown */
    uint32_t end_pool;
    uint32_t server_count; /* of those pools */
    struct slice names[API_SCRAPE_NAMES_MAX];
    size_t name_count;
    struct arena arena; /* of the names */
    uint64_t began_us;

    /* what was found; NULL or 0: it is gone. Filled up to *_found by the first family of a kind */
    struct listener **listeners;   /* held */
    struct counters_id **routes;   /* held */
    struct counters_id **policies; /* held */
    struct counters_id **pools;    /* held */
    struct server **servers;       /* held */
    uint32_t found[COUNTERS_KIND_COUNT];

    /* the cursor */
    size_t section;
    size_t family;
    uint32_t index; /* of the object in its section */
    bool is_heading_done;
    uint32_t pool;                         /* of the server at `index` */
    uint32_t server;                       /* its number in that pool */
    const struct registry_pool *live_pool; /* that pool's, looked up during this call; or NULL */
    size_t near;                           /* see map_get_near */

    /* of the object at `index` */
    uint32_t id; /* its counters */
    char labels[API_SCRAPE_LABELS_MAX];
    size_t labels_len;
};

/* The labels of the object at the cursor. */
static inline struct slice api_scrape_labels(const struct api_scrape *scrape)
{
    return slice_of(scrape->labels, scrape->labels_len);
}

/* The tables of families. */
extern const struct api_scrape_family api_scrape_process[];
extern const size_t api_scrape_process_count;
extern const struct api_scrape_family api_scrape_mail[];
extern const size_t api_scrape_mail_count;
extern const struct api_scrape_family api_scrape_listener[];
extern const size_t api_scrape_listener_count;
extern const struct api_scrape_family api_scrape_pool[];
extern const size_t api_scrape_pool_count;
extern const struct api_scrape_family api_scrape_server[];
extern const size_t api_scrape_server_count;
extern const struct api_scrape_family api_scrape_last[]; /* about the scrape itself */
extern const size_t api_scrape_last_count;

/* How many objects of a kind the scrape shows (some of them perhaps gone). */
uint32_t api_scrape_object_count(const struct api_scrape *scrape, enum counters_kind kind);
/* Before the first object of a family. */
void api_scrape_rewind(struct api_scrape *scrape);
/* Finds the object at the cursor and makes its labels and id; false: it is gone. */
bool api_scrape_find(struct api_scrape *scrape, enum counters_kind kind);
/* Steps to the next object. */
void api_scrape_step(struct api_scrape *scrape, enum counters_kind kind);
/* Drops all that was found. */
void api_scrape_drop(struct api_scrape *scrape);

/* The last scrape that came to its end. */
uint64_t api_scrape_last_us(void);

#endif
