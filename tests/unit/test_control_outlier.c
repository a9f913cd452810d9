#include <pthread.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/control_outlier.h"
#include "lbd/stats/counters.h"
#include "tests/unit/unit.h"

enum { SERVERS = 4, PASS_LIMIT = 4000 };

struct field {
    struct loop *loop;
    struct mailbox mailbox;
    struct loop_watch watch;
    struct registry registry;
    struct events *events;
    struct control_outlier *outlier;
    struct conf conf;
    struct conf_pool pool;
    struct conf_server servers[SERVERS];
    uint32_t changes;
};

static const char *const names[SERVERS] = {"a", "b", "c", "d"};

static void on_changed(struct server *server, void *arg)
{
    struct field *field = arg;
    ck_assert_ptr_nonnull(server);
    field->changes++;
}

static void on_mail(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    (void)mailbox_drain(&container_of(watch, struct field, watch)->mailbox);
}

static struct server *server(const struct field *field, uint32_t i)
{
    return registry_find_server(&field->registry, SLICE("p"), slice_from(names[i]))->server;
}

static void apply(struct field *field)
{
    field->pool.version++;
    registry_commit(&field->registry, &field->conf, NULL, NULL);
    control_outlier_apply(field->outlier, &field->conf, &field->registry);
}

static void field_init(struct field *field, uint32_t count)
{
    struct err err;
    memset(field, 0, sizeof(*field));
    counters_init(2);
    field->loop = loop_new(&err);
    ck_assert_ptr_nonnull(field->loop);
    ck_assert(mailbox_init(&field->mailbox, field, &err));
    ck_assert(loop_watch_start(field->loop, &field->watch, mailbox_fd(&field->mailbox), LOOP_READ,
                               on_mail));
    registry_init(&field->registry);
    field->events = events_new(1);
    const struct control_outlier_options options = {.loop = field->loop,
                                                    .mailbox = &field->mailbox,
                                                    .changed = on_changed,
                                                    .arg = field,
                                                    .events = field->events};
    field->outlier = control_outlier_new(&options);
    field->conf = (struct conf){.pools = &field->pool, .pool_count = 1};
    field->pool = (struct conf_pool){.name = SLICE("p"), .servers = field->servers};
    field->pool.server_count = count;
    field->pool.has_outlier = 1;
    field->pool.outlier = (struct conf_pool_outlier){.consecutive_failures = 3,
                                                     .interval_ms = 20,
                                                     .success_rate = 150,
                                                     .latency = 300,
                                                     .min_servers = 3,
                                                     .min_requests = 10,
                                                     .ejection_ms = 60,
                                                     .max_ejection_ms = 60000,
                                                     .max_ejected = 50};
    for (uint32_t i = 0; i < count; i++) {
        field->servers[i] =
            (struct conf_server){.name = slice_from(names[i]), .address = SLICE("127.0.0.1:1")};
    }
    apply(field);
    for (uint32_t i = 0; i < count; i++) {
        (void)server_set_health(server(field, i), SERVER_UP, 1);
    }
}

static void field_fini(struct field *field)
{
    control_outlier_free(field->outlier);
    events_free(field->events);
    registry_fini(&field->registry);
    (void)mailbox_drain(&field->mailbox);
    loop_watch_stop(&field->watch);
    mailbox_fini(&field->mailbox);
    counters_fini();
    loop_free(field->loop);
}

static bool is_out(const struct field *field, uint32_t i)
{
    struct control_outlier_facts facts;
    return control_outlier_facts(field->outlier, SLICE("p"), slice_from(names[i]), &facts);
}

static void run_until_out(struct field *field, uint32_t i, bool out)
{
    for (uint32_t n = 0; n < PASS_LIMIT && is_out(field, i) != out; n++) {
        loop_run_once(field->loop, 5);
    }
    ck_assert_int_eq(is_out(field, i), out);
}

static void fail_times(struct field *field, uint32_t i, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        server_note_answer(server(field, i), true, field->pool.outlier.consecutive_failures);
    }
}

