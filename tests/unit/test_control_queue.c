#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/control.h"
#include "lbd/control/events.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}}}";

enum { WRITERS = 6 };

/* What one of several writers was told. */
struct told {
    bool is_done;
    enum err_kind kind;
    char problem[40];
    bool is_changed;
    uint64_t revision;
};

static struct live_control live;
static struct told told[40];

static void on_done(const struct control_result *result, void *arg)
{
    struct told *to = arg;
    ck_assert(!to->is_done);
    to->is_done = true;
    to->kind = result->err.kind;
    to->is_changed = result->is_changed;
    to->revision = result->revision;
    (void)snprintf(to->problem, sizeof(to->problem), "%s",
                   result->problem != NULL ? result->problem : "");
}

static char pointers[40][32];
static char bodies[40][96];

static void put(int writer, const char *pointer, const char *body, const char *if_match)
{
    told[writer] = (struct told){0};
    (void)snprintf(pointers[writer], sizeof(pointers[writer]), "%s", pointer);
    (void)snprintf(bodies[writer], sizeof(bodies[writer]), "%s", body);
    const struct control_change change = {
        .edit = CONF_EDIT_PUT,
        .pointer = slice_from(pointers[writer]),
        .body = slice_from(bodies[writer]),
        .if_match = slice_from(if_match),
        .who = SLICE("test"),
    };
    control_apply(live.control, &change, on_done, &told[writer]);
}

static void wait_for(int writer)
{
    live_control_until(&live, &told[writer].is_done);
}

static uint64_t saves(void)
{
    const struct histogram_duration *durations = &control_facts(live.control)->persist_duration;
    return histogram_count(durations->buckets, ARRAY_LEN(durations->buckets));
}

START_TEST(what_waits_is_saved_together)
{
    live_control_start(&live, web, "");
    uint64_t before = saves();
    for (int i = 0; i < WRITERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "/pools/w%d", i);
        put(i, name, "{}", "");
    }
    for (int i = 0; i < WRITERS; i++) {
        ck_assert(!told[i].is_done); /* none is answered before it is saved */
    }
    for (int i = 0; i < WRITERS; i++) {
        wait_for(i);
        ck_assert_int_eq(told[i].kind, ERR_NONE);
        ck_assert(told[i].is_changed);
        ck_assert_uint_eq(told[i].revision, (uint64_t)i + 2); /* in order, one each */
    }
    ck_assert_uint_eq(saves(), before + 2); /* the first, and all others */
    uint32_t count = 0;
    const struct conf_revision *revisions = control_revisions(live.control, &count);
    ck_assert_uint_eq(count, WRITERS + 1);
    ck_assert_str_eq(revisions[0].summary, "pools/w5: added");
    ck_assert_str_eq(revisions[2].summary, "pools/w3: added");
    live_control_stop(&live);
}
END_TEST

START_TEST(a_no_is_said_about_what_is_saved)
{
    char tag[CONTROL_ETAG_MAX];
    char header[CONTROL_ETAG_MAX + 2];
    live_control_start(&live, web, "");
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/p"), tag));
    (void)snprintf(header, sizeof(header), "\"%s\"", tag);
    put(0, "/pools/x", "{}", "");
    put(1, "/pools/p", "{\"retries\":2}", header);
    put(2, "/pools/p", "{\"retries\":3}", header); /* loses against 1 */
    put(3, "/pools/x", "{}", "");                  /* nothing to do after 0 */
    put(4, "/pools/y", "{\"retries\":-1}", "");
    put(5, "/pools/z", "{}", "");
    for (int i = 0; i < WRITERS; i++) {
        wait_for(i);
    }
    ck_assert_int_eq(told[1].kind, ERR_NONE);
    ck_assert_str_eq(told[2].problem, "precondition-failed");
    ck_assert_int_eq(told[3].kind, ERR_NONE);
    ck_assert(!told[3].is_changed);
    ck_assert_str_eq(told[4].problem, "invalid-config");
    ck_assert_int_eq(told[5].kind, ERR_NONE);
    ck_assert_uint_eq(told[5].revision, 4);
    live_control_stop(&live);
}
END_TEST

