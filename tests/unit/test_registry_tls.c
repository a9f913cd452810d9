#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/snapshot/registry_tls.h"
#include "lbd/tls/tls_file.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;
static struct registry_tls tls;
static struct err err;
static uint32_t changes;
static uint32_t failures;

static void on_changed(struct registry_material *material, void *arg)
{
    (void)material;
    (void)arg;
    changes++;
}

static void on_failed(struct registry_material *material, void *arg)
{
    (void)arg;
    ck_assert_uint_gt(strlen(material->failure), 0);
    failures++;
}

static void setup(void)
{
    tls_files_begin(&files);
    registry_tls_init(&tls);
    tls.changed = on_changed;
    changes = 0;
    failures = 0;
}

static void teardown(void)
{
    registry_tls_fini(&tls);
    tls_files_end(&files);
}

static void look(void)
{
    size_t cursor = 0;
    const struct registry_tls_look what = {.changed = on_changed, .failed = on_failed};
    registry_tls_look(&tls, &cursor, 100, &what);
}

/* "shop" from the files of the test. */
static struct conf_certificate shop(uint64_t version)
{
    return (struct conf_certificate){.name = SLICE("shop"),
                                     .version = version,
                                     .chain_file = slice_from(files.chain),
                                     .key_file = slice_from(files.key)};
}

static struct tls_cert *must_have(const struct conf_certificate *conf)
{
    struct tls_cert *cert = registry_certificate_of(&tls, conf, &err);
    ck_assert_msg(cert != NULL, "%s: %s", err.place, err.text);
    return cert;
}

static void commit(struct conf_certificate *conf)
{
    const struct conf document = {.certificates = conf, .certificate_count = conf != NULL ? 1 : 0};
    registry_tls_commit(&tls, &document);
}

START_TEST(a_proposal_is_seen_by_nobody)
{
    struct conf_certificate conf = shop(1);
    struct tls_cert *cert = must_have(&conf);
    ck_assert_ptr_eq(must_have(&conf), cert);
    ck_assert_ptr_null(registry_find_certificate(&tls, conf.name));
    registry_tls_sweep(&tls);
    ck_assert_uint_eq(tls.certificates.count, 0);

    cert = must_have(&conf);
    commit(&conf);
    ck_assert_ptr_eq(registry_find_certificate(&tls, conf.name)->material.object, cert);
    ck_assert_ptr_eq(must_have(&conf), cert);
    ck_assert_uint_eq(changes, 1);
    ck_assert_uint_eq(tls.epoch, 0);
    commit(NULL);
    ck_assert_ptr_null(registry_find_certificate(&tls, conf.name));
}
END_TEST

START_TEST(the_same_content_is_the_same_object)
{
    struct conf_certificate conf = shop(1);
    struct tls_cert *cert = must_have(&conf);
    commit(&conf);
    conf.version = 2; /* another note, say */
    ck_assert_ptr_eq(must_have(&conf), cert);
    commit(&conf);
    ck_assert_uint_eq(changes, 1);

    tls_files_renew(&files);
    conf.version = 3;
    ck_assert_ptr_ne(must_have(&conf), cert);
    commit(&conf);
    ck_assert_uint_eq(changes, 2);
}
END_TEST

