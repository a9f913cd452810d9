#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/snapshot/snapshot_build.h"
#include "lbd/snapshot/snapshot_pool_tls.h"
#include "lbd/snapshot/snapshot_retire.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct registry registry;
static struct tls_files files;
static char text[2048];

/* A pool with this `tls` and these other members. */
static struct conf_document *document(const char *tls, const char *more)
{
    struct conf_errors errors;
    (void)snprintf(text, sizeof(text),
                   "{\"pools\":{\"web\":{%s%s\"servers\":{\"a\":{\"address\":\"origin.test:443\"},"
                   "\"b\":{\"address\":\"unix:/run/b.sock\"}}}},"
                   "\"ca_sets\":{\"ours\":{\"file\":\"%s\"},\"theirs\":{\"file\":\"%s\"}},"
                   "\"certificates\":{\"lbd\":{\"chain_file\":\"%s\",\"key_file\":\"%s\"}}}",
                   tls, more, files.ca, files.other_ca, files.client_chain, files.client_key);
    conf_errors_init(&errors);
    struct conf_document *made = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(made != NULL, "%.*s", SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return made;
}

static struct snapshot *build(const char *tls, const char *more, const struct snapshot *newest)
{
    struct err err = {0};
    struct conf_document *made = document(tls, more);
    const struct snapshot_build input = {.document = made,
                                         .registry = &registry,
                                         .newest = newest,
                                         .revision = 1,
                                         .generation = 1,
                                         .workers = 1};
    struct snapshot *snapshot = snapshot_build(&input, &err);
    ck_assert_msg(snapshot != NULL, "%s", err.text);
    conf_document_unref(made);
    return snapshot;
}

static void begin(void)
{
    tls_files_begin(&files);
    counters_init(1);
    registry_init(&registry);
}

static void end(void)
{
    registry_fini(&registry);
    counters_fini();
    tls_files_end(&files);
}

#define OURS "\"tls\":{\"ca\":\"ours\"},"

START_TEST(a_pool_says_how_its_servers_are_reached)
{
    begin();
    struct snapshot *clear = build("", "", NULL);
    const struct pool *pool = clear->pools[0];
    ck_assert_ptr_null(pool->tls);
    ck_assert_ptr_null(pool->members[0].tls_name);
    ck_assert_ptr_null(pool->members[0].server->tls_reuse);

    struct snapshot *secure = build(OURS, "\"send_proxy\":\"v2\",\"http_version\":\"auto\",", NULL);
    pool = secure->pools[0];
    ck_assert_ptr_nonnull(pool->tls);
    ck_assert_str_eq(pool->members[0].tls_name, "origin.test");
    ck_assert_str_eq(pool->members[1].tls_name, "localhost"); /* a path is no name */
    ck_assert_ptr_nonnull(pool->members[0].server->tls_reuse);
    ck_assert_int_eq(pool->http, POOL_HTTP_BY_ALPN);
    ck_assert_int_eq(pool->send_proxy, PROXY_HEADER_V2);
    ck_assert_uint_ne(pool->members[0].way, clear->pools[0]->members[0].way);

    struct snapshot *named =
        build("\"tls\":{\"ca\":\"ours\",\"server_name\":\"shop.test\"},", "", NULL);
    ck_assert_str_eq(named->pools[0]->members[0].tls_name, "shop.test");
    ck_assert_str_eq(named->pools[0]->members[1].tls_name, "shop.test");
    ck_assert_uint_ne(named->pools[0]->members[0].way, pool->members[0].way);
    snapshot_free(clear);
    snapshot_free(secure);
    snapshot_free(named);
    end();
}
END_TEST

static const struct {
    const char *tls;
    const char *more;
    bool shares; /* the tls_client of "ours" */
    bool same;   /* and connections are used again */
} others[] = {
    {OURS, "", true, true},
    {OURS, "\"retries\":3,", true, true},
    {OURS, "\"timeouts\":{\"connect\":\"5s\"},", true, true},
    {OURS, "\"send_proxy\":\"v1\",", true, false},
    {OURS, "\"http_version\":\"auto\",", false, false},
    {"\"tls\":{\"ca\":\"ours\",\"server_name\":\"shop.test\"},", "", true, false},
    {"\"tls\":{\"ca\":\"theirs\"},", "", false, false},
    {"\"tls\":{\"ca\":\"ours\",\"verify\":\"chain\"},", "", false, false},
    {"\"tls\":{\"ca\":\"ours\",\"certificate\":\"lbd\"},", "", false, false},
    {"\"tls\":{\"ca\":\"ours\",\"min_version\":\"1.3\"},", "", false, false},
    {"\"tls\":{\"ca\":\"ours\",\"pin_sha256\":"
     "[\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]},",
     "", false, false},
    {"\"tls\":{},", "", false, false},
    {"", "", false, false},
};

START_TEST(what_does_not_matter_keeps_connections)
{
    begin();
    struct snapshot *before = build(OURS, "", NULL);
    struct snapshot *after = build(others[_i].tls, others[_i].more, before);
    const struct pool *old = before->pools[0];
    const struct pool *now = after->pools[0];
    ck_assert_msg((old->tls == now->tls) == others[_i].shares, "row %d", _i);
    ck_assert_msg((old->members[0].way == now->members[0].way) == others[_i].same, "row %d", _i);
    snapshot_free(before);
    snapshot_free(after);
    end();
}
END_TEST

START_TEST(checks_speak_as_the_snapshot_that_counts)
{
    begin();
    struct snapshot *secure = build(OURS, "", NULL);
    struct snapshot *clear = build("", "", secure);
    const struct registry_pool *live = registry_find_pool(&registry, SLICE("web"));
    ck_assert_ptr_null(live->tls);
    snapshot_pool_tls_commit(secure, &registry);
    ck_assert_ptr_eq(live->tls, secure->pools[0]->tls);
    snapshot_pool_tls_commit(clear, &registry);
    ck_assert_ptr_null(live->tls);
    snapshot_free(secure);
    snapshot_free(clear);
    end();
}
END_TEST

START_TEST(the_systems_authorities_are_read_once)
{
    begin();
    struct snapshot *first = build("\"tls\":{},", "", NULL);
    const struct tls_ca *system = registry.system_ca;
    ck_assert_ptr_nonnull(system);
    struct snapshot *second = build("\"tls\":{\"server_name\":\"a.test\"},", "", NULL);
    ck_assert_ptr_eq(registry.system_ca, system);
    snapshot_free(first);
    snapshot_free(second);
    end();
}
END_TEST

START_TEST(what_cannot_be_read_says_where)
{
    struct err err = {0};
    begin();
    struct conf_document *made = document(OURS, "");
    tls_files_write(files.ca, "no certificate", 0644);
    const struct snapshot_build input = {
        .document = made, .registry = &registry, .revision = 1, .generation = 1, .workers = 1};
    ck_assert_ptr_null(snapshot_build(&input, &err));
    ck_assert_str_eq(err.place, "/pools/web/tls/ca");
    conf_document_unref(made);
    end();
}
END_TEST

static void add_others(TCase *tcase)
{
    tcase_add_loop_test(tcase, what_does_not_matter_keeps_connections, 0, ARRAY_LEN(others));
}

static void add_rest(TCase *tcase)
{
    tcase_add_test(tcase, a_pool_says_how_its_servers_are_reached);
    tcase_add_test(tcase, checks_speak_as_the_snapshot_that_counts);
    tcase_add_test(tcase, the_systems_authorities_are_read_once);
    tcase_add_test(tcase, what_cannot_be_read_says_where);
}

UNIT_MAIN("snapshot_pool_tls", add_others, add_rest)
