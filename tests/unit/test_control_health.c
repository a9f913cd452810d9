#include <pthread.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/control/control_health.h"
#include "lbd/stats/counters.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

enum { SERVERS = 64, INTERVAL_MS = 60, PASS_LIMIT = 2000 };

struct field {
    struct loop *loop;
    struct mailbox mailbox;
    struct loop_watch mailbox_watch;
    struct registry registry;
    struct control_health *health;
    struct probe_peer peers[2];
    struct conf conf;
    struct conf_pool pools[2];
    struct conf_server servers[2][SERVERS];
    char names[SERVERS][8];
    char addresses[2][ADDR_TEXT_MAX];
    struct conf_health_check check;
    uint64_t version;
    uint32_t changes; /* calls of changed() */
};

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

static void on_changed(struct server *server, void *arg)
{
    struct field *field = arg;
    ck_assert_ptr_nonnull(server);
    field->changes++;
}

static void on_mail(struct loop_watch *watch, unsigned ready)
{
    struct field *field = container_of(watch, struct field, mailbox_watch);
    (void)ready;
    (void)mailbox_drain(&field->mailbox);
}

/* One pool "p" of `count` servers at the first peer; http check. */
static void field_init(struct field *field, uint32_t count, uint32_t probes_max)
{
    struct err err;
    memset(field, 0, sizeof(*field));
    now_set_for_test(now_us(), now_wall_us());
    counters_init(1);
    field->loop = loop_new(&err);
    ck_assert_ptr_nonnull(field->loop);
    ck_assert(mailbox_init(&field->mailbox, field, &err));
    ck_assert(loop_watch_start(field->loop, &field->mailbox_watch, mailbox_fd(&field->mailbox),
                               LOOP_READ, on_mail));
    registry_init(&field->registry);
    const struct control_health_options options = {
        .loop = field->loop,
        .mailbox = &field->mailbox,
        .changed = on_changed,
        .arg = field,
        .probes_max = probes_max,
    };
    field->health = control_health_new(&options);
    for (size_t i = 0; i < 2; i++) {
        probe_peer_init(&field->peers[i], field->loop, NULL);
        field->peers[i].answer = ok;
        field->peers[i].closes = true;
        (void)addr_write(&field->peers[i].address, field->addresses[i]);
    }
    field->check = probe_field_http;
    field->check.name = SLICE("c");
    field->check.interval_ms = INTERVAL_MS;
    field->check.timeout_ms = 1000;
    field->check.rise = 2;
    field->check.fall = 3;
    field->conf.pools = field->pools;
    field->conf.pool_count = 1;
    field->conf.health_checks = &field->check;
    field->conf.health_check_count = 1;
    for (size_t p = 0; p < 2; p++) {
        field->pools[p].name = p == 0 ? SLICE("p") : SLICE("q");
        field->pools[p].health_check = SLICE("c");
        field->pools[p].servers = field->servers[p];
        field->pools[p].server_count = count;
        for (uint32_t i = 0; i < SERVERS; i++) {
            (void)snprintf(field->names[i], sizeof(field->names[i]), "s%02u", i);
            field->servers[p][i].name = slice_from(field->names[i]);
            field->servers[p][i].address = slice_from(field->addresses[0]);
        }
    }
}

static void apply(struct field *field)
{
    field->version++;
    field->pools[0].version = field->version;
    field->pools[1].version = field->version;
    field->check.version = field->version;
    registry_commit(&field->registry, &field->conf, NULL, NULL);
    control_health_apply(field->health, &field->conf, &field->registry);
}

static void field_fini(struct field *field)
{
    control_health_free(field->health);
    registry_fini(&field->registry);
    for (size_t i = 0; i < 2; i++) {
        probe_peer_fini(&field->peers[i]);
    }
    (void)mailbox_drain(&field->mailbox);
    loop_watch_stop(&field->mailbox_watch);
    mailbox_fini(&field->mailbox);
    counters_fini();
    loop_free(field->loop);
    now_set_for_test(0, 0);
}

static struct server *server(const struct field *field, uint32_t index)
{
    return registry_find_server(&field->registry, SLICE("p"), slice_from(field->names[index]))
        ->server;
}

static struct control_health_facts facts(const struct field *field, uint32_t index)
{
    struct control_health_facts out;
    ck_assert(
        control_health_facts(field->health, SLICE("p"), slice_from(field->names[index]), &out));
    return out;
}

