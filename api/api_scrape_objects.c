/* api_scrape_objects - listeners, routes, pools and servers in a scrape; see api_scrape_inside.h.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_scrape_inside.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/control/control_health.h"

/* -- finding them -- */

static bool has_mail(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (conf_protocol_is_mail(conf->listeners[i].protocol)) {
            return true;
        }
    }
    return false;
}

uint32_t api_scrape_object_count(const struct api_scrape *scrape, enum counters_kind kind)
{
    switch (kind) {
    case COUNTERS_LISTENER:
        return scrape->conf->listener_count;
    case COUNTERS_ROUTE:
        return scrape->conf->route_count;
    case COUNTERS_POLICY:
        return scrape->conf->policy_count;
    case COUNTERS_POOL:
        return scrape->end_pool - scrape->first_pool;
    case COUNTERS_SERVER:
        return scrape->server_count;
    case COUNTERS_LOOP:
        return control_facts(scrape->control)->workers;
    case COUNTERS_MAIL:
        return has_mail(scrape->conf) ? COUNTERS_MAIL_PROTOCOLS : 0;
    case COUNTERS_KIND_COUNT:
        break;
    }
    return 0;
}

/* Pools without servers are passed over. */
static void settle(struct api_scrape *scrape)
{
    while (scrape->pool < scrape->end_pool &&
           scrape->server >= scrape->conf->pools[scrape->pool].server_count) {
        scrape->pool++;
        scrape->server = 0;
        scrape->near = 0;
        scrape->live_pool = NULL;
    }
}

void api_scrape_rewind(struct api_scrape *scrape)
{
    scrape->index = 0;
    scrape->pool = scrape->first_pool;
    scrape->server = 0;
    scrape->near = 0;
    scrape->live_pool = NULL;
    settle(scrape);
}

void api_scrape_step(struct api_scrape *scrape, enum counters_kind kind)
{
    scrape->index++;
    if (kind == COUNTERS_SERVER) {
        scrape->server++;
        settle(scrape);
    }
}

/* Names have no byte that a label would have to escape (conf_format_is_name). */
static void put_label(struct api_scrape *scrape, struct slice key, struct slice name)
{
    char *at = scrape->labels + scrape->labels_len;
    assert(scrape->labels_len + key.len + name.len + 4 <= sizeof(scrape->labels));
    if (scrape->labels_len != 0) {
        *at++ = ',';
    }
    at = mempcpy(at, key.ptr, key.len);
    *at++ = '=';
    *at++ = '"';
    at = mempcpy(at, name.ptr, name.len);
    *at++ = '"';
    scrape->labels_len = (size_t)(at - scrape->labels);
}

/* Arrays are as long as the document and filled as the first family comes along. */
#define IS_NEW(scrape, kind) ((scrape)->index >= (scrape)->found[kind])

static void *make_place(struct api_scrape *scrape, enum counters_kind kind, void *places)
{
    scrape->found[kind] = scrape->index + 1;
    return places != NULL ? places
                          : mem_zero(api_scrape_object_count(scrape, kind), sizeof(void *));
}

static bool find_listener(struct api_scrape *scrape)
{
    const struct conf_listener *conf = &scrape->conf->listeners[scrape->index];
    if (IS_NEW(scrape, COUNTERS_LISTENER)) {
        const struct registry_listener *live =
            registry_find_listener(control_registry(scrape->control), conf->name);
        scrape->listeners = make_place(scrape, COUNTERS_LISTENER, (void *)scrape->listeners);
        scrape->listeners[scrape->index] = live != NULL ? listener_ref(live->listener) : NULL;
    }
    const struct listener *listener = scrape->listeners[scrape->index];
    scrape->id = listener != NULL ? listener->id : 0;
    put_label(scrape, SLICE("listener"), conf->name);
    return listener != NULL;
}

