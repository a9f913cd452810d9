#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/control.h"
#include "lbd/control/overrides.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"protocol\":\"http\","
    "\"default_pool\":\"p\"}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},"
    "\"b\":{\"address\":\"127.0.0.1:2\",\"admin_state\":\"drain\"}}}}";

static struct server *server(const struct live_control *live, const char *name)
{
    struct registry_server *found =
        registry_find_server(control_registry(live->control), SLICE("p"), slice_from(name));
    ck_assert_ptr_nonnull(found);
    return found->server;
}

START_TEST(it_starts_with_the_seed_and_saves_it)
{
    struct live_control live;
    live_control_start(&live, web, "");
    const struct control_facts *facts = control_facts(live.control);
    const char *why = NULL;
    ck_assert_uint_eq(facts->revision, 1);
    ck_assert_uint_eq(facts->adopted_revision, 1);
    ck_assert_uint_eq(facts->snapshots, 1);
    ck_assert(control_is_alive(live.control));
    ck_assert_msg(control_is_ready(live.control, &why), "%s", why);
    ck_assert(server_is_usable(server(&live, "a")));
    ck_assert(!server_is_usable(server(&live, "b")));
    for (uint32_t i = 0; i < facts->workers; i++) {
        ck_assert_uint_eq(control_worker(live.control, i).revision, 1);
    }

    /* from now on the saved document counts, and the difference is told */
    live_control_end(&live);
    live_control_write(&live, "\"pools\":{\"q\":{}}", "");
    ck_assert(live_control_restart(&live));
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/p")));
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/q")));
    ck_assert(control_facts(live.control)->is_seed_different);
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);
    live_control_stop(&live);
}
END_TEST

START_TEST(in_file_mode_the_file_counts_and_the_number_goes_on)
{
    struct live_control live;
    live_control_start(&live, web, "\"config_source\":\"file\"");
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);
    live_control_end(&live);
    live_control_write(&live, "\"pools\":{\"q\":{}}", "\"config_source\":\"file\"");
    ck_assert(live_control_restart(&live));
    ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/q")));
    ck_assert_uint_eq(control_facts(live.control)->revision, 2);
    live_control_stop(&live);
}
END_TEST

static void damage(const struct live_control *live, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/state/%s", live->directory, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs("{ half", file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(damaged_state_is_never_an_empty_configuration)
{
    struct live_control live;
    live_control_start(&live, web, "");
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}");
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":3}");
    live_control_end(&live);

    damage(&live, "config.json"); /* an older revision is whole */
    if (live_control_restart(&live)) {
        ck_assert(control_facts(live.control)->is_degraded);
        ck_assert(conf_document_has(control_document(live.control), SLICE("/pools/p")));
        ck_assert_uint_gt(control_facts(live.control)->revision, 3);
        live_control_end(&live);
    } else {
        ck_assert_int_eq(live.answer.err.kind, ERR_INVALID);
    }
    live_control_stop(&live);
}
END_TEST

START_TEST(damaged_overrides_are_told_and_do_not_stop_the_start)
{
    struct live_control live;
    live_control_start(&live, web, "");
    live_control_end(&live);
    damage(&live, "overrides.json");
    ck_assert(live_control_restart(&live));
    ck_assert(control_facts(live.control)->is_degraded);
    live_control_stop(&live);
}
END_TEST

START_TEST(one_state_directory_has_one_daemon)
{
    struct live_control live;
    struct err err = {0};
    live_control_start(&live, web, "");
    const struct control_options options = {
        .loop = live.loop, .daemon = live.daemon, .file = live.file};
    ck_assert_ptr_null(control_new(&options, &err));
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    live_control_stop(&live);
}
END_TEST

START_TEST(an_override_is_saved_and_found_again)
{
    struct live_control live;
    live_control_start(&live, web, "");
    uint64_t revision = control_facts(live.control)->revision;
    ck_assert(live_control_admin(&live, "a", SERVER_MAINT));
    ck_assert(!server_is_usable(server(&live, "a")));
    ck_assert_uint_eq(control_facts(live.control)->revision, revision);
    ck_assert_uint_eq(control_override_count(live.control), 1);

    live_control_end(&live);
    ck_assert(live_control_restart(&live));
    ck_assert_int_eq(server(&live, "a")->admin, SERVER_MAINT);
    const struct override *found = control_override(live.control, SLICE("p"), SLICE("a"));
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found->reason, "kernel");
    ck_assert_str_eq(found->who, "me");

    const struct control_wish clear = {
        .kind = OVERRIDE_ADMIN, .pool = SLICE("p"), .name = SLICE("a"), .is_clear = true};
    ck_assert(live_control_wish(&live, &clear).is_changed);
    ck_assert(!live_control_wish(&live, &clear).is_changed);
    ck_assert(server_is_usable(server(&live, "a")));
    ck_assert_uint_eq(control_override_count(live.control), 0);
    live_control_stop(&live);
}
END_TEST

