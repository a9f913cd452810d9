#include <ctype.h>
#include <string.h>

#include "api/api_scrape_inside.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const struct {
    const struct api_scrape_family *families;
    const size_t *count;
} tables[] = {
    {api_scrape_process, &api_scrape_process_count},
    {api_scrape_listener, &api_scrape_listener_count},
    {api_scrape_pool, &api_scrape_pool_count},
    {api_scrape_server, &api_scrape_server_count},
    {api_scrape_last, &api_scrape_last_count},
};

/* Is it in counters.def? */
static bool is_counted(const char *name)
{
    for (unsigned kind = 0; kind < COUNTERS_KIND_COUNT; kind++) {
        for (size_t i = 0; i < counters_export_families(kind); i++) {
            if (strcmp(counters_export_name(kind, i), name) == 0) {
                return true;
            }
        }
    }
    return false;
}

START_TEST(names_are_as_they_must_be)
{
    struct map seen;
    map_init(&seen);
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct api_scrape_family *family = &tables[t].families[i];
            struct slice name = slice_from(family->name);
            ck_assert_msg(slice_starts(name, SLICE("lbd_")) ||
                              slice_starts(name, SLICE("process_")),
                          "%s", family->name);
            ck_assert_msg(slice_ends(name, SLICE("_total")) == (family->type == PROMETHEUS_COUNTER),
                          "%s", family->name);
            ck_assert_msg(family->type != PROMETHEUS_HISTOGRAM ||
                              slice_ends(name, SLICE("_seconds")),
                          "%s", family->name);
            ck_assert_msg(!is_counted(family->name), "%s is in counters.def too", family->name);
            ck_assert_msg(map_put(&seen, name, &seen) == NULL, "%s twice", family->name);
            ck_assert(family->write != NULL);
            size_t len = strlen(family->help);
            ck_assert_msg(len > 5 && isupper((unsigned char)family->help[0]) &&
                              strchr(".?", family->help[len - 1]) != NULL,
                          "%s: %s", family->name, family->help);
        }
    }
    map_fini(&seen);
}
END_TEST

/* Everything that control knows is there from the first moment on. */
START_TEST(known_words_are_there_at_zero)
{
    static const char *const lines[] = {
        "lbd_config_applies_total{result=\"rolled_back\"} 0\n",
        "lbd_config_overrides{kind=\"weight\"} 0\n",
        "lbd_config_confirm_deadline_timestamp_seconds 0\n",
        "lbd_drains_total{result=\"closed\"} 0\n",
        "lbd_api_events_total{type=\"drain.done\"} 0\n",
        "lbd_api_events_missed_total 0\n",
        "lbd_api_auth_failures_total{reason=\"bad_token\"} 0\n",
        "lbd_api_rate_limited_total 0\n",
        "lbd_api_watchers 0\n",
        "lbd_api_requests_total{method=\"PUT\",route=\"/v1/config\",code=\"200\"} 0\n",
    };
    struct live_control live;
    struct buf text;
    live_control_start(&live, "\"pools\":{}", "");
    buf_init(&text, 10000000);
    const struct api_scrape_options options = {
        .control = live.control, .format = PROMETHEUS_TEXT, .scopes = API_SCRAPE_PROCESS};
    struct api_scrape *scrape = api_scrape_new(&options);
    while (api_scrape_more(scrape, &text, 100000)) {
    }
    api_scrape_free(scrape);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        ck_assert_msg(strstr(text.data, lines[i]) != NULL, "no %s", lines[i]);
    }
    buf_fini(&text);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("api_scrape_process", names_are_as_they_must_be, known_words_are_there_at_zero)