/* So many answers on worker 1, of which some are 500, each after so long. */
static void answer(struct field *field, uint32_t i, uint32_t count, uint32_t bad, uint32_t us)
{
    struct counters_server *counters = counters_of_server(counters_worker(1), server(field, i)->id);
    counter_add(&counters->requests, count);
    counter_add(&counters->responses[1], count - bad);
    counter_add(&counters->responses[4], bad);
    counter_add(&counters->response_us, (uint64_t)count * us);
}

START_TEST(failures_in_a_row_take_a_server_out_for_a_while)
{
    struct field field;
    struct control_outlier_facts facts;
    field_init(&field, 3);
    fail_times(&field, 0, 2);
    server_note_answer(server(&field, 0), false, 3); /* forgets them */
    fail_times(&field, 0, 2);
    for (int n = 0; n < 5; n++) {
        loop_run_once(field.loop, 2);
    }
    ck_assert(!is_out(&field, 0));
    fail_times(&field, 0, 1);
    run_until_out(&field, 0, true);
    ck_assert(!server_is_usable(server(&field, 0)));
    ck_assert(server_is_ready(server(&field, 0))); /* fail_open may ask it */
    ck_assert_int_eq(server(&field, 0)->health, SERVER_UP);
    ck_assert(control_outlier_facts(field.outlier, SLICE("p"), SLICE("a"), &facts));
    ck_assert_str_eq(facts.reason, "consecutive_failures");
    ck_assert_str_eq(facts.text, "3 failures in a row");
    ck_assert_uint_eq(facts.times, 1);
    ck_assert_uint_eq(field.changes, 1);
    run_until_out(&field, 0, false);
    ck_assert(server_is_usable(server(&field, 0)));
    ck_assert_uint_eq(field.changes, 2);
    /* again, at once: it rests longer */
    fail_times(&field, 0, 3);
    run_until_out(&field, 0, true);
    ck_assert(control_outlier_facts(field.outlier, SLICE("p"), SLICE("a"), &facts));
    ck_assert_uint_ge(facts.times, 1);
    ck_assert_uint_le(facts.times, 2);
    uint32_t type = 0;
    while (strcmp(events_type_word(type), "server.outlier") != 0) {
        type++;
    }
    ck_assert_uint_eq(events_posted(field.events, type), 3);
    field_fini(&field);
}
END_TEST

START_TEST(who_does_worse_than_the_others_is_found_by_what_workers_counted)
{
    struct field field;
    struct control_outlier_facts facts;
    field_init(&field, 4);
    field.pool.outlier.ejection_ms = 60000;
    apply(&field);
    for (uint32_t n = 0; n < PASS_LIMIT && !is_out(&field, 2); n++) {
        for (uint32_t i = 0; i < 4; i++) {
            answer(&field, i, 100, i == 2 ? 60 : 1, 2000);
        }
        loop_run_once(field.loop, 5);
    }
    ck_assert(control_outlier_facts(field.outlier, SLICE("p"), SLICE("c"), &facts));
    ck_assert_str_eq(facts.reason, "success_rate");
    ck_assert_ptr_nonnull(strstr(facts.text, "40.0 % of its answers are good"));
    for (uint32_t n = 0; n < PASS_LIMIT && !is_out(&field, 1); n++) {
        answer(&field, 0, 100, 0, 2000);
        answer(&field, 1, 100, 0, 20000);
        answer(&field, 3, 100, 0, 3000);
        loop_run_once(field.loop, 5);
    }
    ck_assert(control_outlier_facts(field.outlier, SLICE("p"), SLICE("b"), &facts));
    ck_assert_str_eq(facts.reason, "latency");
    ck_assert_ptr_nonnull(strstr(facts.text, "answers after 20.0 ms, the median"));
    ck_assert(!is_out(&field, 0) && !is_out(&field, 3));
    /* half of them are out: the next one stays */
    fail_times(&field, 0, 3);
    for (int n = 0; n < 20; n++) {
        loop_run_once(field.loop, 2);
    }
    ck_assert(!is_out(&field, 0));
    struct counters_pool sum;
    counters_read(COUNTERS_POOL, registry_find_pool(&field.registry, SLICE("p"))->counters->id,
                  &sum);
    ck_assert_uint_eq(sum.outliers_kept, 1);
    ck_assert_uint_eq(sum.outliers[1], 1);
    ck_assert_uint_eq(sum.outliers[2], 1);
    field_fini(&field);
}
END_TEST