START_TEST(the_configured_state_needs_no_override)
{
    struct live_control live;
    live_control_start(&live, web, "");
    ck_assert(live_control_admin(&live, "b", SERVER_READY));
    ck_assert(server_is_usable(server(&live, "b")));
    ck_assert_uint_eq(control_override_count(live.control), 1);
    ck_assert(live_control_admin(&live, "b", SERVER_DRAIN));
    ck_assert_uint_eq(control_override_count(live.control), 0);
    const struct control_wish wish = {
        .kind = OVERRIDE_ADMIN, .pool = SLICE("p"), .name = SLICE("no"), .state = SERVER_DRAIN};
    ck_assert_int_eq(live_control_wish(&live, &wish).err.kind, ERR_NOT_FOUND);
    live_control_stop(&live);
}
END_TEST

START_TEST(an_edit_of_the_field_beats_the_override)
{
    struct live_control live;
    live_control_start(&live, web, "");
    ck_assert(live_control_admin(&live, "a", SERVER_MAINT));
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a", "{\"weight\":7}");
    ck_assert_int_eq(server(&live, "a")->admin, SERVER_MAINT); /* another field does not */
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p/servers/a",
                              "{\"admin_state\":\"drain\"}");
    ck_assert_int_eq(server(&live, "a")->admin, SERVER_DRAIN);
    ck_assert_uint_eq(control_override_count(live.control), 0);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_change_of_state_is_published_without_a_revision)
{
    struct live_control live;
    live_control_start(&live, web, "");
    uint64_t generation = control_facts(live.control)->generation;
    ck_assert(live_control_admin(&live, "a", SERVER_DRAIN));
    control_republish(live.control);
    control_republish(live.control); /* the same pass: one generation */
    for (int i = 0; i < 4000 && control_facts(live.control)->adopted_generation == generation;
         i++) {
        live_control_turn(&live);
    }
    ck_assert_uint_eq(control_facts(live.control)->adopted_generation, generation + 1);
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);

    control_republish(live.control); /* nothing is different: nothing is published */
    live_control_turn(&live);
    ck_assert_uint_eq(control_facts(live.control)->generation, generation + 1);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_drain_without_clients_is_over_at_once)
{
    struct live_control live;
    const char *why = NULL;
    live_control_start(&live, web, "");
    control_drain(live.control, 5000);
    live_control_until(&live, &live.is_drained);
    ck_assert(!control_is_ready(live.control, &why));
    ck_assert_str_eq(why, "draining");
    /* nobody listens any more */
    const struct registry_listener *listener =
        registry_find_listener(control_registry(live.control), SLICE("web"));
    ck_assert_uint_eq(listener->listener->bind_count, 0);
    live_control_stop(&live);
}
END_TEST

START_TEST(an_etag_is_of_the_content)
{
    struct live_control live;
    char before[CONTROL_ETAG_MAX];
    char after[CONTROL_ETAG_MAX];
    live_control_start(&live, web, "");
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/p"), before));
    ck_assert_uint_eq(strlen(before), 16);
    (void)live_control_change(&live, CONF_EDIT_PUT, "/pools/q", "{}");
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/p"), after));
    ck_assert_str_eq(before, after);
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":2}");
    ck_assert(control_etag(control_document(live.control), SLICE("/pools/p"), after));
    ck_assert_str_ne(before, after);
    ck_assert(!control_etag(control_document(live.control), SLICE("/pools/no"), after));
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control", it_starts_with_the_seed_and_saves_it,
           in_file_mode_the_file_counts_and_the_number_goes_on,
           damaged_state_is_never_an_empty_configuration,
           damaged_overrides_are_told_and_do_not_stop_the_start, one_state_directory_has_one_daemon,
           an_override_is_saved_and_found_again, the_configured_state_needs_no_override,
           an_edit_of_the_field_beats_the_override,
           a_change_of_state_is_published_without_a_revision,
           a_drain_without_clients_is_over_at_once, an_etag_is_of_the_content)