START_TEST(what_came_as_text_is_what_came_in_a_file)
{
    struct conf_certificate conf = shop(1);
    struct slice chain = SLICE_NONE;
    struct slice key = SLICE_NONE;
    struct tls_cert *cert = must_have(&conf);
    commit(&conf);
    ck_assert(tls_file_read(files.chain, "it", false, 65536, &chain, &err));
    ck_assert(tls_file_read(files.key, "it", true, 65536, &key, &err));
    struct conf_certificate sent = {.name = conf.name, .version = 2, .stored = SLICE("sha256:..")};
    sent.sent_chain = chain;
    sent.sent_key = key;
    ck_assert_ptr_eq(must_have(&sent), cert);
    tls_file_forget(chain);
    tls_file_forget(key);
    commit(&sent);
    look();
    ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(a_file_that_changed_is_read_again)
{
    struct conf_certificate conf = shop(1);
    const struct tls_cert *cert = must_have(&conf);
    commit(&conf);
    look();
    ck_assert_uint_eq(tls.epoch, 0);
    tls_files_renew(&files);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
    ck_assert_uint_eq(changes, 2);
    ck_assert_ptr_ne(must_have(&conf), cert);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
}
END_TEST

START_TEST(a_bad_file_changes_nothing_and_is_told_once)
{
    struct conf_certificate conf = shop(1);
    const struct tls_cert *cert = must_have(&conf);
    commit(&conf);
    const struct registry_material *material =
        &registry_find_certificate(&tls, conf.name)->material;
    ck_assert_int_eq(unlink(files.key), 0);
    look();
    ck_assert_uint_eq(failures, 0); /* it may be on its way */
    look();
    look();
    ck_assert_uint_eq(failures, 1);
    ck_assert_ptr_eq(must_have(&conf), cert);
    ck_assert_uint_eq(tls.epoch, 0);
    ck_assert_uint_gt(strlen(material->failure), 0);
    tls_files_renew(&files);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
    ck_assert_uint_eq(strlen(material->failure), 0);
}
END_TEST

START_TEST(says_what_is_wrong_and_where)
{
    struct conf_certificate conf = shop(1);
    conf.key_file = SLICE("/nowhere/key.pem");
    ck_assert_ptr_null(registry_certificate_of(&tls, &conf, &err));
    ck_assert_str_eq(err.place, "key_file");
    const struct conf_certificate stored = {
        .name = SLICE("x"),
        .version = 1,
        .stored = SLICE("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
    ck_assert_ptr_null(registry_certificate_of(&tls, &stored, &err));
    ck_assert_str_eq(err.place, "stored");
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    const struct conf_ca_set set = {.name = SLICE("x"), .version = 1, .pem = SLICE("nothing")};
    ck_assert_ptr_null(registry_ca_set_of(&tls, &set, &err));
    ck_assert_str_eq(err.place, "pem");
    ck_assert_ptr_null(registry_tickets_of(&tls, SLICE("/nowhere"), &err));
    ck_assert_str_eq(err.place, "ticket_keys_file");
    ck_assert_uint_eq(tls.certificates.count + tls.ca_sets.count + tls.tickets.count, 0);
}
END_TEST

START_TEST(ticket_keys_are_one_for_the_process)
{
    const struct conf none = {0};
    const struct tls_tickets *keys = registry_tickets_of(&tls, SLICE_NONE, &err);
    ck_assert_ptr_nonnull(keys);
    registry_tls_commit(&tls, &none);
    ck_assert_ptr_eq(registry_tickets_of(&tls, SLICE_NONE, &err), keys);
    registry_tls_commit(&tls, &none);
    ck_assert_ptr_eq(registry_tickets_of(&tls, SLICE_NONE, &err), keys);
}
END_TEST

START_TEST(ticket_keys_of_a_file_follow_it)
{
    char path[TLS_FILES_PATH_MAX];
    struct slice file;
    struct conf_listener listener = {.name = SLICE("web"), .has_tls = 1};
    const struct conf conf = {.listeners = &listener, .listener_count = 1};
    (void)snprintf(path, sizeof(path), "%s/secret", files.folder);
    tls_files_write(path, "0123456789012345678901234567890123456789", 0600);
    file = slice_from(path);
    listener.tls.session_tickets = 1;
    listener.tls.ticket_keys_file = file;
    const struct tls_tickets *keys = registry_tickets_of(&tls, file, &err);
    ck_assert_msg(keys != NULL, "%s", err.text);
    registry_tls_commit(&tls, &conf);
    ck_assert_ptr_eq(registry_tickets_of(&tls, file, &err), keys);

    tls_files_write(path, "short", 0600);
    look();
    look();
    ck_assert_uint_eq(failures, 1);
    ck_assert_ptr_eq(registry_tickets_of(&tls, file, &err), keys);
    tls_files_write(path, "another one, just as long: 9876543210987654", 0600);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
    ck_assert_ptr_ne(registry_tickets_of(&tls, file, &err), keys);
    listener.tls.session_tickets = 0;
    registry_tls_commit(&tls, &conf);
    ck_assert_uint_eq(tls.tickets.count, 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_password_follows_its_file)
{
    char path[TLS_FILES_PATH_MAX];
    struct conf_pool pool = {.name = SLICE("boxes"), .has_mail = 1};
    const struct conf conf = {.pools = &pool, .pool_count = 1};
    (void)snprintf(path, sizeof(path), "%s/password", files.folder);
    tls_files_write(path, "one\n", 0600);
    struct slice file = pool.mail.master_password_file = slice_from(path);
    const struct tls_secret *secret = registry_secret_of(&tls, file, 1, &err);
    ck_assert_msg(secret != NULL, "%s", err.text);
    registry_tls_commit(&tls, &conf);
    ck_assert_ptr_eq(registry_secret_of(&tls, file, 1, &err), secret);

    tls_files_write(path, "", 0600); /* for a moment */
    look();
    look();
    ck_assert_uint_eq(failures, 1);
    ck_assert_uint_eq(tls.epoch, 0);
    ck_assert_ptr_eq(registry_secret_of(&tls, file, 1, &err), secret);
    tls_files_write(path, "two\n", 0600);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
    ck_assert(slice_eq(tls_secret_text(registry_secret_of(&tls, file, 1, &err)), SLICE("two")));
    pool.has_mail = 0;
    registry_tls_commit(&tls, &conf);
    ck_assert_uint_eq(tls.secrets.count, 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Whoever wants the most of a file decides what is too short. */
START_TEST(a_key_that_became_short_is_not_used)
{
    char path[TLS_FILES_PATH_MAX];
    struct conf_pool pool = {.name = SLICE("web"), .has_sticky = 1};
    const struct conf conf = {.pools = &pool, .pool_count = 1};
    (void)snprintf(path, sizeof(path), "%s/key", files.folder);
    tls_files_write(path, "sixteen bytes at least\n", 0600);
    struct slice file = pool.sticky.set.key_file = slice_from(path);
    const struct tls_secret *secret = registry_secret_of(&tls, file, 1, &err);
    ck_assert_ptr_nonnull(secret);
    ck_assert_ptr_eq(registry_secret_of(&tls, file, 16, &err), secret);
    ck_assert_ptr_null(registry_secret_of(&tls, file, 100, &err));
    registry_tls_commit(&tls, &conf);

    tls_files_write(path, "short\n", 0600);
    look();
    look();
    ck_assert_uint_eq(failures, 1);
    ck_assert_ptr_eq(registry_secret_of(&tls, file, 16, &err), secret);
    pool.has_sticky = 0;
    registry_tls_commit(&tls, &conf);
    ck_assert_uint_eq(tls.secrets.count, 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_body_follows_its_file)
{
    char path[TLS_FILES_PATH_MAX];
    struct conf_route route = {.name = SLICE("front"), .action = CONF_ACTION_RESPOND};
    const struct conf conf = {.routes = &route, .route_count = 1};
    (void)snprintf(path, sizeof(path), "%s/page.html", files.folder);
    struct slice file = route.respond_file = slice_from(path);
    ck_assert_ptr_null(registry_body_of(&tls, file, &err));
    tls_files_write(path, "one", 0644);
    struct body_file *body = registry_body_of(&tls, file, &err);
    ck_assert_msg(body != NULL, "%s", err.text);
    registry_tls_commit(&tls, &conf);
    ck_assert_ptr_eq(registry_body_of(&tls, file, &err), body);

    ck_assert_int_eq(unlink(path), 0);
    for (int i = 0; i < 5; i++) {
        look();
    }
    ck_assert_uint_eq(failures, 1); /* told once */
    ck_assert_uint_eq(tls.epoch, 0);
    ck_assert_ptr_eq(registry_body_of(&tls, file, &err), body);
    (void)body_file_ref(body); /* as a snapshot does */
    tls_files_write(path, "other", 0644);
    look();
    ck_assert_uint_eq(tls.epoch, 1);
    ck_assert(slice_eq(body_file_text(registry_body_of(&tls, file, &err)), SLICE("other")));
    ck_assert(slice_eq(body_file_text(body), SLICE("one")));
    body_file_unref(body);
    route.action = CONF_ACTION_POOL;
    registry_tls_commit(&tls, &conf);
    ck_assert_uint_eq(tls.bodies.count, 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_proposal_is_seen_by_nobody);
    tcase_add_test(tcase, the_same_content_is_the_same_object);
    tcase_add_test(tcase, what_came_as_text_is_what_came_in_a_file);
    tcase_add_test(tcase, a_file_that_changed_is_read_again);
    tcase_add_test(tcase, a_bad_file_changes_nothing_and_is_told_once);
    tcase_add_test(tcase, says_what_is_wrong_and_where);
    tcase_add_test(tcase, ticket_keys_are_one_for_the_process);
    tcase_add_test(tcase, ticket_keys_of_a_file_follow_it);
    tcase_add_test(tcase, a_password_follows_its_file);
    tcase_add_test(tcase, a_key_that_became_short_is_not_used);
    tcase_add_test(tcase, a_body_follows_its_file);
}

UNIT_MAIN("registry_tls", add_all)
