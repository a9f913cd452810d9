#include <string.h>

#include "conf/conf_document.h"
#include "lbd/control/cert_check.h"
#include "lbd/tls/tls_file.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;
static struct registry_tls tls;
static struct conf_errors errors;
static struct err err;

static void setup(void)
{
    tls_files_begin(&files);
    registry_tls_init(&tls);
    conf_errors_init(&errors);
}

static void teardown(void)
{
    conf_errors_fini(&errors);
    registry_tls_fini(&tls);
    tls_files_end(&files);
}

static struct slice text_of(const char *path)
{
    struct slice text;
    ck_assert_msg(tls_file_read(path, "it", false, 65536, &text, &err), "%s", err.text);
    return text;
}

START_TEST(a_pair_is_named_by_its_content)
{
    char one[CONF_SEAL_NAME_MAX];
    char two[CONF_SEAL_NAME_MAX];
    struct slice chain = text_of(files.chain);
    struct slice key = text_of(files.key);
    struct slice other = text_of(files.client_key);
    ck_assert(cert_check_seal(chain, key, one, &err));
    ck_assert(cert_check_seal(chain, key, two, &err));
    ck_assert_str_eq(one, two);
    ck_assert_uint_eq(strlen(one), strlen("sha256:") + 64);
    ck_assert(!cert_check_seal(chain, other, two, &err));
    ck_assert_str_eq(err.place, "key");
    ck_assert(!cert_check_seal(key, key, two, &err));
    ck_assert_str_eq(err.place, "chain");
    tls_file_forget(chain);
    tls_file_forget(key);
    tls_file_forget(other);
}
END_TEST

START_TEST(a_password_that_cannot_be_read_is_told)
{
    struct conf_pool pool = {.name = SLICE("boxes"), .has_mail = 1};
    const struct conf conf = {.pools = &pool, .pool_count = 1};
    pool.mail.master_password_file = SLICE("/nowhere/at/all");
    ck_assert(!cert_check(&tls, &conf, &errors));
    ck_assert_uint_eq(errors.error_count, 1);
    ck_assert(slice_eq(errors.errors[0].pointer, SLICE("/pools/boxes/mail/master_password_file")));
}
END_TEST

/* Checks a document of these certificates; "web" shows the first. */
static bool check(struct conf_certificate *certificates, uint32_t count, struct slice *hosts,
                  uint32_t host_count)
{
    struct conf_listener listener = {.name = SLICE("web"), .has_tls = 1};
    struct conf_route route = {.name = SLICE("r"), .listener = SLICE("web")};
    struct slice first = certificates[0].name;
    listener.tls.certificates = &first;
    listener.tls.certificate_count = 1;
    route.match.host = hosts;
    route.match.host_count = host_count;
    const struct conf conf = {.certificates = certificates,
                              .certificate_count = count,
                              .listeners = &listener,
                              .listener_count = 1,
                              .routes = &route,
                              .route_count = 1};
    return cert_check(&tls, &conf, &errors);
}

static bool has_warning(const char *pointer, const char *code)
{
    for (uint32_t i = 0; i < errors.warning_count; i++) {
        if (slice_eq(errors.warnings[i].pointer, slice_from(pointer)) &&
            slice_eq(errors.warnings[i].code, slice_from(code))) {
            return true;
        }
    }
    return false;
}

START_TEST(hosts_without_a_certificate_are_told)
{
    struct slice hosts[] = {SLICE("localhost"), SLICE("127.0.0.1"), SLICE("a.localhost"),
                            SLICE("*.localhost"), SLICE("other")};
    struct conf_certificate certificate = {.name = SLICE("shop"),
                                           .version = 1,
                                           .chain_file = slice_from(files.chain),
                                           .key_file = slice_from(files.key)};
    ck_assert(check(&certificate, 1, hosts, 5));
    ck_assert(!has_warning("/routes/r/match/host/0", "uncovered-host"));
    ck_assert(!has_warning("/routes/r/match/host/1", "uncovered-host"));
    ck_assert(has_warning("/routes/r/match/host/2", "uncovered-host"));
    ck_assert(has_warning("/routes/r/match/host/3", "uncovered-host"));
    ck_assert(has_warning("/routes/r/match/host/4", "uncovered-host"));
    ck_assert(has_warning("/certificates/shop", "short-chain"));
    ck_assert(!has_warning("/certificates/shop", "expired-certificate"));
}
END_TEST

START_TEST(all_that_is_wrong_is_told_at_once)
{
    struct conf_certificate certificates[] = {
        {.name = SLICE("a"),
         .version = 1,
         .chain_file = slice_from(files.chain),
         .key_file = slice_from(files.client_key)},
        {.name = SLICE("b"),
         .version = 2,
         .chain_file = SLICE("/nowhere"),
         .key_file = slice_from(files.key)},
        {.name = SLICE("late"),
         .version = 3,
         .chain_file = slice_from(files.late_chain),
         .key_file = slice_from(files.late_key)},
    };
    ck_assert(!check(certificates, 3, NULL, 0));
    ck_assert_uint_eq(errors.error_count, 2);
    ck_assert(slice_eq(errors.errors[0].pointer, SLICE("/certificates/a/key_file")));
    ck_assert(slice_eq(errors.errors[1].pointer, SLICE("/certificates/b/chain_file")));
    ck_assert(has_warning("/certificates/late", "expired-certificate"));
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_pair_is_named_by_its_content);
    tcase_add_test(tcase, hosts_without_a_certificate_are_told);
    tcase_add_test(tcase, all_that_is_wrong_is_told_at_once);
    tcase_add_test(tcase, a_password_that_cannot_be_read_is_told);
}

UNIT_MAIN("cert_check", add_all)
