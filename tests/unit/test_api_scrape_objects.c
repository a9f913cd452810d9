#include <stdio.h>
#include <string.h>

#include "api/api_scrape.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static struct live_control live;
static struct buf text;

static void scrape(const char *pool)
{
    const struct api_scrape_options options = {.control = live.control,
                                               .format = PROMETHEUS_TEXT,
                                               .scopes = API_SCRAPE_ALL,
                                               .pool = slice_from(pool)};
    struct api_scrape *one = api_scrape_new(&options);
    buf_clear(&text);
    while (api_scrape_more(one, &text, 100000)) {
    }
    api_scrape_free(one);
}

static void expect(const char *line)
{
    ck_assert_msg(strstr(text.data, line) != NULL, "no %s", line);
}

static void begin(const char *document)
{
    buf_init(&text, 10000000);
    live_control_start(&live, document, "");
}

static void end(void)
{
    live_control_stop(&live);
    buf_fini(&text);
}

START_TEST(servers_are_counted_by_what_they_are)
{
    begin("\"pools\":{\"p\":{\"servers\":{"
          "\"u\":{\"address\":\"127.0.0.1:1\",\"weight\":7},"
          "\"d\":{\"address\":\"127.0.0.1:1\",\"admin_state\":\"drain\"},"
          "\"m\":{\"address\":\"127.0.0.1:1\",\"admin_state\":\"maint\"}}},\"none\":{}}");
    scrape("");
    expect("lbd_pool_servers{pool=\"p\",state=\"up\"} 1\n");
    expect("lbd_pool_servers{pool=\"p\",state=\"draining\"} 1\n");
    expect("lbd_pool_servers{pool=\"p\",state=\"maintenance\"} 1\n");
    expect("lbd_pool_servers{pool=\"p\",state=\"down\"} 0\n");
    expect("lbd_pool_servers{pool=\"p\",state=\"starting\"} 0\n");
    expect("lbd_pool_servers{pool=\"none\",state=\"up\"} 0\n");
    expect("lbd_server_weight{pool=\"p\",server=\"u\"} 7\n");
    expect("lbd_server_weight{pool=\"p\",server=\"d\"} 0\n");
    expect("lbd_server_up{pool=\"p\",server=\"d\"} 1\n"); /* healthy, and out of use */
    end();
}
END_TEST

START_TEST(listeners_and_routes_have_their_names)
{
    begin(
        "\"listeners\":{\"a-1\":{\"bind\":[\"127.0.0.1:0\"],\"limits\":{\"connections\":9}}},"
        "\"routes\":{\"r.x_y\":{\"listener\":\"a-1\",\"action\":{\"respond\":{\"status\":200}}}}");
    scrape("");
    expect("lbd_listener_up{listener=\"a-1\"} 1\n");
    expect("lbd_listener_connections_limit{listener=\"a-1\"} 9\n");
    expect("lbd_route_requests_total{route=\"r.x_y\",code_class=\"2xx\"} 0\n");
    expect("lbd_worker_loops_total{worker=\"1\"} ");
    end();
}
END_TEST

/* The longest names there are fit into the labels. */
START_TEST(long_names_fit)
{
    char name[64];
    char document[512];
    char line[256];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(document, sizeof(document),
                   "\"pools\":{\"%s\":{\"servers\":{\"%s\":{\"address\":\"127.0.0.1:1\"}}},"
                   "\"other\":{\"servers\":{\"o\":{\"address\":\"127.0.0.1:1\"}}}}",
                   name, name);
    begin(document);
    scrape(name);
    (void)snprintf(line, sizeof(line), "lbd_server_up{pool=\"%s\",server=\"%s\"} 1\n", name, name);
    expect(line);
    ck_assert_ptr_null(strstr(text.data, "pool=\"other\""));
    end();
}
END_TEST

UNIT_TESTS("api_scrape_objects", servers_are_counted_by_what_they_are,
           listeners_and_routes_have_their_names, long_names_fit)