static bool find_route(struct api_scrape *scrape)
{
    const struct conf_route *conf = &scrape->conf->routes[scrape->index];
    if (IS_NEW(scrape, COUNTERS_ROUTE)) {
        const struct registry_route *live =
            registry_find_route(control_registry(scrape->control), conf->name);
        scrape->routes = make_place(scrape, COUNTERS_ROUTE, (void *)scrape->routes);
        scrape->routes[scrape->index] = live != NULL ? counters_id_ref(live->counters) : NULL;
    }
    const struct counters_id *counters = scrape->routes[scrape->index];
    scrape->id = counters != NULL ? counters->id : 0;
    put_label(scrape, SLICE("route"), conf->name);
    return counters != NULL;
}

static bool find_policy(struct api_scrape *scrape)
{
    const struct conf_policy *conf = &scrape->conf->policies[scrape->index];
    if (IS_NEW(scrape, COUNTERS_POLICY)) {
        const struct registry_policy *live =
            registry_find_policy(control_registry(scrape->control), conf);
        scrape->policies = make_place(scrape, COUNTERS_POLICY, (void *)scrape->policies);
        scrape->policies[scrape->index] = live != NULL ? counters_id_ref(live->counters) : NULL;
    }
    const struct counters_id *counters = scrape->policies[scrape->index];
    scrape->id = counters != NULL ? counters->id : 0;
    put_label(scrape, SLICE("policy"), conf->name);
    return counters != NULL;
}

static const struct conf_pool *pool_at(const struct api_scrape *scrape, uint32_t index)
{
    return &scrape->conf->pools[scrape->first_pool + index];
}

static bool find_pool(struct api_scrape *scrape)
{
    const struct conf_pool *conf = pool_at(scrape, scrape->index);
    if (IS_NEW(scrape, COUNTERS_POOL)) {
        const struct registry_pool *live =
            registry_find_pool(control_registry(scrape->control), conf->name);
        scrape->pools = make_place(scrape, COUNTERS_POOL, (void *)scrape->pools);
        scrape->pools[scrape->index] = live != NULL ? counters_id_ref(live->counters) : NULL;
    }
    const struct counters_id *counters = scrape->pools[scrape->index];
    scrape->id = counters != NULL ? counters->id : 0;
    put_label(scrape, SLICE("pool"), conf->name);
    return counters != NULL;
}

static const struct conf_server *server_at(const struct api_scrape *scrape)
{
    return &scrape->conf->pools[scrape->pool].servers[scrape->server];
}

static const struct registry_server *look_server_up(struct api_scrape *scrape)
{
    if (scrape->live_pool == NULL) {
        scrape->live_pool = registry_find_pool(control_registry(scrape->control),
                                               scrape->conf->pools[scrape->pool].name);
    }
    return scrape->live_pool != NULL
               ? map_get_near(&scrape->live_pool->servers, server_at(scrape)->name, &scrape->near)
               : NULL;
}

static bool find_server(struct api_scrape *scrape)
{
    if (IS_NEW(scrape, COUNTERS_SERVER)) {
        scrape->servers = make_place(scrape, COUNTERS_SERVER, (void *)scrape->servers);
        const struct registry_server *live = look_server_up(scrape);
        scrape->servers[scrape->index] = live != NULL ? server_ref(live->server) : NULL;
    }
    const struct server *server = scrape->servers[scrape->index];
    scrape->id = server != NULL ? server->id : 0;
    put_label(scrape, SLICE("pool"), scrape->conf->pools[scrape->pool].name);
    put_label(scrape, SLICE("server"), server_at(scrape)->name);
    return server != NULL;
}

static bool find_worker(struct api_scrape *scrape)
{
    char number[NUM_TEXT_MAX];
    scrape->id = scrape->index;
    put_label(scrape, SLICE("worker"), slice_of(number, num_write_u64(number, scrape->index)));
    return true;
}

static bool find_protocol(struct api_scrape *scrape)
{
    scrape->id = scrape->index;
    put_label(
        scrape, SLICE("protocol"),
        slice_from(conf_protocol_word((enum conf_protocol)(CONF_PROTOCOL_IMAP + scrape->index))));
    return true;
}

