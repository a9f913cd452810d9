#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/snapshot/snapshot_mail.h"
#include "tests/unit/unit.h"

START_TEST(a_listener_is_compiled)
{
    static const struct {
        enum conf_protocol protocol;
        enum mail_protocol want;
        uint32_t idle_minutes;
    } cases[] = {
        {CONF_PROTOCOL_IMAP, MAIL_IMAP, 35},
        {CONF_PROTOCOL_POP3, MAIL_POP3, 12},
        {CONF_PROTOCOL_SMTP, MAIL_SMTP, 10},
        {CONF_PROTOCOL_SIEVE, MAIL_SIEVE, 35},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct conf_listener conf = {.protocol = cases[i].protocol};
        const struct mail_plan *plan = snapshot_mail_plan(&arena, &conf);
        ck_assert_int_eq(plan->offer.protocol, cases[i].want);
        ck_assert_uint_eq(plan->idle_ms, cases[i].idle_minutes * 60000);
        ck_assert_uint_ne(plan->offer.host.len, 0);
        ck_assert(!plan->tracks && !plan->starttls);
        ck_assert_uint_eq(plan->offer.mechanisms, MAIL_MECHANISM_BIT(MAIL_PLAIN) |
                                                      MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND) |
                                                      MAIL_MECHANISM_BIT(MAIL_LOGIN));
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(what_a_listener_says_counts)
{
    struct slice mechanisms[] = {SLICE("xoauth2"), SLICE("plain")};
    struct slice trusted[] = {SLICE("10.0.0.0/8")};
    const struct conf_listener conf = {
        .protocol = CONF_PROTOCOL_IMAP,
        .mail = {.starttls = 1,
                 .host = SLICE("mail.example"),
                 .mechanisms = mechanisms,
                 .mechanism_count = 2,
                 .trusted_from = trusted,
                 .trusted_from_count = 1,
                 .has_cache = 1,
                 .timeouts = {.idle_ms = 5}},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct mail_plan *plan = snapshot_mail_plan(&arena, &conf);
    ck_assert(plan->starttls && plan->offer.has_starttls);
    ck_assert(plan->tracks); /* the cache needs it */
    ck_assert_uint_eq(plan->idle_ms, 5);
    ck_assert_uint_eq(plan->offer.mechanisms, MAIL_MECHANISM_BIT(MAIL_XOAUTH2) |
                                                  MAIL_MECHANISM_BIT(MAIL_PLAIN) |
                                                  MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND));
    ck_assert(slice_eq(plan->offer.host, SLICE("mail.example")));
    ck_assert_uint_eq(plan->trusted.count, 1);
    arena_fini(&arena);
}
END_TEST

START_TEST(the_master_password_comes_from_its_file)
{
    char path[] = "/tmp/lbd-master-XXXXXX";
    struct err err = {0};
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "pass word\r\n", 11), 11);
    (void)close(fd);
    struct registry_tls tls;
    struct slice password;
    const struct conf_pool conf = {.name = SLICE("boxes"),
                                   .has_mail = 1,
                                   .mail = {.credentials = CONF_MAIL_CREDENTIALS_MASTER,
                                            .mechanism = CONF_MAIL_MECHANISM_LOGIN,
                                            .master_user = SLICE("lbd"),
                                            .master_password_file = slice_from(path),
                                            .logins = 7}};
    struct pool *pool = pool_new(SLICE("boxes"), 0, 0);
    registry_tls_init(&tls);
    ck_assert(snapshot_mail_password(&tls, &conf, &password, &err));
    snapshot_mail_terms(pool, &conf, password);
    ck_assert(slice_eq(pool->mail->terms.master_password, SLICE("pass word")));
    ck_assert(slice_eq(pool->mail->terms.master_user, SLICE("lbd")));
    ck_assert_int_eq(pool->mail->terms.credentials, MAIL_CREDENTIALS_MASTER);
    ck_assert_uint_eq(pool->mail->terms.mechanism, MAIL_LOGIN + 1);
    ck_assert_uint_eq(pool->mail->logins, 7);
    pool_unref(pool);

    ck_assert_int_eq(chmod(path, 0644), 0); /* everybody may read it */
    registry_tls_sweep(&tls);
    ck_assert(!snapshot_mail_password(&tls, &conf, &password, &err));
    ck_assert_str_eq(err.place, "/pools/boxes/mail/master_password_file");
    registry_tls_fini(&tls);
    (void)unlink(path);
}
END_TEST

UNIT_TESTS("snapshot_mail", a_listener_is_compiled, what_a_listener_says_counts,
           the_master_password_comes_from_its_file)