/* 5 ms pass, however long this machine needs for them: the clock is the test's. */
static void pass(struct field *field)
{
    now_set_for_test(now_us() + 5000, now_wall_us() + 5000);
    for (uint32_t i = 0; i < 4; i++) {
        loop_run_once(field->loop, 0); /* a probe and its peer talk in one loop */
    }
}

/* Until the server is in this state. */
static void run_until(struct field *field, uint32_t index, enum server_health state)
{
    for (uint32_t i = 0; i < PASS_LIMIT && server(field, index)->health != state; i++) {
        pass(field);
    }
    ck_assert_str_eq(server_health_word(server(field, index)->health), server_health_word(state));
}

static void run_until_checks(struct field *field, uint32_t index, uint64_t checks)
{
    for (uint32_t i = 0; i < PASS_LIMIT && facts(field, index).checks < checks; i++) {
        pass(field);
    }
    ck_assert_uint_ge(facts(field, index).checks, checks);
}

static void report_failures(struct server *live)
{
    for (uint32_t i = 0; i < SERVER_PASSIVE_FALL; i++) {
        server_note_connect(live, false);
    }
}

/* The clock jumps; timers fire in the next pass. */
static void skip_ms(struct field *field, uint64_t ms)
{
    now_set_for_test(now_us() + ms * 1000, now_wall_us() + ms * 1000);
    loop_run_once(field->loop, 0);
    loop_run_once(field->loop, 0);
}

START_TEST(without_a_check_a_server_with_an_address_is_up)
{
    struct field field;
    field_init(&field, 3, 0);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(server(&field, i)->health, SERVER_UP);
        ck_assert(server_is_usable(server(&field, i)));
        ck_assert(!facts(&field, i).has_check);
    }
    ck_assert_uint_eq(field.changes, 3);
    ck_assert_uint_eq(field.peers[0].accepted, 0);
    field_fini(&field);
}
END_TEST

START_TEST(with_a_check_it_starts_and_the_first_answer_decides)
{
    struct field field;
    field_init(&field, 1, 0);
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_STARTING);
    ck_assert(!server_is_usable(server(&field, 0)));
    ck_assert(server(&field, 0)->has_check);
    ck_assert(facts(&field, 0).is_probing);
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_eq(facts(&field, 0).checks, 1);
    ck_assert_uint_eq(field.changes, 1);
    ck_assert_msg(strncmp(server(&field, 0)->last_check, "HTTP 200 in ", 12) == 0, "%s",
                  server(&field, 0)->last_check);
    ck_assert(facts(&field, 0).last_passed);
    ck_assert_uint_gt(facts(&field, 0).last_wall_us, 0);
    ck_assert_ptr_nonnull(strstr(field.peers[0].request, field.addresses[0])); /* Host */
    field_fini(&field);
}
END_TEST

START_TEST(fall_takes_it_out_and_rise_brings_it_back)
{
    struct field field;
    field_init(&field, 1, 0);
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    field.peers[0].answer = busy;
    run_until(&field, 0, SERVER_DOWN);
    ck_assert_str_eq(server(&field, 0)->last_check, "HTTP 503, expected 2xx");
    uint64_t checks = facts(&field, 0).checks;
    ck_assert_uint_ge(checks, 1 + 3);
    ck_assert_uint_eq(field.changes, 2);
    field.peers[0].answer = ok;
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_ge(facts(&field, 0).checks, checks + 2);
    ck_assert_uint_eq(server(&field, 0)->transitions, 3);
    const struct control_health_stats *stats = control_health_stats(field.health, SLICE("p"));
    ck_assert_ptr_nonnull(stats);
    ck_assert_uint_ge(stats->passed, 3);
    ck_assert_uint_ge(stats->failed, 3);
    ck_assert_uint_eq(histogram_count(stats->duration.buckets, ARRAY_LEN(stats->duration.buckets)),
                      stats->passed + stats->failed);
    ck_assert_ptr_null(control_health_stats(field.health, SLICE("none")));
    field_fini(&field);
}
END_TEST

START_TEST(a_first_failure_is_down_at_once)
{
    struct field field;
    field_init(&field, 1, 0);
    field.peers[0].answer = busy;
    apply(&field);
    run_until(&field, 0, SERVER_DOWN);
    ck_assert_uint_eq(facts(&field, 0).checks, 1);
    ck_assert_uint_eq(field.changes, 0); /* it was not usable before either */
    field_fini(&field);
}
END_TEST

