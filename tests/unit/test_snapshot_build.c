#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/snapshot/snapshot_build.h"
#include "lbd/snapshot/snapshot_retire.h"
#include "tests/unit/unit.h"

static struct registry registry;

static struct conf_document *document(const char *text)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *made = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(made != NULL, "%.*s", SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return made;
}

static struct conf_document *edit(struct conf_document *old, const char *pointer, const char *body)
{
    struct conf_errors errors;
    struct err err;
    conf_errors_init(&errors);
    struct conf_document *made = conf_document_edit(old, CONF_EDIT_MERGE, slice_from(pointer),
                                                    slice_from(body), &errors, &err);
    ck_assert_msg(made != NULL, "%s", err.text);
    conf_errors_fini(&errors);
    return made;
}

static struct snapshot *build(struct conf_document *made, const struct snapshot *newest)
{
    struct err err = {0};
    const struct snapshot_build input = {.document = made,
                                         .registry = &registry,
                                         .newest = newest,
                                         .revision = 1,
                                         .generation = 1,
                                         .workers = 2};
    struct snapshot *snapshot = snapshot_build(&input, &err);
    ck_assert_msg(snapshot != NULL, "%s", err.text);
    return snapshot;
}

static void on_committed(struct registry_server *server, const struct conf_pool *pool,
                         const struct conf_server *conf, bool is_moved, void *arg)
{
    (void)pool;
    (void)conf;
    (void)is_moved;
    (void)arg;
    (void)server_set_health(server->server, SERVER_UP, 1);
}

static void commit(struct conf_document *made)
{
    registry_commit(&registry, conf_document_conf(made), on_committed, NULL);
}

static void begin(void)
{
    counters_init(2);
    registry_init(&registry);
}

static void end(void)
{
    registry_fini(&registry);
    counters_fini();
}

static const char whole[] =
    "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"b\"},\"other\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\"}},"
    "\"routes\":{\"r\":{\"listener\":\"web\",\"match\":{\"path_prefix\":\"/a\"},"
    "\"action\":{\"pool\":\"a\"}},"
    "\"gone\":{\"listener\":\"web\",\"match\":{\"path\":\"/gone\"},"
    "\"action\":{\"respond\":{\"status\":410,\"body\":\"gone\\n\"}}}},"
    "\"pools\":{\"a\":{\"algorithm\":\"round_robin\",\"retries\":2,"
    "\"servers\":{\"x\":{\"address\":\"127.0.0.1:1\",\"weight\":3},"
    "\"y\":{\"address\":\"127.0.0.1:2\",\"max_connections\":7}}},"
    "\"b\":{\"when_all_down\":\"fail_open\",\"servers\":{\"z\":{\"address\":\"app.test:80\"}}}}}";

static const struct route *ask(const struct route_table *table, struct slice host,
                               struct slice path)
{
    const struct route_question question = {.host = host, .path = path};
    return route_match(table, &question);
}

START_TEST(a_document_becomes_plans_routes_and_pools)
{
    begin();
    struct conf_document *made = document(whole);
    struct snapshot *snapshot = build(made, NULL);

    ck_assert_uint_eq(snapshot->plan_count, 2);
    const struct plan *web = snapshot->plans[1];
    ck_assert_str_eq(web->listener->name, "web");
    ck_assert_ptr_eq(web->snapshot, snapshot);
    const struct route *route = ask(web->routes, SLICE("any.test"), SLICE("/a/b"));
    ck_assert_ptr_nonnull(route);
    ck_assert(slice_eq(route->name, SLICE("r")));
    ck_assert_ptr_eq(route->pool, snapshot->pools[0]);
    route = ask(web->routes, SLICE("any.test"), SLICE("/gone"));
    ck_assert_ptr_nonnull(route);
    ck_assert_uint_eq(route->status, 410);
    ck_assert(slice_eq(route->body, SLICE("gone\n")));
    ck_assert_ptr_null(ask(web->routes, SLICE("any.test"), SLICE("/")));
    ck_assert_ptr_eq(web->default_route->pool, snapshot->pools[1]);
    ck_assert_ptr_null(snapshot->plans[0]->default_route);
    ck_assert_ptr_null(ask(snapshot->plans[0]->routes, SLICE("any.test"), SLICE("/a")));

    const struct pool *a = snapshot->pools[0];
    ck_assert_uint_eq(a->count, 2);
    ck_assert_uint_eq(a->retry.retries, 2);
    ck_assert_int_eq(a->balancer.kind, BALANCER_ROUND_ROBIN);
    ck_assert_uint_eq(a->targets[0].weight, 3);
    ck_assert_uint_eq(a->targets[1].max_in_flight, 7);
    ck_assert_uint_eq(addr_port(&a->members[1].address), 2);
    ck_assert(!a->fail_open);
    ck_assert(snapshot->pools[1]->fail_open);
    ck_assert_uint_eq(snapshot->pools[1]->members[0].address.len, 0);

    snapshot_free(snapshot);
    conf_document_unref(made);
    end();
}
END_TEST

