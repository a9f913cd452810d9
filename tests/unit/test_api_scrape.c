#include <stdio.h>
#include <string.h>

#include "api/api_scrape.h"
#include "lbd/stats/counters.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char document[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"}},"
    "\"routes\":{\"r\":{\"listener\":\"web\",\"match\":{\"path\":\"/"
    "r\"},\"action\":{\"pool\":\"q\"}}},"
    "\"pools\":{\"empty\":{},\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},\"b\":{"
    "\"address\":\"127.0.0.1:1\"}}},\"q\":{\"servers\":{\"c\":{\"address\":\"127.0.0.1:1\"}}}},"
    "\"observability\":{\"metrics\":{\"server_scope\":\"full\"}}";

static struct live_control live;

static struct api_scrape *begin(unsigned scopes)
{
    const struct api_scrape_options options = {
        .control = live.control, .format = PROMETHEUS_TEXT, .scopes = scopes};
    return api_scrape_new(&options);
}

static size_t count(const struct buf *text, const char *part)
{
    size_t found = 0;
    for (const char *at = text->data; (at = strstr(at, part)) != NULL; at++) {
        found++;
    }
    return found;
}

/* Wherever it is cut, it is the same text. */
START_TEST(blocks_of_any_size_make_the_same_whole)
{
    static const size_t sizes[] = {1, 100, 1000, 16384, 1000000};
    struct buf whole;
    unsigned objects = API_SCRAPE_LISTENER | API_SCRAPE_ROUTE | API_SCRAPE_POOL | API_SCRAPE_SERVER;
    live_control_start(&live, document, "");
    buf_init(&whole, 10000000);
    struct api_scrape *scrape = begin(objects);
    while (api_scrape_more(scrape, &whole, 10000000)) {
    }
    api_scrape_free(scrape);
    const char *last = strstr(whole.data, "# HELP lbd_metrics_scope_omitted"); /* times follow */
    ck_assert_ptr_nonnull(last);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text;
        size_t blocks = 0;
        buf_init(&text, 10000000);
        scrape = begin(objects);
        for (bool is_more = true; is_more; blocks++) {
            size_t before = text.len;
            is_more = api_scrape_more(scrape, &text, sizes[i]);
            ck_assert(!is_more || text.len - before >= sizes[i]);
            /* beyond it by one family of one object: that of endings has a line for each reason */
            ck_assert_uint_le(text.len - before, sizes[i] + 16384);
        }
        ck_assert_uint_ge(text.len, (size_t)(last - whole.data));
        ck_assert(memcmp(text.data, whole.data, (size_t)(last - whole.data)) == 0);
        ck_assert(sizes[i] > 100 || blocks > 50);
        api_scrape_free(scrape);
        buf_fini(&text);
    }
    ck_assert_uint_eq(count(&whole, "\nlbd_server_up{"), 3);
    ck_assert_uint_eq(count(&whole, "\nlbd_server_info{"), 3);
    ck_assert_uint_eq(count(&whole, "\nlbd_pool_retries_total{"), 3);
    ck_assert_uint_eq(count(&whole, "process_"), 0);
    buf_fini(&whole);
    live_control_stop(&live);
}
END_TEST

/* What is removed between two blocks stays to the end, with its numbers; nothing is zeroed
 * meanwhile, and all is given back after it. */