bool api_scrape_find(struct api_scrape *scrape, enum counters_kind kind)
{
    scrape->labels_len = 0;
    switch (kind) {
    case COUNTERS_LISTENER:
        return find_listener(scrape);
    case COUNTERS_ROUTE:
        return find_route(scrape);
    case COUNTERS_POLICY:
        return find_policy(scrape);
    case COUNTERS_POOL:
        return find_pool(scrape);
    case COUNTERS_SERVER:
        return find_server(scrape);
    case COUNTERS_LOOP:
        return find_worker(scrape);
    case COUNTERS_MAIL:
        return find_protocol(scrape);
    case COUNTERS_KIND_COUNT:
        break;
    }
    return false;
}

void api_scrape_drop(struct api_scrape *scrape)
{
    for (uint32_t i = 0; i < scrape->found[COUNTERS_LISTENER]; i++) {
        if (scrape->listeners[i] != NULL) {
            listener_unref(scrape->listeners[i]);
        }
    }
    for (uint32_t i = 0; i < scrape->found[COUNTERS_ROUTE]; i++) {
        counters_id_unref(scrape->routes[i]);
    }
    for (uint32_t i = 0; i < scrape->found[COUNTERS_POLICY]; i++) {
        counters_id_unref(scrape->policies[i]);
    }
    for (uint32_t i = 0; i < scrape->found[COUNTERS_POOL]; i++) {
        counters_id_unref(scrape->pools[i]);
    }
    for (uint32_t i = 0; i < scrape->found[COUNTERS_SERVER]; i++) {
        if (scrape->servers[i] != NULL) {
            server_unref(scrape->servers[i]);
        }
    }
    free((void *)scrape->listeners);
    free((void *)scrape->routes);
    free((void *)scrape->policies);
    free((void *)scrape->pools);
    free((void *)scrape->servers);
}

static void put(struct api_scrape *scrape, uint64_t value)
{
    prometheus_sample(&scrape->out, api_scrape_labels(scrape), value);
}

/* -- listeners -- */

static void write_listener_up(struct api_scrape *scrape, uint32_t index)
{
    const struct registry_listener *live = registry_find_listener(
        control_registry(scrape->control), scrape->conf->listeners[index].name);
    bool is_up = live != NULL && !control_listener_is_drained(scrape->control, live);
    put(scrape, is_up ? 1 : 0);
}

static void write_listener_limit(struct api_scrape *scrape, uint32_t index)
{
    put(scrape, scrape->conf->listeners[index].limits.connections);
}

const struct api_scrape_family api_scrape_listener[] = {
    {.name = "lbd_listener_up",
     .type = PROMETHEUS_GAUGE,
     .series = 1,
     .help = "Does the listener accept connections?",
     .write = write_listener_up},
    {.name = "lbd_listener_connections_limit",
     .type = PROMETHEUS_GAUGE,
     .series = 1,
     .help = "Connections that may be open; 0 stands for no limit of its own.",
     .write = write_listener_limit},
};
const size_t api_scrape_listener_count = ARRAY_LEN(api_scrape_listener);

/* -- pools -- */

enum server_word { WORD_UP, WORD_DOWN, WORD_STARTING, WORD_DRAINING, WORD_MAINTENANCE, WORDS };

static enum server_word word_of(const struct server *server)
{
    if (server->admin != SERVER_READY) {
        return server->admin == SERVER_DRAIN ? WORD_DRAINING : WORD_MAINTENANCE;
    }
    switch (server->health) {
    case SERVER_UP:
        return WORD_UP;
    case SERVER_STARTING:
        return WORD_STARTING;
    case SERVER_DOWN:
    case SERVER_UNRESOLVED:
        break;
    }
    return WORD_DOWN;
}

