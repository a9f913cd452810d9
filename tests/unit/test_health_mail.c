#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/upstream/health_mail.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

static const struct conf_health_check imap = {.type = CONF_CHECK_IMAP, .timeout_ms = 2000};
static const struct conf_health_check pop3 = {.type = CONF_CHECK_POP3, .timeout_ms = 2000};
static const struct conf_health_check smtp = {.type = CONF_CHECK_SMTP, .timeout_ms = 2000};
static const struct conf_health_check sieve = {.type = CONF_CHECK_SIEVE, .timeout_ms = 2000};

/* All that the server says, whenever it is asked. */
static const struct {
    const struct conf_health_check *check;
    const char *said;
    enum health_probe_verdict verdict;
    const char *text;
    const char *capabilities;
    const char *farewell; /* in what it was sent */
} cases[] = {
    {&imap, "* OK [CAPABILITY IMAP4rev1 ID] hello\r\n", HEALTH_PROBE_PASSED, "imap in ",
     "IMAP4rev1 ID", "LOGOUT\r\n"},
    {&imap, "* OK hello\r\n* CAPABILITY IMAP4rev1\r\nC OK\r\n", HEALTH_PROBE_PASSED, "imap in ",
     "IMAP4rev1", "LOGOUT\r\n"},
    {&imap, "* BYE not now\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
    {&imap, "* PREAUTH in\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
    {&imap, "+OK hello\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
    {&imap, "* OK hel", HEALTH_PROBE_FAILED, "banner: connection closed", "", ""},
    {&imap, "", HEALTH_PROBE_FAILED, "banner: connection closed", "", ""},
    {&pop3, "+OK hello\r\n+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n", HEALTH_PROBE_PASSED, "pop3 in ",
     "UIDL\nSASL PLAIN", "QUIT\r\n"},
    {&pop3, "-ERR [SYS/TEMP] no\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
    {&smtp, "220 x\r\n250-x\r\n250-DSN\r\n250 SIZE 7\r\n", HEALTH_PROBE_PASSED, "smtp in ",
     "DSN\nSIZE 7", "QUIT\r\n"},
    {&smtp, "220 x\r\n250-x\r\n250-DSN\r\n", HEALTH_PROBE_FAILED, "capability: connection closed",
     "", ""},
    {&smtp, "421 4.3.2 no\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
    {&sieve, "\"SIEVE\" \"fileinto\"\r\nOK\r\n", HEALTH_PROBE_PASSED, "sieve in ", "SIEVE fileinto",
     "LOGOUT\r\n"},
    {&sieve, "BYE \"no\"\r\n", HEALTH_PROBE_FAILED, "banner: ", "", ""},
};

START_TEST(every_protocol_passes_or_fails_in_words_however_it_is_cut)
{
    struct probe_field field;
    probe_field_init(&field);
    field.peer.greets = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (uint32_t chunk = 0; chunk < 2; chunk++) {
            field.peer.answer = cases[i].said;
            field.peer.chunk = chunk;
            field.peer.closes = cases[i].verdict == HEALTH_PROBE_FAILED;
            field.peer.request[0] = '\0';
            struct conf_health_check check = *cases[i].check;
            check.timeout_ms = 200; /* nobody answers the farewell */
            probe_field_run(&field, &check, &field.peer.address);
            probe_field_expect(&field, cases[i].verdict, cases[i].text);
            ck_assert(!field.is_degraded);
            if (cases[i].capabilities != NULL) {
                ck_assert_str_eq(field.capabilities, cases[i].capabilities);
            }
            ck_assert_msg(strstr(field.peer.request, cases[i].farewell) != NULL, "%zu: %s", i,
                          field.peer.request);
        }
    }
    probe_field_fini(&field);
}
END_TEST

static void write_password(char path[64], const char *text, mode_t mode)
{
    (void)snprintf(path, 64, "/tmp/lbd-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

START_TEST(a_login_that_fails_is_degraded)
{
    static const struct {
        const char *said;
        const char *text;
        mode_t mode;
        bool is_degraded;
        bool sends_password;
    } logins[] = {
        {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\nL OK in\r\n", "logged in as joe in ",
         0600, false, true},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\nL NO wrong\r\n",
         "login as joe: refused", 0600, true, true},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\nL NO [UNAVAILABLE] later\r\n",
         "login as joe: not now", 0600, true, true},
        {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\r\n", "login as joe: ", 0600, true, false},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n", "no login tried: ", 0644, true,
         false},
    };
    struct probe_field field;
    probe_field_init(&field);
    field.peer.greets = true;
    for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
        char path[64];
        write_password(path, "secret\n", logins[i].mode);
        struct conf_health_check check = imap;
        check.timeout_ms = 200;
        check.user = SLICE("joe");
        check.password_file = slice_from(path);
        field.peer.answer = logins[i].said;
        field.peer.request[0] = '\0';
        probe_field_run(&field, &check, &field.peer.address);
        probe_field_expect(&field, HEALTH_PROBE_PASSED, logins[i].text);
        ck_assert_msg(field.is_degraded == logins[i].is_degraded, "%zu", i);
        /* "\0joe\0secret" */
        ck_assert_msg((strstr(field.peer.request, "AGpvZQBzZWNyZXQ=") != NULL) ==
                          logins[i].sends_password,
                      "%zu: %s", i, field.peer.request);
        (void)unlink(path);
    }
    probe_field_fini(&field);
}
END_TEST

START_TEST(plans_differ_by_who_logs_in)
{
    struct conf_health_check other = imap;
    struct health_probe_plan *plan = health_probe_plan_new(&imap);
    ck_assert(health_probe_plan_is(plan, &other));
    other.user = SLICE("joe");
    ck_assert(!health_probe_plan_is(plan, &other));
    health_probe_plan_unref(plan);
}
END_TEST

UNIT_TESTS("health_mail", every_protocol_passes_or_fails_in_words_however_it_is_cut,
           a_login_that_fails_is_degraded, plans_differ_by_who_logs_in)