START_TEST(intervals_are_kept_with_jitter)
{
    struct field field;
    field_init(&field, 1, 0);
    apply(&field);
    run_until_checks(&field, 0, 1);
    uint64_t before_ms = now_ms();
    run_until_checks(&field, 0, 11);
    uint64_t took_ms = now_ms() - before_ms;
    /* ten intervals of 60 ms +- 10 %, each at most a pass or two late */
    ck_assert_uint_ge(took_ms, 530);
    ck_assert_uint_le(took_ms, 900);
    field_fini(&field);
}
END_TEST

START_TEST(state_survives_a_change_of_other_things)
{
    struct field field;
    field_init(&field, 2, 0);
    field.check.interval_ms = 3600 * 1000;
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    run_until(&field, 1, SERVER_UP);
    uint64_t checks = facts(&field, 0).checks;
    field.pools[0].retries = 7;
    field.servers[0][0].weight = 3;
    field.check.name = SLICE("renamed");
    field.pools[0].health_check = SLICE("renamed");
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    ck_assert(!facts(&field, 0).is_probing);
    field.pools[0].server_count = 3; /* only the new one starts */
    apply(&field);
    ck_assert(!facts(&field, 0).is_probing);
    ck_assert_int_eq(server(&field, 2)->health, SERVER_STARTING);
    run_until(&field, 2, SERVER_UP);
    ck_assert_uint_eq(facts(&field, 0).checks, checks);
    ck_assert_uint_eq(control_health_stats(field.health, SLICE("p"))->passed, 3);
    field_fini(&field);
}
END_TEST

START_TEST(a_changed_check_asks_again_and_keeps_the_state_until_the_answer)
{
    struct field field;
    field_init(&field, 2, 0);
    field.check.interval_ms = 3600 * 1000;
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    run_until(&field, 1, SERVER_UP);
    uint32_t changes = field.changes;
    field.check.path = SLICE("/other");
    field.peers[0].answer = busy;
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    ck_assert_uint_eq(field.changes, changes);
    ck_assert(facts(&field, 0).is_probing);
    run_until(&field, 0, SERVER_DOWN); /* one answer is enough */
    ck_assert_ptr_nonnull(strstr(field.peers[0].request, "GET /other "));
    field.pools[0].health_check = SLICE_NONE; /* without a check it is up */
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    field.pools[0].health_check = SLICE("c"); /* and stays so until a new one says no */
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    run_until(&field, 0, SERVER_DOWN);
    field_fini(&field);
}
END_TEST

START_TEST(a_moved_server_is_asked_at_its_new_place)
{
    struct field field;
    field_init(&field, 1, 0);
    field.check.interval_ms = 3600 * 1000;
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_eq(field.peers[1].accepted, 0);
    field.peers[1].answer = busy;
    field.servers[0][0].address = slice_from(field.addresses[1]);
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    run_until(&field, 0, SERVER_DOWN);
    ck_assert_uint_eq(field.peers[1].accepted, 1);
    control_health_set_address(field.health, SLICE("p"), SLICE("s00"), &field.peers[0].address);
    run_until(&field, 0, SERVER_UP);
    control_health_set_address(field.health, SLICE("p"), SLICE("nobody"), &field.peers[0].address);
    control_health_set_address(field.health, SLICE("none"), SLICE("s00"), &field.peers[0].address);
    field_fini(&field);
}
END_TEST

START_TEST(without_an_address_it_is_unresolved)
{
    struct field field;
    field_init(&field, 1, 0);
    field.servers[0][0].address = SLICE("name.test:80");
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UNRESOLVED);
    for (uint32_t i = 0; i < 5; i++) {
        pass(&field);
    }
    ck_assert_uint_eq(facts(&field, 0).checks, 0);
    control_health_set_address(field.health, SLICE("p"), SLICE("s00"), &field.peers[0].address);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_STARTING);
    run_until(&field, 0, SERVER_UP);
    ck_assert_ptr_nonnull(strstr(field.peers[0].request, "Host: name.test:80\r\n"));
    struct addr none = {0};
    control_health_set_address(field.health, SLICE("p"), SLICE("s00"), &none);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UNRESOLVED);
    ck_assert(!facts(&field, 0).is_probing);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UNRESOLVED);
    control_health_set_address(field.health, SLICE("p"), SLICE("s00"), &field.peers[0].address);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    field_fini(&field);
}
END_TEST

