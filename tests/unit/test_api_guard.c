#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_guard.h"
#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "tests/unit/unit.h"

static char folder[64];
static struct conf_daemon *conf;
static struct api_guard *guard;

/* With `api` (single quotes stand for double ones) as daemon.api. */
static void begin(const char *api)
{
    char text[1024];
    struct conf_errors errors;
    struct conf_document *document = NULL;
    struct err err = {0};
    (void)strcpy(folder, "/tmp/test-api-guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(text, sizeof(text), "{'daemon':{'state_dir':'%s','api':%s}}", folder, api);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    conf_errors_init(&errors);
    ck_assert(conf_document_from_file_text(slice_from(text), &document, &conf, &errors));
    conf_errors_fini(&errors);
    conf_document_unref(document);
    guard = api_guard_new(conf, &err);
    ck_assert_msg(guard != NULL, "%s", err.text);
}

static void end(void)
{
    char path[128];
    api_guard_free(guard);
    conf_daemon_free(conf);
    (void)snprintf(path, sizeof(path), "%s/tokens", folder);
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
    now_set_for_test(0, 0);
}

static char authorization[80];

static struct slice bearer(const char *secret)
{
    (void)snprintf(authorization, sizeof(authorization), "Bearer %s", secret);
    return slice_from(authorization);
}

START_TEST(our_own_user_is_admin_on_a_unix_socket)
{
    int pair[2];
    struct api_identity who;
    char want[64];
    begin("{}");
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct api_peer peer = {.is_unix = true, .fd = pair[0], .ip = ""};
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert_int_eq(who.role, API_ROLE_ADMIN);
    ck_assert_int_eq(who.via, API_VIA_UNIX);
    (void)snprintf(want, sizeof(want), "unix uid=%u pid=%d", (unsigned)geteuid(), (int)getpid());
    ck_assert_str_eq(who.who, want);

    /* what Authorization says counts, there too */
    peer.authorization = bearer("lbd_nonsense");
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_UNKNOWN);
    ck_assert_int_eq(who.role, API_ROLE_NONE);

    peer.fd = -1; /* nobody can tell who it is */
    peer.authorization = SLICE_NONE;
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_NO_ROLE);
    (void)close(pair[0]);
    (void)close(pair[1]);
    end();
}
END_TEST

START_TEST(a_token_has_its_role_until_it_expires)
{
    struct api_identity who;
    struct err err = {0};
    char secret[TOKEN_FILE_SECRET_MAX];
    struct token wish = {.id = "ci", .role = API_ROLE_OPERATE, .expires_s = 2000};
    begin("{}");
    now_set_for_test(1, UINT64_C(1999000000));
    ck_assert(token_file_put(api_guard_tokens(guard), &wish, secret, &err));
    struct api_peer peer = {.is_tls = true, .ip = "10.0.0.1", .authorization = bearer(secret)};
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert_int_eq(who.role, API_ROLE_OPERATE);
    ck_assert_int_eq(who.via, API_VIA_TOKEN);
    ck_assert_str_eq(who.who, "token ci");
    peer.is_tls = false;
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert_int_eq(who.via, API_VIA_INSECURE);
    now_set_for_test(1, UINT64_C(2000000000));
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_UNKNOWN);
    ck_assert_str_eq(who.reason, "expired_token");
    ck_assert_int_eq(who.role, API_ROLE_NONE);
    end();
}
END_TEST

START_TEST(what_was_shown_may_stop_being_good)
{
    struct api_identity who;
    struct err err = {0};
    char secret[TOKEN_FILE_SECRET_MAX];
    struct token wish = {.id = "ci", .role = API_ROLE_OPERATE, .expires_s = 2000};
    struct api_identity local = {.role = API_ROLE_ADMIN, .via = API_VIA_UNIX};
    begin("{}");
    now_set_for_test(1, UINT64_C(1000000000));
    ck_assert(token_file_put(api_guard_tokens(guard), &wish, secret, &err));
    struct api_peer peer = {.is_tls = true, .ip = "10.0.0.1", .authorization = bearer(secret)};
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert(api_guard_still_knows(guard, &who));
    now_set_for_test(1, UINT64_C(2000000000));
    ck_assert(!api_guard_still_knows(guard, &who)); /* it has expired */
    now_set_for_test(1, UINT64_C(1000000000));
    ck_assert(api_guard_still_knows(guard, &who));
    ck_assert(token_file_put(api_guard_tokens(guard), &wish, secret, &err));
    ck_assert(!api_guard_still_knows(guard, &who)); /* the same name, another secret */
    peer.authorization = bearer(secret);
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert(token_file_remove(api_guard_tokens(guard), SLICE("ci"), &err));
    ck_assert(!api_guard_still_knows(guard, &who));
    ck_assert(api_guard_still_knows(guard, &local)); /* there is nothing to revoke */
    end();
}
END_TEST

START_TEST(long_names_are_not_mixed_up)
{
    char names[2][300];
    char limits[2][API_WHO_MAX];
    begin("{'listen':['127.0.0.1:0'],'tls':{'chain_file':'c','key_file':'k','client_ca_file':'a'},"
          "'certificates':{'read':['URI:*']}}");
    for (size_t i = 0; i < 2; i++) {
        struct api_identity who;
        (void)snprintf(names[i], sizeof(names[i]), "URI:spiffe://%0200d/%zu", 0, i);
        struct slice name = slice_from(names[i]);
        struct api_peer peer = {
            .is_tls = true, .ip = "::1", .certificate = &name, .certificate_count = 1};
        ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
        memcpy(limits[i], who.name, sizeof(limits[i]));
    }
    ck_assert_str_ne(limits[0], limits[1]);
    end();
}
END_TEST