/* A server that comes up later than the others gets its weight by and by; nobody else is touched.
 */
START_TEST(weights_rise_by_slow_start)
{
    begin();
    const uint64_t second_us = 1000000;
    now_set_for_test(1000 * second_us, second_us);
    struct conf_document *made =
        document("{\"pools\":{\"a\":{\"slow_start\":\"10s\",\"servers\":{"
                 "\"x\":{\"address\":\"127.0.0.1:1\"},\"y\":{\"address\":\"127.0.0.1:2\"}}},"
                 "\"b\":{\"servers\":{\"z\":{\"address\":\"127.0.0.1:3\"}}}}}");
    snapshot_free(build(made, NULL));
    commit(made);
    struct registry_server *y = registry_find_server(&registry, SLICE("a"), SLICE("y"));
    (void)server_set_health(y->server, SERVER_DOWN, 1);
    now_set_for_test(1020 * second_us, second_us);
    struct snapshot *snapshot = build(made, NULL);
    ck_assert_uint_eq(snapshot_due_ms(snapshot), 0);

    (void)server_set_health(y->server, SERVER_UP, 1);
    registry_find_pool(&registry, SLICE("a"))->epoch++;
    static const struct {
        uint64_t at_s;
        uint32_t weight;
        uint64_t due_s;
    } steps[] = {
        {1020, 10, 1021}, {1021, 19, 1022}, {1025, 55, 1026}, {1029, 91, 1030}, {1030, 100, 0}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        now_set_for_test(steps[i].at_s * second_us, second_us);
        ck_assert(!snapshot_is_current(snapshot, &registry));
        struct snapshot *next = build(made, snapshot);
        ck_assert_uint_eq(next->pools[0]->targets[0].weight, 100);
        ck_assert_uint_eq(next->pools[0]->targets[1].weight, steps[i].weight);
        ck_assert_ptr_eq(next->pools[1], snapshot->pools[1]);
        ck_assert_uint_eq(snapshot_due_ms(next), steps[i].due_s * 1000);
        ck_assert(snapshot_is_current(next, &registry));
        snapshot_free(snapshot);
        snapshot = next;
    }
    snapshot_free(snapshot);
    conf_document_unref(made);
    now_set_for_test(0, 0);
    end();
}
END_TEST

START_TEST(unchanged_pools_are_shared)
{
    begin();
    struct conf_document *first = document(whole);
    commit(first);
    struct snapshot *old = build(first, NULL);
    struct conf_document *second = edit(first, "/pools/a/servers/x", "{\"weight\":4}");
    struct snapshot *fresh = build(second, old);
    ck_assert_ptr_ne(fresh->pools[0], old->pools[0]);
    ck_assert_ptr_eq(fresh->pools[1], old->pools[1]);
    ck_assert_uint_eq(fresh->pools[0]->targets[0].weight, 4);
    ck_assert_uint_eq(fresh->pools[0]->id, old->pools[0]->id);
    ck_assert_ptr_eq(fresh->pools[0]->members[0].server, old->pools[0]->members[0].server);

    snapshot_free(old); /* what is shared lives on */
    ck_assert_uint_eq(atomic_load(&fresh->pools[1]->refs), 1);
    snapshot_free(fresh);
    conf_document_unref(first);
    conf_document_unref(second);
    end();
}
END_TEST

