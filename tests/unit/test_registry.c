#include <stdio.h>

#include "conf/conf_document.h"
#include "lbd/snapshot/registry.h"
#include "tests/unit/unit.h"

static struct conf_document *document(const char *text)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *made = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(made != NULL, "%.*s", SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return made;
}

static const char two_servers[] =
    "{\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"
    "\"b\":{\"address\":\"app.test:80\"}}}}}";
static const char moved[] = "{\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:2\"},"
                            "\"b\":{\"address\":\"app.test:80\"}}}}}";
static const char only_b[] =
    "{\"pools\":{\"p\":{\"servers\":{\"b\":{\"address\":\"app.test:80\"}}}}}";

struct seen {
    unsigned count;
    unsigned moved;
};

static void on_committed(struct registry_server *server, const struct conf_pool *pool,
                         const struct conf_server *conf, bool is_moved, void *arg)
{
    struct seen *seen = arg;
    ck_assert_ptr_nonnull(server->server);
    ck_assert(slice_eq(pool->name, SLICE("p")));
    ck_assert(slice_eq(conf->name, slice_from(server->server->name)));
    seen->count++;
    seen->moved += is_moved ? 1 : 0;
}

static struct seen commit(struct registry *registry, struct conf_document *made)
{
    struct seen seen = {0};
    registry_commit(registry, conf_document_conf(made), on_committed, &seen);
    return seen;
}

START_TEST(objects_are_found_again_by_name)
{
    struct registry registry;
    counters_init(1);
    registry_init(&registry);
    struct registry_pool *pool = registry_make_pool(&registry, SLICE("p"));
    struct registry_server *a = registry_make_server(pool, SLICE("a"));
    ck_assert_ptr_eq(registry_make_pool(&registry, SLICE("p")), pool);
    ck_assert_ptr_eq(registry_make_server(pool, SLICE("a")), a);
    ck_assert_ptr_eq(registry_find_server(&registry, SLICE("p"), SLICE("a")), a);
    ck_assert_ptr_null(registry_find_server(&registry, SLICE("q"), SLICE("a")));
    ck_assert_ptr_null(registry_find_server(&registry, SLICE("p"), SLICE("b")));
    ck_assert_uint_ne(a->server->id, registry_make_server(pool, SLICE("b"))->server->id);
    ck_assert_uint_ne(registry_make_route(&registry, SLICE("r"))->id, 0);
    ck_assert_uint_ne(registry_make_listener(&registry, SLICE("l"))->listener->id, 0);
    registry_fini(&registry);
    counters_fini();
}
END_TEST

START_TEST(a_server_survives_a_change_of_its_address)
{
    struct registry registry;
    struct addr address;
    uint32_t version = 0;
    bool is_literal = false;
    struct conf_document *first = document(two_servers);
    struct conf_document *second = document(moved);
    counters_init(1);
    registry_init(&registry);

    struct seen seen = commit(&registry, first);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_uint_eq(seen.moved, 2);
    struct registry_server *a = registry_find_server(&registry, SLICE("p"), SLICE("a"));
    struct server *same = a->server;
    uint32_t before = a->address_version;
    ck_assert_uint_eq(addr_port(&a->address), 1);
    ck_assert(a->has_literal_address);

    /* asked before the commit: the answer is there, nothing has changed */
    registry_address_of(a, SLICE("127.0.0.1:2"), &address, &version, &is_literal);
    ck_assert_uint_eq(addr_port(&address), 2);
    ck_assert_uint_eq(version, before + 1);
    ck_assert_uint_eq(addr_port(&a->address), 1);

    seen = commit(&registry, second);
    ck_assert_uint_eq(seen.moved, 1);
    ck_assert_ptr_eq(registry_find_server(&registry, SLICE("p"), SLICE("a"))->server, same);
    ck_assert_uint_eq(addr_port(&a->address), 2);
    ck_assert_uint_eq(a->address_version, version);

    registry_fini(&registry);
    conf_document_unref(first);
    conf_document_unref(second);
    counters_fini();
}
END_TEST

START_TEST(an_unchanged_pool_is_not_looked_at)
{
    struct registry registry;
    struct conf_document *first = document(two_servers);
    counters_init(1);
    registry_init(&registry);
    ck_assert_uint_eq(commit(&registry, first).count, 2);
    ck_assert_uint_eq(commit(&registry, first).count, 0);
    registry_fini(&registry);
    conf_document_unref(first);
    counters_fini();
}
END_TEST