START_TEST(failures_are_limited_by_source_and_what_is_right_passes)
{
    struct api_identity who;
    struct err err = {0};
    char secret[TOKEN_FILE_SECRET_MAX];
    struct token wish = {.id = "ci", .role = API_ROLE_READ};
    begin("{'limits':{'auth_failures_per_minute':5}}");
    now_set_for_test(1000, 1000);
    ck_assert(token_file_put(api_guard_tokens(guard), &wish, secret, &err));
    struct api_peer peer = {.is_tls = true, .ip = "10.0.0.1"};
    uint64_t limited = api_guard_limited();
    uint64_t missing = api_guard_failures(API_GUARD_NO_CREDENTIALS);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_UNKNOWN);
    }
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_TOO_MANY);
    ck_assert_uint_eq(who.retry_s, 12);
    ck_assert_uint_eq(api_guard_limited(), limited + 1);
    ck_assert_uint_eq(api_guard_failures(API_GUARD_NO_CREDENTIALS), missing + 6);
    peer.authorization = bearer(secret);
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    peer.authorization = SLICE("Basic xyz");
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_TOO_MANY);
    peer.ip = "10.0.0.2"; /* another source has its own */
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_UNKNOWN);
    end();
}
END_TEST

START_TEST(names_in_a_certificate_have_roles)
{
    static const struct {
        struct slice names[2];
        enum api_role role;
        const char *who;
    } cases[] = {
        {{SLICE_INIT("DNS:a.ops.test"), SLICE_INIT("CN:x")},
         API_ROLE_OPERATE,
         "certificate DNS:a.ops.test"},
        {{SLICE_INIT("DNS:a.ops.test"), SLICE_INIT("CN:root")},
         API_ROLE_ADMIN,
         "certificate CN:root"},
        {{SLICE_INIT("URI:spiffe://t/prom"), SLICE_INIT("CN:prometheus")},
         API_ROLE_METRICS,
         "certificate CN:prometheus"},
        {{SLICE_INIT("DNS:root"), SLICE_INIT("CN:ops.test")},
         API_ROLE_NONE,
         "certificate DNS:root"},
    };
    begin("{'listen':['127.0.0.1:0'],'tls':{'chain_file':'c','key_file':'k','client_ca_file':'a'},"
          "'certificates':{'admin':['CN:root'],'operate':['DNS:*.ops.test'],"
          "'metrics':['CN:prometheus']}}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_identity who;
        struct api_peer peer = {
            .is_tls = true, .ip = "::1", .certificate = cases[i].names, .certificate_count = 2};
        enum api_guard_verdict verdict = api_guard_identify(guard, &peer, &who);
        ck_assert_int_eq(verdict,
                         cases[i].role != API_ROLE_NONE ? API_GUARD_KNOWN : API_GUARD_NO_ROLE);
        ck_assert_int_eq(who.role, cases[i].role);
        ck_assert_str_eq(who.who, cases[i].who);
        peer.authorization = bearer("lbd_x"); /* a wrong token is not made good by a certificate */
        ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_UNKNOWN);
    }
    end();
}
END_TEST

START_TEST(writes_are_limited_but_not_those_of_local_admins)
{
    struct api_identity token = {.role = API_ROLE_ADMIN, .via = API_VIA_TOKEN, .name = "token a"};
    struct api_identity local = {.role = API_ROLE_ADMIN, .via = API_VIA_UNIX, .name = "unix uid=0"};
    struct api_identity user = {
        .role = API_ROLE_OPERATE, .via = API_VIA_UNIX, .name = "unix uid=7"};
    uint32_t retry_s = 0;
    begin("{'limits':{'writes_per_second':2,'write_burst':3}}");
    now_set_for_test(1000, 1000);
    for (int i = 0; i < 3; i++) {
        ck_assert(api_guard_may_write(guard, &token, &retry_s));
        ck_assert(api_guard_may_write(guard, &user, &retry_s));
    }
    ck_assert(!api_guard_may_write(guard, &token, &retry_s));
    ck_assert_uint_eq(retry_s, 1);
    ck_assert(!api_guard_may_write(guard, &user, &retry_s));
    for (int i = 0; i < 1000; i++) {
        ck_assert(api_guard_may_write(guard, &local, &retry_s));
    }
    end();
}
END_TEST

START_TEST(an_observe_address_shows_metrics_to_anybody)
{
    struct api_identity who;
    struct api_peer peer = {.is_observe = true, .ip = "10.0.0.1", .authorization = SLICE("x")};
    begin("{}");
    ck_assert_int_eq(api_guard_identify(guard, &peer, &who), API_GUARD_KNOWN);
    ck_assert_int_eq(who.role, API_ROLE_METRICS);
    end();
}
END_TEST

UNIT_TESTS("api_guard", our_own_user_is_admin_on_a_unix_socket,
           a_token_has_its_role_until_it_expires, what_was_shown_may_stop_being_good,
           long_names_are_not_mixed_up, failures_are_limited_by_source_and_what_is_right_passes,
           names_in_a_certificate_have_roles, writes_are_limited_but_not_those_of_local_admins,
           an_observe_address_shows_metrics_to_anybody)