static const char chain[] =
    "{\"pools\":{\"a\":{\"when_all_down\":\"fallback\",\"fallback_pool\":\"c\","
    "\"servers\":{\"x\":{\"address\":\"127.0.0.1:1\"}}},"
    "\"b\":{\"servers\":{\"y\":{\"address\":\"127.0.0.1:2\"}}},"
    "\"c\":{\"when_all_down\":\"fallback\",\"fallback_pool\":\"b\","
    "\"servers\":{\"z\":{\"address\":\"127.0.0.1:3\"}}}}}";

START_TEST(a_pool_knows_who_stands_in_as_the_snapshot_has_them)
{
    begin();
    struct conf_document *first = document(chain);
    commit(first);
    struct snapshot *old = build(first, NULL);
    ck_assert_ptr_eq(old->pools[0]->fallback, old->pools[2]);
    ck_assert_ptr_eq(old->pools[2]->fallback, old->pools[1]);
    ck_assert_ptr_null(old->pools[1]->fallback);
    ck_assert_ptr_eq(pool_fallback(old->pools[0], CLOSE_NO_SERVER), old->pools[2]);
    ck_assert_ptr_null(pool_fallback(old->pools[0], CLOSE_SERVER_LIMIT));

    /* who stands behind a pool that changes is made anew with it, nobody else is */
    struct conf_document *second = edit(first, "/pools/c/servers/z", "{\"weight\":4}");
    struct snapshot *fresh = build(second, old);
    ck_assert_ptr_eq(fresh->pools[1], old->pools[1]);
    ck_assert_ptr_ne(fresh->pools[2], old->pools[2]);
    ck_assert_ptr_ne(fresh->pools[0], old->pools[0]);
    ck_assert_ptr_eq(fresh->pools[0]->fallback, fresh->pools[2]);
    ck_assert_ptr_eq(fresh->pools[2]->fallback, old->pools[1]);
    struct snapshot *same = build(second, fresh);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_ptr_eq(same->pools[i], fresh->pools[i]);
    }
    snapshot_free(old);
    snapshot_free(fresh);
    snapshot_free(same);
    conf_document_unref(first);
    conf_document_unref(second);
    end();
}
END_TEST

START_TEST(health_and_address_make_a_pool_anew)
{
    begin();
    struct addr address;
    struct conf_document *made = document(whole);
    commit(made);
    struct snapshot *old = build(made, NULL);
    ck_assert(snapshot_is_current(old, &registry));

    struct registry_server *x = registry_find_server(&registry, SLICE("a"), SLICE("x"));
    (void)server_set_health(x->server, SERVER_DOWN, 2);
    registry_touch(&registry, SLICE("a"));
    ck_assert(!snapshot_is_current(old, &registry));
    struct snapshot *second = build(made, old);
    ck_assert_ptr_ne(second->pools[0], old->pools[0]);
    ck_assert_ptr_eq(second->pools[1], old->pools[1]);
    ck_assert(snapshot_is_current(second, &registry));

    ck_assert(addr_parse(SLICE("127.0.0.9:80"), &address));
    struct registry_server *z = registry_find_server(&registry, SLICE("b"), SLICE("z"));
    ck_assert(registry_server_set_address(z, &address));
    ck_assert(!snapshot_is_current(second, &registry));
    struct snapshot *third = build(made, second);
    ck_assert_ptr_eq(third->pools[0], second->pools[0]);
    ck_assert_ptr_ne(third->pools[1], second->pools[1]);
    ck_assert_uint_eq(third->pools[1]->members[0].address_version, z->address_version);

    snapshot_free(old);
    snapshot_free(second);
    snapshot_free(third);
    conf_document_unref(made);
    end();
}
END_TEST