START_TEST(a_name_has_no_address_until_it_is_resolved)
{
    struct registry registry;
    struct addr address;
    struct conf_document *first = document(two_servers);
    counters_init(1);
    registry_init(&registry);
    (void)commit(&registry, first);
    struct registry_server *b = registry_find_server(&registry, SLICE("p"), SLICE("b"));
    ck_assert_uint_eq(b->address.len, 0);
    ck_assert(!b->has_literal_address);

    ck_assert(addr_parse(SLICE("127.0.0.1:80"), &address));
    uint32_t before = b->address_version;
    ck_assert(registry_server_set_address(b, &address));
    ck_assert_uint_eq(b->address_version, before + 1);
    ck_assert(!registry_server_set_address(b, &address));
    ck_assert_uint_eq(b->address_version, before + 1);
    registry_fini(&registry);
    conf_document_unref(first);
    counters_fini();
}
END_TEST

START_TEST(what_no_document_names_is_let_go)
{
    struct registry registry;
    struct conf_document *first = document(two_servers);
    struct conf_document *second = document(only_b);
    counters_init(1);
    registry_init(&registry);
    (void)commit(&registry, first);
    struct server *a = server_ref(registry_find_server(&registry, SLICE("p"), SLICE("a"))->server);
    (void)server_set_health(a, SERVER_UP, 1);

    (void)commit(&registry, second);
    ck_assert_ptr_null(registry_find_server(&registry, SLICE("p"), SLICE("a")));
    ck_assert_ptr_nonnull(registry_find_server(&registry, SLICE("p"), SLICE("b")));
    /* workers that run the old snapshot may choose it, its idle connections are not kept */
    ck_assert(server_is_usable(a));
    ck_assert_uint_eq(atomic_load(&a->load.ready), 0);
    server_unref(a);
    registry_fini(&registry);
    conf_document_unref(first);
    conf_document_unref(second);
    counters_fini();
}
END_TEST

/* Its counters go on, all else begins anew. */
START_TEST(what_comes_back_is_the_same_object)
{
    struct registry registry;
    struct conf_document *first = document(two_servers);
    struct conf_document *none = conf_document_new();
    counters_init(1);
    registry_init(&registry);
    (void)commit(&registry, first);
    const struct registry_pool *pool = registry_find_pool(&registry, SLICE("p"));
    struct registry_server *live = registry_find_server(&registry, SLICE("p"), SLICE("a"));
    struct server *a = live->server;
    const struct registry_route *route = registry_make_route(&registry, SLICE("r"));
    const struct registry_listener *listener = registry_make_listener(&registry, SLICE("l"));
    uint32_t version = live->address_version;
    uint64_t transitions = a->transitions + 1;
    (void)server_set_health(a, SERVER_UP, 1);
    (void)snprintf(a->last_check, sizeof(a->last_check), "fine");
    atomic_store(&a->connect_failures, 2);
    (void)condition_note(&live->conditions.ready, true, 1);

    for (int round = 0; round < 3; round++) {
        (void)commit(&registry, none);
        ck_assert_ptr_null(registry_find_pool(&registry, SLICE("p")));
        (void)commit(&registry, first);
        ck_assert_ptr_eq(registry_find_pool(&registry, SLICE("p")), pool);
        ck_assert_ptr_eq(registry_find_server(&registry, SLICE("p"), SLICE("a")), live);
        ck_assert_ptr_eq(live->server, a);
        ck_assert_ptr_eq(live->pool, pool);
        ck_assert_ptr_eq(registry_make_route(&registry, SLICE("r")), route);
        ck_assert_ptr_eq(registry_make_listener(&registry, SLICE("l")), listener);
        ck_assert_int_eq(a->health, SERVER_STARTING);
        ck_assert_uint_ge(a->transitions, transitions);
        ck_assert(!server_is_usable(a));
        ck_assert_uint_eq(atomic_load(&a->load.ready), 1);
        ck_assert_str_eq(a->last_check, "");
        ck_assert_uint_eq(atomic_load(&a->connect_failures), 0);
        ck_assert_uint_eq(live->conditions.ready.since_wall_us, 0);
        ck_assert_uint_eq(live->address_version, version);
    }

    /* a worker's message about it is on its way: it cannot be used again yet */
    atomic_store(&a->reported, 1);
    (void)server_ref(a);
    (void)commit(&registry, none);
    (void)commit(&registry, first);
    ck_assert_ptr_ne(registry_find_server(&registry, SLICE("p"), SLICE("a"))->server, a);
    ck_assert_uint_eq(atomic_load(&a->refs), 1);
    server_unref(a);
    registry_fini(&registry);
    conf_document_unref(first);
    conf_document_unref(none);
    counters_fini();
}
END_TEST