START_TEST(the_last_usable_server_stays)
{
    struct field field;
    field_init(&field, 2);
    field.pool.outlier.max_ejected = 100;
    field.pool.outlier.ejection_ms = 60000;
    apply(&field);
    fail_times(&field, 0, 3);
    run_until_out(&field, 0, true);
    for (int n = 0; n < 5; n++) {
        fail_times(&field, 1, 3);
        loop_run_once(field.loop, 2);
    }
    ck_assert(!is_out(&field, 1));
    ck_assert(server_is_usable(server(&field, 1)));
    field_fini(&field);
}
END_TEST

START_TEST(in_shadow_nothing_happens_but_is_told)
{
    struct field field;
    struct control_outlier_facts facts;
    field_init(&field, 3);
    field.pool.outlier.mode = CONF_OUTLIER_SHADOW;
    apply(&field);
    fail_times(&field, 1, 3);
    run_until_out(&field, 1, true);
    ck_assert(control_outlier_facts(field.outlier, SLICE("p"), SLICE("b"), &facts));
    ck_assert(facts.is_shadow);
    ck_assert(server_is_usable(server(&field, 1)));
    ck_assert_uint_eq(field.changes, 0);
    struct counters_pool sum;
    counters_read(COUNTERS_POOL, registry_find_pool(&field.registry, SLICE("p"))->counters->id,
                  &sum);
    ck_assert_uint_eq(sum.outliers_shadow[0], 1);
    ck_assert_uint_eq(sum.outliers[0], 0);
    run_until_out(&field, 1, false);
    field_fini(&field);
}
END_TEST

START_TEST(other_rules_and_none_let_everybody_back)
{
    struct field field;
    field_init(&field, 3);
    field.pool.outlier.ejection_ms = 60000;
    apply(&field);
    fail_times(&field, 0, 3);
    run_until_out(&field, 0, true);
    field.pool.algorithm = CONF_ALGORITHM_RANDOM; /* not of our business */
    apply(&field);
    ck_assert(is_out(&field, 0));
    field.pool.outlier.latency = 0;
    apply(&field);
    ck_assert(!is_out(&field, 0));
    ck_assert(server_is_usable(server(&field, 0)));
    fail_times(&field, 0, 3);
    run_until_out(&field, 0, true);
    struct server *gone = server_ref(server(&field, 0));
    field.pool.servers = &field.servers[1];
    field.pool.server_count = 2;
    apply(&field);
    ck_assert(!gone->is_ejected);
    server_unref(gone);
    fail_times(&field, 1, 3);
    run_until_out(&field, 1, true);
    field.pool.has_outlier = 0;
    apply(&field);
    ck_assert(server_is_usable(server(&field, 1)));
    field_fini(&field);
}
END_TEST

static void *fail_on_a_worker(void *arg)
{
    struct server *server = arg;
    for (uint32_t n = 0; n < 1000; n++) {
        server_note_answer(server, n % 3 != 0, 3);
    }
    return NULL;
}

START_TEST(failures_come_from_many_threads)
{
    struct field field;
    field_init(&field, 3);
    pthread_t threads[3];
    for (size_t t = 0; t < 3; t++) {
        ck_assert_int_eq(pthread_create(&threads[t], NULL, fail_on_a_worker, server(&field, 0)), 0);
    }
    for (int n = 0; n < 50; n++) {
        loop_run_once(field.loop, 1);
    }
    for (size_t t = 0; t < 3; t++) {
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
    }
    fail_times(&field, 0, 3);
    run_until_out(&field, 0, true);
    run_until_out(&field, 0, false);
    field_fini(&field);
}
END_TEST

UNIT_TESTS("control_outlier", failures_in_a_row_take_a_server_out_for_a_while,
           who_does_worse_than_the_others_is_found_by_what_workers_counted,
           the_last_usable_server_stays, in_shadow_nothing_happens_but_is_told,
           other_rules_and_none_let_everybody_back, failures_come_from_many_threads)