START_TEST(sockets_stay_and_new_ones_are_opened)
{
    begin();
    struct err err = {0};
    struct conf_document *first = document(whole);
    struct snapshot *old = build(first, NULL);
    ck_assert_msg(snapshot_bind(old, &registry, &err), "%s", err.text);
    commit(first);
    snapshot_bind_commit(old, &registry);
    struct listener *web = registry_find_listener(&registry, SLICE("web"))->listener;
    ck_assert_uint_eq(web->bind_count, 1);
    uint16_t port = addr_port(&web->binds[0]->bound);
    ck_assert_uint_ne(port, 0);

    struct conf_document *second =
        edit(first, "/listeners/web", "{\"bind\":[\"127.0.0.1:0\",\"127.0.0.2:0\"]}");
    struct snapshot *fresh = build(second, old);
    ck_assert_msg(snapshot_bind(fresh, &registry, &err), "%s", err.text);
    commit(second);
    snapshot_bind_commit(fresh, &registry);
    ck_assert_uint_eq(web->bind_count, 2);
    ck_assert_uint_eq(addr_port(&web->binds[0]->bound), port); /* port 0 stays bound */

    /* and away again: the socket closes when the last snapshot has let go of it */
    struct snapshot *third = build(first, fresh);
    ck_assert(snapshot_bind(third, &registry, &err));
    commit(first);
    snapshot_bind_commit(third, &registry);
    ck_assert_uint_eq(web->bind_count, 1);
    ck_assert_uint_eq(registry.retiring_count, 1);
    snapshot_retire_binds(fresh);
    registry_close_binds(&registry);
    ck_assert_uint_eq(registry.retiring_count, 0);

    snapshot_free(old);
    snapshot_free(fresh);
    snapshot_free(third);
    conf_document_unref(first);
    conf_document_unref(second);
    end();
}
END_TEST

/* A listener that takes another's address gets its sockets: the kernel would refuse a second set.
 */
START_TEST(an_address_moves_between_listeners)
{
    begin();
    struct err err = {0};
    char text[256];
    struct addr any;
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &any));
    struct listener_bind *probe = listener_bind_open(&any, 1, &err);
    ck_assert_ptr_nonnull(probe);
    unsigned port = addr_port(&probe->bound);
    listener_bind_unref(probe);

    static const char form[] =
        "{\"listeners\":{\"%s\":{\"bind\":[\"127.0.0.1:%u\"],\"protocol\":\"http\"}}}";
    (void)snprintf(text, sizeof(text), form, "one", port);
    struct conf_document *first = document(text);
    (void)snprintf(text, sizeof(text), form, "two", port);
    struct conf_document *second = document(text);

    struct snapshot *old = build(first, NULL);
    ck_assert_msg(snapshot_bind(old, &registry, &err), "%s", err.text);
    commit(first);
    snapshot_bind_commit(old, &registry);
    struct snapshot *fresh = build(second, old);
    ck_assert_msg(snapshot_bind(fresh, &registry, &err), "%s", err.text);
    ck_assert_ptr_eq(fresh->plans[0]->binds[0], old->plans[0]->binds[0]);
    commit(second);
    snapshot_bind_commit(fresh, &registry);
    snapshot_free(old);
    struct listener *two = registry_find_listener(&registry, SLICE("two"))->listener;
    ck_assert_uint_eq(addr_port(&two->binds[0]->bound), port);

    snapshot_free(fresh);
    conf_document_unref(first);
    conf_document_unref(second);
    end();
}
END_TEST

START_TEST(an_address_in_use_is_refused_with_its_place)
{
    begin();
    struct err err = {0};
    char text[256];
    struct addr any;
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &any));
    struct listener_bind *taken = listener_bind_open(&any, 1, &err);
    ck_assert_ptr_nonnull(taken);
    (void)snprintf(text, sizeof(text),
                   "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\",\"127.0.0.1:%u\"],"
                   "\"protocol\":\"http\"}}}",
                   (unsigned)addr_port(&taken->bound));
    struct conf_document *made = document(text);
    struct snapshot *snapshot = build(made, NULL);
    ck_assert(!snapshot_bind(snapshot, &registry, &err));
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    ck_assert_str_eq(err.place, "/listeners/web/bind/1");
    snapshot_free(snapshot); /* closes the one that was opened */
    listener_bind_unref(taken);
    conf_document_unref(made);
    end();
}
END_TEST

UNIT_TESTS("snapshot_build", a_document_becomes_plans_routes_and_pools, unchanged_pools_are_shared,
           a_pool_knows_who_stands_in_as_the_snapshot_has_them, weights_rise_by_slow_start,
           health_and_address_make_a_pool_anew, sockets_stay_and_new_ones_are_opened,
           an_address_moves_between_listeners, an_address_in_use_is_refused_with_its_place)