START_TEST(probes_at_once_are_bounded)
{
    struct field field;
    field_init(&field, SERVERS, 4);
    field.peers[0].answer = NULL; /* keeps them waiting */
    field.peers[0].closes = false;
    field.check.timeout_ms = 40;
    apply(&field);
    uint32_t most = 0;
    for (uint32_t i = 0; i < PASS_LIMIT && facts(&field, SERVERS - 1).checks == 0; i++) {
        pass(&field);
        uint32_t open = probe_peer_open(&field.peers[0]);
        most = open > most ? open : most;
    }
    for (uint32_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_ge(facts(&field, i).checks, 1); /* all had their turn */
        ck_assert_int_eq(server(&field, i)->health, SERVER_DOWN);
    }
    ck_assert_uint_ge(most, 2);
    ck_assert_uint_le(most, 2 * 4); /* the peer sees an end a little after it happened */
    ck_assert_uint_gt(control_health_stats(field.health, SLICE("p"))->late, 0);
    field_fini(&field);
}
END_TEST

START_TEST(what_is_removed_gives_its_place_to_others)
{
    struct field field;
    field_init(&field, 2, 1);
    field.peers[0].answer = NULL;
    field.peers[0].closes = false;
    field.check.timeout_ms = 60 * 1000;
    apply(&field);
    for (uint32_t i = 0; i < 5; i++) {
        pass(&field);
    }
    ck_assert_uint_eq(field.peers[0].accepted, 1); /* the first one sits on the only place */
    field.peers[1].answer = ok;
    memmove(&field.servers[0][0], &field.servers[0][1], sizeof(field.servers[0][0]));
    field.servers[0][0].address = slice_from(field.addresses[1]);
    field.pools[0].server_count = 1;
    apply(&field);
    run_until(&field, 1, SERVER_UP);
    field_fini(&field);
}
END_TEST

START_TEST(a_pool_may_go_while_it_is_asked)
{
    struct field field;
    field_init(&field, 8, 3);
    field.conf.pool_count = 2;
    apply(&field);
    loop_run_once(field.loop, 0);
    loop_run_once(field.loop, 0);
    field.conf.pool_count = 1;
    apply(&field);
    ck_assert_ptr_null(control_health_stats(field.health, SLICE("q")));
    run_until(&field, 7, SERVER_UP);
    field.conf.pool_count = 0;
    apply(&field);
    ck_assert_ptr_null(control_health_stats(field.health, SLICE("p")));
    for (uint32_t i = 0; i < 5; i++) {
        pass(&field);
    }
    field_fini(&field);
}
END_TEST

START_TEST(three_connection_failures_take_an_unchecked_server_out_for_ten_seconds)
{
    struct field field;
    field_init(&field, 2, 0);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    report_failures(server(&field, 0));
    loop_run_once(field.loop, 20);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_DOWN);
    ck_assert_str_eq(server(&field, 0)->last_check, "3 connection failures in a row");
    ck_assert_int_eq(server(&field, 1)->health, SERVER_UP);
    report_failures(server(&field, 0)); /* from requests that were on their way: no news */
    loop_run_once(field.loop, 0);
    skip_ms(&field, CONTROL_HEALTH_PASSIVE_MS - 200);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_DOWN);
    skip_ms(&field, 400);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    report_failures(server(&field, 0)); /* and out again */
    skip_ms(&field, 10);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_DOWN);
    field_fini(&field);
}
END_TEST

START_TEST(the_last_usable_one_is_kept)
{
    struct field field;
    field_init(&field, 3, 0);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    (void)server_set_admin(server(&field, 2), SERVER_DRAIN, 1);
    report_failures(server(&field, 0));
    loop_run_once(field.loop, 20);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_DOWN);
    report_failures(server(&field, 1));
    loop_run_once(field.loop, 20);
    ck_assert_int_eq(server(&field, 1)->health, SERVER_UP); /* 0 is down, 2 drains */
    ck_assert_uint_eq(atomic_load(&server(&field, 1)->reported), 1);
    skip_ms(&field, 1100); /* once a second it may be reported again */
    ck_assert_uint_eq(atomic_load(&server(&field, 1)->reported), 0);
    (void)server_set_admin(server(&field, 2), SERVER_READY, 2);
    report_failures(server(&field, 1));
    loop_run_once(field.loop, 0);
    ck_assert_int_eq(server(&field, 1)->health, SERVER_DOWN);
    field_fini(&field);
}
END_TEST

