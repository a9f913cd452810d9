#include <pthread.h>

#include "lbd/base/now.h"
#include "lbd/upstream/server.h"
#include "tests/unit/unit.h"

static struct server *make(void)
{
    return server_new(SLICE("web"), SLICE("a"), 7);
}

static uint32_t word(const _Atomic uint32_t *value)
{
    return atomic_load(value);
}

START_TEST(a_new_one_is_starting_and_not_usable)
{
    struct server *server = make();
    ck_assert_str_eq(server->pool_name, "web");
    ck_assert_str_eq(server->name, "a");
    ck_assert_uint_eq(server->id, 7);
    ck_assert_int_eq(server->health, SERVER_STARTING);
    ck_assert_int_eq(server->admin, SERVER_READY);
    ck_assert(!server_is_usable(server));
    ck_assert_uint_eq(word(&server->load.ready), 1);
    server_unref(server);
}
END_TEST

START_TEST(usable_is_up_and_ready)
{
    static const enum server_health healths[] = {SERVER_STARTING, SERVER_UP, SERVER_DOWN,
                                                 SERVER_UNRESOLVED};
    static const enum server_admin admins[] = {SERVER_READY, SERVER_DRAIN, SERVER_MAINT};
    struct server *server = make();
    for (size_t h = 0; h < ARRAY_LEN(healths); h++) {
        for (size_t a = 0; a < ARRAY_LEN(admins); a++) {
            bool before = server_is_usable(server);
            bool changed = server_set_health(server, healths[h], 1);
            ck_assert_int_eq(changed, before != server_is_usable(server));
            before = server_is_usable(server);
            changed = server_set_admin(server, admins[a], 1);
            ck_assert_int_eq(changed, before != server_is_usable(server));
            bool is_ready = admins[a] == SERVER_READY;
            bool is_resolved = healths[h] != SERVER_UNRESOLVED;
            ck_assert_int_eq(server_is_usable(server), is_ready && healths[h] == SERVER_UP);
            ck_assert_uint_eq(word(&server->load.ready), is_ready && is_resolved);
            ck_assert_uint_eq(word(&server->load.unresolved), is_ready && !is_resolved);
        }
    }
    server_unref(server);
}
END_TEST

START_TEST(changes_of_health_are_counted_and_dated)
{
    struct server *server = make();
    (void)server_set_health(server, SERVER_UP, 100);
    (void)server_set_health(server, SERVER_UP, 200);
    ck_assert_uint_eq(server->transitions, 1);
    ck_assert_uint_eq(server->since_wall_us, 100);
    (void)server_set_admin(server, SERVER_DRAIN, 300);
    (void)server_set_admin(server, SERVER_DRAIN, 400);
    ck_assert_uint_eq(server->transitions, 1);
    ck_assert_uint_eq(server->since_wall_us, 300);
    (void)server_set_health(server, SERVER_DOWN, 500);
    ck_assert_uint_eq(server->transitions, 2);
    ck_assert_uint_eq(server->since_wall_us, 500);
    server_unref(server);
}
END_TEST

static uint32_t hook_calls;
static struct server *hook_server;

static void hook(struct server *server)
{
    hook_calls++;
    hook_server = server;
}

START_TEST(three_failures_in_a_row_are_reported_once)
{
    struct server *server = make();
    hook_calls = 0;
    server_on_passive_down(hook);
    server_note_connect(server, false);
    server_note_connect(server, false);
    server_note_connect(server, true); /* forgets */
    server_note_connect(server, false);
    server_note_connect(server, false);
    ck_assert_uint_eq(hook_calls, 0);
    server_note_connect(server, false);
    ck_assert_uint_eq(hook_calls, 1);
    ck_assert_ptr_eq(hook_server, server);
    server_note_connect(server, false); /* control has not acted yet */
    ck_assert_uint_eq(hook_calls, 1);
    server_unref(hook_server);

    atomic_store(&server->connect_failures, 0);
    atomic_store(&server->reported, 0);
    for (uint32_t i = 0; i < SERVER_PASSIVE_FALL; i++) {
        server_note_connect(server, false);
    }
    ck_assert_uint_eq(hook_calls, 2);
    server_unref(hook_server);
    server_on_passive_down(NULL);
    server_unref(server);
}
END_TEST

START_TEST(a_change_of_health_forgets_failures)
{
    struct server *server = make();
    hook_calls = 0;
    server_on_passive_down(hook);
    server_note_connect(server, false);
    server_note_connect(server, false);
    (void)server_set_health(server, SERVER_UP, 1);
    server_note_connect(server, false);
    ck_assert_uint_eq(hook_calls, 0);
    server_on_passive_down(NULL);
    server_unref(server);
}
END_TEST

static uint32_t freed_id;
static uint32_t freed;

static void note_free(uint32_t id)
{
    freed++;
    freed_id = id;
}

START_TEST(the_last_reference_frees)
{
    freed = 0;
    server_on_free(note_free);
    struct server *server = make();
    (void)server_ref(server);
    server_unref(server);
    ck_assert_uint_eq(freed, 0);
    server_unref(server);
    ck_assert_uint_eq(freed, 1);
    ck_assert_uint_eq(freed_id, 7);
    server_unref(NULL);
    server_on_free(NULL);
}
END_TEST

enum { THREADS = 2, CALLS = 20000 };

static void *note_from_a_thread(void *arg)
{
    struct server *server = arg;
    for (uint32_t i = 0; i < CALLS; i++) {
        (void)server_ref(server);
        server_note_connect(server, i % 7 == 0);
        server_unref(server);
    }
    return NULL;
}

static _Atomic uint32_t reports;

static void count_report(struct server *server)
{
    (void)atomic_fetch_add(&reports, 1);
    atomic_store(&server->connect_failures, 0);
    atomic_store(&server->reported, 0);
    server_unref(server);
}

START_TEST(threads_share_it)
{
    struct server *server = make();
    server_on_passive_down(count_report);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, note_from_a_thread, server), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_gt(atomic_load(&reports), 0);
    ck_assert_uint_eq(atomic_load(&server->refs), 1);
    server_on_passive_down(NULL);
    server_unref(server);
}
END_TEST

START_TEST(words_are_those_of_the_api)
{
    ck_assert_str_eq(server_health_word(SERVER_STARTING), "starting");
    ck_assert_str_eq(server_health_word(SERVER_UP), "up");
    ck_assert_str_eq(server_health_word(SERVER_DOWN), "down");
    ck_assert_str_eq(server_health_word(SERVER_UNRESOLVED), "unresolved");
    ck_assert_str_eq(server_admin_word(SERVER_READY), "ready");
    ck_assert_str_eq(server_admin_word(SERVER_DRAIN), "drain");
    ck_assert_str_eq(server_admin_word(SERVER_MAINT), "maint");
}
END_TEST

UNIT_TESTS("server", a_new_one_is_starting_and_not_usable, usable_is_up_and_ready,
           changes_of_health_are_counted_and_dated, three_failures_in_a_row_are_reported_once,
           a_change_of_health_forgets_failures, the_last_reference_frees, threads_share_it,
           words_are_those_of_the_api)