static void write_pool_servers(struct api_scrape *scrape, uint32_t index)
{
    static const char *const words[WORDS] = {
        [WORD_UP] = "up",
        [WORD_DOWN] = "down",
        [WORD_STARTING] = "starting",
        [WORD_DRAINING] = "draining",
        [WORD_MAINTENANCE] = "maintenance",
    };
    const struct registry_pool *live =
        registry_find_pool(control_registry(scrape->control), pool_at(scrape, index)->name);
    uint64_t counts[WORDS] = {0};
    struct map_entry *entry = NULL;
    if (live == NULL) {
        return;
    }
    map_for_each (entry, &live->servers) {
        const struct registry_server *server = entry->value;
        counts[word_of(server->server)]++;
    }
    for (size_t i = 0; i < WORDS; i++) {
        prometheus_sample_by(&scrape->out, api_scrape_labels(scrape), "state", slice_from(words[i]),
                             counts[i], PROMETHEUS_ONE);
    }
}

const struct api_scrape_family api_scrape_pool[] = {
    {.name = "lbd_pool_servers",
     .type = PROMETHEUS_GAUGE,
     .series = WORDS,
     .help = "Servers of a pool by state.",
     .write = write_pool_servers},
};
const size_t api_scrape_pool_count = ARRAY_LEN(api_scrape_pool);

/* -- servers -- */

static void write_server_up(struct api_scrape *scrape, uint32_t index)
{
    put(scrape, scrape->servers[index]->health == SERVER_UP ? 1 : 0);
}

static void write_server_weight(struct api_scrape *scrape, uint32_t index)
{
    uint32_t weight = 0;
    if (server_is_usable(scrape->servers[index])) {
        const struct registry_server *live = look_server_up(scrape);
        const struct conf_pool *pool = &scrape->conf->pools[scrape->pool];
        weight = live != NULL ? registry_server_weight_now(live, pool, server_at(scrape), now_ms())
                              : conf_share_number(pool, server_at(scrape));
    }
    put(scrape, weight);
}

static void write_server_transitions(struct api_scrape *scrape, uint32_t index)
{
    put(scrape, scrape->servers[index]->transitions);
}

static void write_server_check_duration(struct api_scrape *scrape, uint32_t index)
{
    struct control_health_facts facts = {0};
    (void)index;
    if (control_health_facts(control_checks(scrape->control),
                             scrape->conf->pools[scrape->pool].name, server_at(scrape)->name,
                             &facts) &&
        facts.checks != 0) {
        prometheus_sample_unit(&scrape->out, api_scrape_labels(scrape), facts.last_duration_us,
                               PROMETHEUS_MICROSECONDS);
    }
}

static void write_server_info(struct api_scrape *scrape, uint32_t index)
{
    struct buf labels;
    (void)index;
    buf_init(&labels, 4096);
    (void)buf_append_slice(&labels, api_scrape_labels(scrape));
    prometheus_label(&labels, "address", server_at(scrape)->address);
    prometheus_sample(&scrape->out, buf_slice(&labels), 1);
    buf_fini(&labels);
}

const struct api_scrape_family api_scrape_server[] = {
    {.name = "lbd_server_up",
     .type = PROMETHEUS_GAUGE,
     .series = 1,
     .help = "Is the server healthy?",
     .write = write_server_up},
    {.name = "lbd_server_weight",
     .type = PROMETHEUS_GAUGE,
     .series = 1,
     .help = "Weight of the server now, less during a slow start; 0 while it is not usable.",
     .write = write_server_weight},
    {.name = "lbd_server_health_transitions_total",
     .type = PROMETHEUS_COUNTER,
     .series = 1,
     .help = "Changes of the server's health.",
     .write = write_server_transitions},
    {.name = "lbd_server_check_duration_seconds",
     .type = PROMETHEUS_GAUGE,
     .is_full = true,
     .series = 1,
     .help = "Time the server's last health check took.",
     .write = write_server_check_duration},
    {.name = "lbd_server_info",
     .type = PROMETHEUS_GAUGE,
     .is_full = true,
     .series = 1,
     .help = "Address of the server; always 1.",
     .write = write_server_info},
};
const size_t api_scrape_server_count = ARRAY_LEN(api_scrape_server);
