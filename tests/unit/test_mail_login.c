#include "lbd/base/compiler.h"
#include "lbd/mail/mail_login.h"
#include "tests/unit/unit.h"

START_TEST(names_that_could_enter_a_protocol_are_refused)
{
    static const struct {
        struct slice name;
        bool ok;
    } cases[] = {
        {SLICE_INIT("joe"), true},
        {SLICE_INIT("joe@example.com"), true},
        {SLICE_INIT("a b"), true},
        {SLICE_INIT("gr\xc3\xbc\xc3\x9f"
                    "e"),
         true},
        {SLICE_INIT(""), false},
        {SLICE_INIT("  "), false},
        {SLICE_INIT("joe\r\nQUIT"), false},
        {SLICE_INIT("joe\n"), false},
        {SLICE_INIT("joe\0x"), false},
        {SLICE_INIT("joe\x7f"), false},
        {SLICE_INIT("joe\xff"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_login login = {0};
        ck_assert_msg(mail_login_set_user(&login, cases[i].name) == cases[i].ok, "case %zu", i);
        ck_assert_msg(mail_login_set_authzid(&login, cases[i].name) == cases[i].ok, "case %zu", i);
        ck_assert(slice_eq(mail_login_user(&login), cases[i].ok ? cases[i].name : SLICE_NONE));
        ck_assert(login.has_authzid == cases[i].ok);
        mail_login_wipe(&login);
    }
}
END_TEST

START_TEST(the_longest_name_is_taken)
{
    char name[MAIL_USER_MAX + 1];
    memset(name, 'x', sizeof(name));
    struct mail_login login = {0};
    ck_assert(mail_login_set_user(&login, slice_of(name, MAIL_USER_MAX)));
    ck_assert(!mail_login_set_user(&login, slice_of(name, MAIL_USER_MAX + 1)));
    mail_login_wipe(&login);
}
END_TEST

START_TEST(secrets_of_any_length_are_kept_and_wiped)
{
    static char secret[MAIL_PASSWORD_MAX + 1];
    memset(secret, 'p', sizeof(secret));
    static const size_t lengths[] = {0, 1, MAIL_SECRET_INLINE, MAIL_SECRET_INLINE + 1,
                                     MAIL_PASSWORD_MAX};
    struct mail_login login = {0};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        ck_assert(mail_login_set_secret(&login, slice_of(secret, lengths[i]), MAIL_PASSWORD_MAX));
        ck_assert(slice_eq(mail_login_secret(&login), slice_of(secret, lengths[i])));
    }
    ck_assert(!mail_login_set_secret(&login, slice_of(secret, sizeof(secret)), MAIL_PASSWORD_MAX));
    mail_login_wipe(&login);
    static const struct mail_login empty;
    ck_assert(memcmp(&login, &empty, sizeof(login)) == 0);
}
END_TEST

START_TEST(a_shorter_secret_leaves_nothing_of_the_longer)
{
    struct mail_login login = {0};
    ck_assert(mail_login_set_secret(&login, SLICE("a long password"), MAIL_PASSWORD_MAX));
    ck_assert(mail_login_set_secret(&login, SLICE("short"), MAIL_PASSWORD_MAX));
    for (size_t i = 5; i < sizeof(login.secret); i++) {
        ck_assert_int_eq(login.secret[i], 0);
    }
    mail_login_wipe(&login);
}
END_TEST

UNIT_TESTS("mail_login", names_that_could_enter_a_protocol_are_refused, the_longest_name_is_taken,
           secrets_of_any_length_are_kept_and_wiped, a_shorter_secret_leaves_nothing_of_the_longer)