START_TEST(one_that_cannot_listen_spoils_nothing)
{
    live_control_start(&live, web, "");
    put(0, "/pools/w0", "{}", "");
    put(1, "/pools/w1", "{}", "");
    put(2, "/listeners/x", "{\"bind\":[\"192.0.2.1:80\"],\"protocol\":\"http\"}", "");
    put(3, "/pools/w3", "{}", "");
    put(4, "/pools/w4", "{}", "");
    for (int i = 0; i < 5; i++) {
        wait_for(i);
        ck_assert_str_eq(told[i].problem, i == 2 ? "cannot-listen" : "");
    }
    ck_assert_uint_eq(control_facts(live.control)->revision, 5);
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/listeners/x")));
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/w4")));
    live_control_stop(&live);
}
END_TEST

/* A folder in the place of the temporary file: the save fails. */
static void in_the_way(bool is_there)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/state/config.json.tmp", live.directory);
    ck_assert_int_eq(is_there ? mkdir(path, 0700) : rmdir(path), 0);
}

START_TEST(a_failed_save_fails_those_it_carried)
{
    live_control_start(&live, web, "");
    struct conf_document *before = control_document(live.control);
    in_the_way(true);
    for (int i = 0; i < 4; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "/pools/w%d", i);
        put(i, name, "{}", "");
    }
    for (int i = 0; i < 4; i++) {
        wait_for(i);
        ck_assert_int_eq(told[i].kind, ERR_STORAGE);
        ck_assert_str_eq(told[i].problem, "storage");
    }
    ck_assert_ptr_eq(control_document(live.control), before);
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);
    ck_assert_uint_eq(control_facts(live.control)->persist_failures, 2);
    in_the_way(false);
    put(0, "/pools/w0", "{}", "");
    wait_for(0);
    ck_assert_int_eq(told[0].kind, ERR_NONE);
    ck_assert_uint_eq(told[0].revision, 2);
    live_control_stop(&live);
}
END_TEST

START_TEST(too_many_are_refused)
{
    live_control_start(&live, web, "");
    for (int i = 0; i < 40; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "/pools/w%d", i);
        put(i, name, "{}", "");
    }
    /* one is being saved, CONTROL_WAITERS_MAX wait */
    for (int i = 0; i < 40; i++) {
        wait_for(i);
        ck_assert_str_eq(told[i].problem, i <= CONTROL_WAITERS_MAX ? "" : "unavailable");
    }
    live_control_stop(&live);
}
END_TEST

START_TEST(the_end_answers_everybody)
{
    live_control_start(&live, web, "");
    for (int i = 0; i < WRITERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "/pools/w%d", i);
        put(i, name, "{}", "");
    }
    live_control_end(&live);
    for (int i = 0; i < WRITERS; i++) {
        ck_assert(told[i].is_done);
        ck_assert_str_eq(told[i].problem, i == 0 ? "" : "unavailable");
    }
    ck_assert(live_control_restart(&live)); /* what was saved is found */
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/w0")));
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/w1")));
    live_control_stop(&live);
}
END_TEST

/* -- on trial -- */

static struct live_answer decide(enum control_change_kind kind, uint64_t revision)
{
    const struct control_change change = {.kind = kind, .revision = revision, .who = SLICE("test")};
    return live_control_apply(&live, &change);
}

static struct live_answer on_trial(const char *pointer, const char *body, uint32_t within_ms)
{
    const struct control_change change = {.edit = CONF_EDIT_PUT,
                                          .pointer = slice_from(pointer),
                                          .body = slice_from(body),
                                          .confirm_within_ms = within_ms,
                                          .who = SLICE("test")};
    return live_control_apply(&live, &change);
}

static uint64_t posted(const char *type)
{
    uint64_t count = 0;
    const struct events *events = control_events(live.control);
    for (size_t i = 0; i < events_type_count(); i++) {
        if (strcmp(events_type_word(i), type) == 0) {
            count += events_posted(events, i);
        }
    }
    return count;
}