START_TEST(a_checked_server_is_asked_at_once_and_returns_by_rise)
{
    struct field field;
    field_init(&field, 2, 0);
    field.check.interval_ms = 500;
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    run_until(&field, 1, SERVER_UP);
    uint64_t checks = facts(&field, 0).checks;
    uint64_t before_ms = now_ms();
    report_failures(server(&field, 0));
    run_until(&field, 0, SERVER_DOWN);
    run_until_checks(&field, 0, checks + 1);
    ck_assert_uint_lt(now_ms() - before_ms, 400); /* not at the next interval */
    ck_assert_int_eq(server(&field, 0)->health, SERVER_DOWN);
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_eq(facts(&field, 0).checks, checks + 2);
    field_fini(&field);
}
END_TEST

START_TEST(in_maintenance_nobody_asks_and_afterwards_a_probe_decides)
{
    struct field field;
    field_init(&field, 2, 0);
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    run_until(&field, 1, SERVER_UP);

    (void)server_set_admin(server(&field, 0), SERVER_MAINT, now_wall_us());
    control_health_heed_admin(field.health, SLICE("p"), slice_from(field.names[0]));
    ck_assert_int_eq(server(&field, 0)->health, SERVER_STARTING);
    uint64_t checks = facts(&field, 0).checks;
    run_until_checks(&field, 1, facts(&field, 1).checks + 4);
    ck_assert_uint_eq(facts(&field, 0).checks, checks);
    apply(&field); /* nor does a change of something else wake it */
    run_until_checks(&field, 1, facts(&field, 1).checks + 2);
    ck_assert_uint_eq(facts(&field, 0).checks, checks);

    (void)server_set_admin(server(&field, 0), SERVER_READY, now_wall_us());
    ck_assert(!server_is_usable(server(&field, 0)));
    control_health_heed_admin(field.health, SLICE("p"), slice_from(field.names[0]));
    ck_assert(facts(&field, 0).is_probing);
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_eq(facts(&field, 0).checks, checks + 1);
    field_fini(&field);
}
END_TEST

START_TEST(what_starts_in_maintenance_is_not_asked)
{
    struct field field;
    field_init(&field, 2, 0);
    registry_commit(&field.registry, &field.conf, NULL, NULL);
    (void)server_set_admin(server(&field, 0), SERVER_MAINT, now_wall_us());
    apply(&field);
    run_until_checks(&field, 1, 3);
    ck_assert_uint_eq(facts(&field, 0).checks, 0);

    (void)server_set_admin(server(&field, 0), SERVER_DRAIN, now_wall_us());
    apply(&field); /* the document says so now */
    run_until(&field, 0, SERVER_UP);
    field_fini(&field);
}
END_TEST

START_TEST(a_report_about_a_stranger_does_no_harm)
{
    struct field field;
    field_init(&field, 2, 0);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    struct server *stranger = server_new(SLICE("p"), SLICE("s00"), 99); /* same name */
    report_failures(stranger);
    loop_run_once(field.loop, 20);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    ck_assert_uint_eq(atomic_load(&stranger->refs), 1);
    ck_assert_uint_eq(atomic_load(&stranger->reported), 0);
    report_failures(stranger); /* still in the mailbox when all ends */
    control_health_free(field.health);
    field.health = NULL;
    (void)mailbox_drain(&field.mailbox);
    ck_assert_uint_eq(atomic_load(&stranger->refs), 1);
    server_unref(stranger);
    field_fini(&field);
    control_health_free(NULL);
}
END_TEST

static void *fail_from_a_thread(void *arg)
{
    for (uint32_t i = 0; i < 1000; i++) {
        server_note_connect(arg, false);
    }
    return NULL;
}

START_TEST(reports_come_from_other_threads)
{
    struct field field;
    field_init(&field, 2, 0);
    field.pools[0].health_check = SLICE_NONE;
    apply(&field);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fail_from_a_thread, server(&field, 0)),
                         0);
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    run_until(&field, 0, SERVER_DOWN);
    ck_assert_int_eq(server(&field, 1)->health, SERVER_UP);
    field_fini(&field);
}
END_TEST

START_TEST(large_pools_spread_their_second_probes)
{
    struct field field;
    field_init(&field, SERVERS, 0);
    field.check.interval_ms = 400;
    apply(&field);
    for (uint32_t i = 0; i < SERVERS; i++) {
        run_until(&field, i, SERVER_UP);
    }
    uint32_t first = field.peers[0].accepted;
    ck_assert_uint_le(first, SERVERS + SERVERS / 4);
    uint64_t start_ms = now_ms();
    while (now_ms() - start_ms < 180) {
        pass(&field);
    }
    uint32_t early = field.peers[0].accepted - first;
    ck_assert_uint_gt(early, SERVERS / 8);           /* some come early ... */
    ck_assert_uint_lt(early, SERVERS - SERVERS / 8); /* ... others late */
    field_fini(&field);
}
END_TEST