START_TEST(what_goes_meanwhile_stays_to_the_end)
{
    struct buf text;
    live_control_start(&live, document, "");
    buf_init(&text, 10000000);
    struct api_scrape *scrape = begin(API_SCRAPE_SERVER | API_SCRAPE_POOL);
    while (strstr(text.len != 0 ? text.data : "", "lbd_server_up{pool=\"q\"") == NULL) {
        ck_assert(api_scrape_more(scrape, &text, 1));
    }
    const struct registry_server *c =
        registry_find_server(control_registry(live.control), SLICE("q"), SLICE("c"));
    counter_add(&counters_of_server(counters_control(), c->server->id)->requests, 7);
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/routes/r", "");
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/pools/q", "");
    (void)live_control_change(&live, CONF_EDIT_PUT, "/pools/new",
                              "{\"servers\":{\"d\":{\"address\":\"127.0.0.1:1\"}}}");
    while (api_scrape_more(scrape, &text, 1)) {
    }
    ck_assert_uint_eq(count(&text, "lbd_server_requests_total{pool=\"q\",server=\"c\"} 7\n"), 1);
    ck_assert_uint_eq(count(&text, "pool=\"new\""), 0);
    api_scrape_free(scrape);

    buf_clear(&text);
    scrape = begin(API_SCRAPE_ALL);
    while (api_scrape_more(scrape, &text, 100000)) {
    }
    ck_assert_uint_eq(count(&text, "pool=\"q\""), 0);
    ck_assert_uint_eq(count(&text, "\nlbd_server_up{"), 3);
    api_scrape_free(scrape);
    buf_fini(&text);
    live_control_stop(&live);
}
END_TEST

/* Gone before the first family of its kind has come to it: it is in none of them. */
START_TEST(what_goes_before_it_was_found_is_in_no_family)
{
    struct buf text;
    live_control_start(&live, document, "");
    buf_init(&text, 10000000);
    struct api_scrape *scrape = begin(API_SCRAPE_ALL);
    ck_assert(api_scrape_more(scrape, &text, 1));
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/routes/r", "");
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/pools/q", "");
    while (api_scrape_more(scrape, &text, 1)) {
    }
    ck_assert_uint_eq(count(&text, "pool=\"q\""), 0);
    ck_assert_uint_eq(count(&text, "route=\"r\""), 0);
    api_scrape_free(scrape);
    buf_fini(&text);
    live_control_stop(&live);
}
END_TEST

START_TEST(one_may_be_dropped_at_any_place)
{
    live_control_start(&live, document, "");
    for (size_t blocks = 0; blocks < 200; blocks++) {
        struct buf text;
        buf_init(&text, 10000000);
        struct api_scrape *scrape = begin(API_SCRAPE_ALL);
        for (size_t i = 0; i < blocks; i++) {
            (void)api_scrape_more(scrape, &text, 1000);
        }
        api_scrape_free(scrape);
        buf_fini(&text);
    }
    api_scrape_free(NULL);
    live_control_stop(&live);
}
END_TEST

START_TEST(the_size_is_what_comes_out)
{
    struct buf text;
    size_t lines = 0;
    live_control_start(&live, document, "");
    buf_init(&text, 10000000);
    struct api_scrape *scrape =
        begin(API_SCRAPE_LISTENER | API_SCRAPE_ROUTE | API_SCRAPE_POOL | API_SCRAPE_SERVER);
    while (api_scrape_more(scrape, &text, 100000)) {
    }
    api_scrape_free(scrape);
    struct slice rest = buf_slice(&text);
    struct slice line;
    while (slice_split(&rest, '\n', &line)) {
        lines += line.len != 0 && line.ptr[0] != '#' && !slice_starts(line, SLICE("lbd_metrics_"))
                     ? 1
                     : 0;
    }
    struct api_scrape_size size = api_scrape_size(live.control);
    /* no server was checked: lbd_server_check_duration_seconds has no sample yet */
    ck_assert_uint_eq(size.series, lines + 3);
    ck_assert_uint_eq(size.max, 50000);
    ck_assert(size.fits);
    ck_assert_uint_eq(api_scrape_scope(SLICE("pool")), API_SCRAPE_POOL);
    ck_assert_uint_eq(api_scrape_scope(SLICE("pools")), 0);
    buf_fini(&text);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("api_scrape", blocks_of_any_size_make_the_same_whole,
           what_goes_meanwhile_stays_to_the_end, what_goes_before_it_was_found_is_in_no_family,
           one_may_be_dropped_at_any_place, the_size_is_what_comes_out)