START_TEST(a_few_thousand_rest_and_no_more)
{
    struct registry registry;
    struct conf_document *only = document(only_b);
    counters_init(1);
    registry_init(&registry);
    for (int i = 0; i < REGISTRY_ROUTES_RESTING_MAX + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "r%d", i);
        (void)registry_make_route(&registry, slice_from(name));
        registry_sweep(&registry, conf_document_conf(only));
    }
    registry_release_ids(&registry, 1);
    ck_assert_uint_eq(registry.resting_routes.objects.count, REGISTRY_ROUTES_RESTING_MAX);
    ck_assert_uint_eq(counters_pending(), 10);
    registry_fini(&registry);
    conf_document_unref(only);
    counters_fini();
}
END_TEST

START_TEST(what_a_refused_document_made_is_swept)
{
    struct registry registry;
    struct conf_document *first = document(only_b);
    counters_init(1);
    registry_init(&registry);
    (void)commit(&registry, first);
    (void)registry_make_server(registry_make_pool(&registry, SLICE("p")), SLICE("new"));
    (void)registry_make_pool(&registry, SLICE("q"));
    (void)registry_make_route(&registry, SLICE("r"));
    (void)registry_make_listener(&registry, SLICE("l"));
    registry_sweep(&registry, conf_document_conf(first));
    ck_assert_ptr_null(registry_find_server(&registry, SLICE("p"), SLICE("new")));
    ck_assert_ptr_nonnull(registry_find_server(&registry, SLICE("p"), SLICE("b")));
    ck_assert_ptr_null(registry_find_pool(&registry, SLICE("q")));
    ck_assert_ptr_null(registry_find_route(&registry, SLICE("r")));
    ck_assert_ptr_null(registry_find_listener(&registry, SLICE("l")));
    registry_fini(&registry);
    conf_document_unref(first);
    counters_fini();
}
END_TEST

START_TEST(ids_stay_taken_while_a_snapshot_may_count_with_them)
{
    struct registry registry;
    struct conf_document *none = conf_document_new();
    counters_init(1);
    registry_init(&registry);
    registry.generation = 7;
    uint32_t id = registry_make_pool(&registry, SLICE("p"))->id;
    registry_sweep(&registry, conf_document_conf(none));
    registry_release_ids(&registry, 7); /* generation 7 is still read */
    ck_assert_uint_eq(registry.leaving_count, 1);
    ck_assert_uint_eq(registry.leaving[0].counters->id, id);
    registry_release_ids(&registry, 8);
    ck_assert_uint_eq(registry.leaving_count, 0);
    registry_fini(&registry);
    conf_document_unref(none);
    counters_fini();
}
END_TEST

START_TEST(a_socket_on_its_way_out_closes_when_nobody_uses_it)
{
    struct registry registry;
    struct addr address;
    struct err err;
    counters_init(1);
    registry_init(&registry);
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &address));
    struct listener_bind *bind = listener_bind_open(&address, 1, &err);
    ck_assert_msg(bind != NULL, "%s", err.text);
    listener_bind_ref(bind); /* a worker */

    registry_retire_bind(&registry, listener_bind_ref(bind));
    registry_retire_bind(&registry, bind); /* twice: one reference is enough */
    ck_assert_uint_eq(registry.retiring_count, 1);
    registry_close_binds(&registry);
    ck_assert_uint_eq(registry.retiring_count, 1);
    listener_bind_unref(bind);
    registry_close_binds(&registry);
    ck_assert_uint_eq(registry.retiring_count, 0);
    registry_fini(&registry);
    counters_fini();
}
END_TEST

UNIT_TESTS("registry", objects_are_found_again_by_name, a_server_survives_a_change_of_its_address,
           an_unchanged_pool_is_not_looked_at, a_name_has_no_address_until_it_is_resolved,
           what_no_document_names_is_let_go, what_comes_back_is_the_same_object,
           a_few_thousand_rest_and_no_more, what_a_refused_document_made_is_swept,
           ids_stay_taken_while_a_snapshot_may_count_with_them,
           a_socket_on_its_way_out_closes_when_nobody_uses_it)