/* How many checks there were in this time. */
static uint64_t checks_within(struct field *field, uint64_t ms)
{
    uint64_t before = facts(field, 0).checks;
    uint64_t end = now_ms() + ms;
    while (now_ms() < end) {
        pass(field);
    }
    return facts(field, 0).checks - before;
}

START_TEST(checks_hurry_while_the_state_is_about_to_change)
{
    struct field field;
    field_init(&field, 1, 0);
    field.check.interval_ms = 400;
    field.check.fast_interval_ms = 10;
    field.check.down_interval_ms = 600000;
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    field.peers[0].answer = busy;
    while (facts(&field, 0).streak == 0) {
        pass(&field);
    }
    uint64_t first_ms = now_ms();
    run_until(&field, 0, SERVER_DOWN);
    ck_assert_uint_lt(now_ms() - first_ms, 700); /* two intervals are more */
    ck_assert_uint_eq(facts(&field, 0).history->count, facts(&field, 0).checks);
    ck_assert_uint_eq(checks_within(&field, 60), 0); /* down_interval */
    field_fini(&field);
}
END_TEST

START_TEST(the_last_results_are_kept_for_this_check)
{
    struct field field;
    field_init(&field, 1, 0);
    apply(&field);
    run_until_checks(&field, 0, 2);
    field.peers[0].answer = busy;
    uint64_t checks = facts(&field, 0).checks;
    run_until_checks(&field, 0, checks + 2);
    const struct health_history *history = facts(&field, 0).history;
    ck_assert_uint_ge(history->count, 4);
    const struct health_history_entry *newest = health_history_at(history, 0);
    const struct health_history_entry *oldest = health_history_at(history, history->count - 1);
    ck_assert_uint_eq(newest->result, HEALTH_PROBE_FAILED);
    ck_assert_str_eq(newest->text, "HTTP 503, expected 2xx");
    ck_assert_uint_eq(oldest->result, HEALTH_PROBE_PASSED);
    ck_assert_uint_gt(newest->wall_us, oldest->wall_us);
    field.check.path = SLICE("/other");
    apply(&field);
    ck_assert_uint_eq(facts(&field, 0).history->count, 0);
    field_fini(&field);
}
END_TEST

START_TEST(a_check_may_ask_elsewhere)
{
    struct field field;
    field_init(&field, 1, 0);
    field.check.port = addr_port(&field.peers[1].address);
    apply(&field);
    run_until(&field, 0, SERVER_UP);
    ck_assert_uint_eq(field.peers[0].accepted, 0);
    ck_assert_uint_ge(field.peers[1].accepted, 1);
    field.check.port = 0;
    field.check.address = slice_from(field.addresses[0]);
    (void)snprintf(field.addresses[1], sizeof(field.addresses[1]), "127.0.0.1:1");
    field.servers[0][0].address = slice_from(field.addresses[1]); /* nobody is there */
    apply(&field);
    run_until_checks(&field, 0, facts(&field, 0).checks + 2);
    ck_assert_uint_ge(field.peers[0].accepted, 1);
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    field_fini(&field);
}
END_TEST

UNIT_TESTS("control_health", without_a_check_a_server_with_an_address_is_up,
           with_a_check_it_starts_and_the_first_answer_decides,
           fall_takes_it_out_and_rise_brings_it_back, a_first_failure_is_down_at_once,
           intervals_are_kept_with_jitter, state_survives_a_change_of_other_things,
           a_changed_check_asks_again_and_keeps_the_state_until_the_answer,
           a_moved_server_is_asked_at_its_new_place, without_an_address_it_is_unresolved,
           probes_at_once_are_bounded, what_is_removed_gives_its_place_to_others,
           a_pool_may_go_while_it_is_asked,
           three_connection_failures_take_an_unchecked_server_out_for_ten_seconds,
           the_last_usable_one_is_kept, a_checked_server_is_asked_at_once_and_returns_by_rise,
           in_maintenance_nobody_asks_and_afterwards_a_probe_decides,
           what_starts_in_maintenance_is_not_asked, a_report_about_a_stranger_does_no_harm,
           reports_come_from_other_threads, large_pools_spread_their_second_probes,
           checks_hurry_while_the_state_is_about_to_change,
           the_last_results_are_kept_for_this_check, a_check_may_ask_elsewhere)