START_TEST(nobody_confirms)
{
    live_control_start(&live, web, "");
    struct live_answer answer = on_trial("/pools/x", "{}", 30);
    const struct control_facts *facts = control_facts(live.control);
    ck_assert_uint_eq(answer.revision, 2);
    ck_assert_uint_eq(facts->unconfirmed_revision, 2);
    ck_assert_uint_eq(facts->unconfirmed_base, 1);
    ck_assert_uint_ne(facts->confirm_deadline_wall_us, 0);
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/x")));
    while (facts->applies[CONTROL_ROLLED_BACK] == 0) {
        live_control_turn(&live);
    }
    ck_assert_uint_eq(facts->unconfirmed_revision, 0);
    ck_assert_uint_eq(facts->revision, 3);
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/x")));
    ck_assert_uint_eq(control_revision(live.control, 3)->rolled_back_to, 1);
    ck_assert_uint_eq(facts->applies[CONTROL_ROLLED_BACK], 1);
    ck_assert_uint_eq(posted("config.unconfirmed"), 1);
    ck_assert_uint_eq(posted("config.rolled_back"), 1);
    ck_assert_uint_eq(posted("config.applied"), 2);
    live_control_stop(&live);
}
END_TEST

START_TEST(somebody_confirms)
{
    live_control_start(&live, web, "");
    (void)on_trial("/pools/x", "{}", 60000);
    ck_assert_str_eq(decide(CONTROL_CONFIRM, 1).problem, "not-unconfirmed");
    ck_assert_int_eq(decide(CONTROL_CONFIRM, 2).err.kind, ERR_NONE);
    ck_assert_uint_eq(control_facts(live.control)->unconfirmed_revision, 0);
    ck_assert_uint_eq(control_facts(live.control)->revision, 2);
    ck_assert_uint_eq(posted("config.confirmed"), 1);
    ck_assert_str_eq(decide(CONTROL_CONFIRM, 2).problem, "not-unconfirmed");
    live_control_end(&live);
    ck_assert(live_control_restart(&live));
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/x")));
    live_control_stop(&live);
}
END_TEST

/* Changes, confirmations and rejections that queue up behind each other. */
START_TEST(decisions_wait_for_their_turn)
{
    live_control_start(&live, web, "");
    put(0, "/pools/w0", "{}", "");
    struct control_change change = {.edit = CONF_EDIT_PUT,
                                    .pointer = SLICE("/pools/x"),
                                    .body = SLICE("{}"),
                                    .confirm_within_ms = 60000,
                                    .who = SLICE("test")};
    told[1] = told[3] = told[4] = (struct told){0};
    control_apply(live.control, &change, on_done, &told[1]);
    put(2, "/pools/w2", "{}", ""); /* joins */
    change = (struct control_change){.kind = CONTROL_CONFIRM, .revision = 4, .who = SLICE("test")};
    control_apply(live.control, &change, on_done, &told[3]);
    change.kind = CONTROL_REJECT;
    control_apply(live.control, &change, on_done, &told[4]);
    put(5, "/pools/w5", "{}", "");
    for (int i = 0; i < 6; i++) {
        wait_for(i);
    }
    ck_assert_uint_eq(told[1].revision, 3);
    ck_assert_uint_eq(told[2].revision, 4);
    ck_assert_int_eq(told[3].kind, ERR_NONE);
    ck_assert_str_eq(told[4].problem, "not-unconfirmed");
    ck_assert_uint_eq(told[5].revision, 5);
    ck_assert(control_revision(live.control, 4)->is_confirmed);
    ck_assert(!control_revision(live.control, 3)->is_confirmed);
    ck_assert(control_revision(live.control, 5)->is_confirmed);
    live_control_stop(&live);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, what_waits_is_saved_together);
    tcase_add_test(tcase, a_no_is_said_about_what_is_saved);
    tcase_add_test(tcase, one_that_cannot_listen_spoils_nothing);
    tcase_add_test(tcase, a_failed_save_fails_those_it_carried);
    tcase_add_test(tcase, too_many_are_refused);
    tcase_add_test(tcase, the_end_answers_everybody);
    tcase_add_test(tcase, nobody_confirms);
    tcase_add_test(tcase, somebody_confirms);
    tcase_add_test(tcase, decisions_wait_for_their_turn);
}

UNIT_MAIN("control_queue", add_all)
