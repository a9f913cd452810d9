/* api_scrape_mail - users of mail and the cache of their connections in a scrape; see
 * api_scrape_inside.h. */
#include "api/api_scrape_inside.h"
#include "lbd/proxy/mail_cache.h"

static struct mail_cache_stats stats_of(const struct api_scrape *scrape)
{
    struct mail_cache_stats stats;
    mail_cache_stats(control_mail_cache(scrape->control), &stats);
    return stats;
}

static void put(struct api_scrape *scrape, uint64_t value)
{
    prometheus_sample(&scrape->out, SLICE_NONE, value);
}

static void put_reason(struct api_scrape *scrape, const char *word, uint64_t value)
{
    prometheus_sample_by(&scrape->out, SLICE_NONE, "reason", slice_from(word), value,
                         PROMETHEUS_ONE);
}

static void write_parked(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, stats_of(scrape).parked_now);
}

static void write_offered(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, stats_of(scrape).offered);
}

static void write_hits(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, stats_of(scrape).hits);
}

static void write_moved(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    put(scrape, stats_of(scrape).moved);
}

static void write_saved(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    prometheus_sample_unit(&scrape->out, SLICE_NONE, stats_of(scrape).saved_us,
                           PROMETHEUS_MICROSECONDS);
}

static void write_misses(struct api_scrape *scrape, uint32_t index)
{
    struct mail_cache_stats stats = stats_of(scrape);
    (void)index;
    for (unsigned i = 0; i < MAIL_CACHE_MISS_COUNT; i++) {
        put_reason(scrape, mail_cache_miss_word((enum mail_cache_miss)i), stats.misses[i]);
    }
}

static void write_ends(struct api_scrape *scrape, uint32_t index)
{
    struct mail_cache_stats stats = stats_of(scrape);
    (void)index;
    for (unsigned i = 0; i < MAIL_CACHE_END_COUNT; i++) {
        put_reason(scrape, mail_cache_end_word((enum mail_cache_end)i), stats.ends[i]);
    }
}

/* The three costs of a click, and what is left of the first two. */
static void write_cost(struct api_scrape *scrape, uint32_t index)
{
    struct mail_cache_stats stats = stats_of(scrape);
    const struct {
        const char *word;
        const struct histogram_duration *duration;
    } costs[] = {{"connect", &stats.connect},
                 {"login", &stats.login},
                 {"select", &stats.select},
                 {"hit", &stats.hit}};
    struct buf labels;
    buf_init(&labels, 64);
    prometheus_label(&labels, "phase", slice_from(costs[index].word));
    prometheus_durations(&scrape->out, buf_slice(&labels), costs[index].duration);
    buf_fini(&labels);
}

/* Of each machine that pools of mail have doors to. */
static void write_places(struct api_scrape *scrape, uint64_t (*number)(const struct place *place))
{
    const struct map_entry *entry = NULL;
    map_for_each (entry, &control_registry(scrape->control)->places) {
        const struct place *place = entry->value;
        struct buf labels;
        buf_init(&labels, API_SCRAPE_LABELS_MAX);
        prometheus_label(&labels, "group", place->group);
        prometheus_label(&labels, "server", place->name);
        prometheus_sample(&scrape->out, buf_slice(&labels), number(place));
        buf_fini(&labels);
    }
}

static uint64_t users_of(const struct place *place)
{
    return place_users(place);
}

static void write_users(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    write_places(scrape, users_of);
}

static void write_spills(struct api_scrape *scrape, uint32_t index)
{
    (void)index;
    write_places(scrape, place_spills);
}

static uint32_t count_costs(const struct api_scrape *scrape)
{
    (void)scrape;
    return 4;
}

/* clang-format off */
#define GAUGE(name_, fn, text)   {.name = (name_), .type = PROMETHEUS_GAUGE, .help = (text), .write = (fn)}
#define COUNTER(name_, fn, text) {.name = (name_), .type = PROMETHEUS_COUNTER, .help = (text), .write = (fn)}

const struct api_scrape_family api_scrape_mail[] = {
    GAUGE("lbd_mail_users", write_users, "Users that belong to a server, with sessions or lingering."),
    COUNTER("lbd_mail_affinity_spills_total", write_spills,
            "New users that went past the server of their hash because it had its share."),
    GAUGE("lbd_mail_cache_parked", write_parked, "Logged-in server connections that wait for their user to come back."),
    COUNTER("lbd_mail_cache_offered_total", write_offered, "Sessions whose server connection was to be kept."),
    COUNTER("lbd_mail_cache_hits_total", write_hits, "Logins that were given a connection that was kept."),
    COUNTER("lbd_mail_cache_moved_total", write_moved, "Connections that went to another worker for a login."),
    COUNTER("lbd_mail_cache_misses_total", write_misses, "Logins that had to go to the server, by why."),
    COUNTER("lbd_mail_cache_destroyed_total", write_ends, "Connections that were not kept, or no longer, by why."),
    COUNTER("lbd_mail_cache_saved_seconds_total", write_saved,
            "Time for connecting and logging in that hits made needless."),
    {.name = "lbd_mail_cache_cost_seconds", .type = PROMETHEUS_HISTOGRAM,
     .help = "What a click costs: connecting, logging in and SELECT at the server; a hit instead of the first two.",
     .count = count_costs, .write = write_cost},
};
const size_t api_scrape_mail_count = ARRAY_LEN(api_scrape_mail);
/* clang-format on */
