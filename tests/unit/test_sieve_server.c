#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

#define CAPS  "IMPLEMENTATION x\nSASL PLAIN XOAUTH2\nSIEVE fileinto"
#define LINES "\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN XOAUTH2\"\r\n\"SIEVE\" \"fileinto\"\r\n"
#define HELLO LINES "OK \"ready\"\r\n"
#define PLAIN "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\n"
#define IS_IN "<ready Logged in. [" CAPS "]>\n"
#define DONE  "OK \"Logged in.\"\r\n"

START_TEST(a_login_is_shown_as_the_server_takes_it)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login, .terms = {.protocol = MAIL_SIEVE}};
    static const struct mail_stand_play plays[] = {
        {HELLO "|" DONE, PLAIN IS_IN},
        {LINES "OK\r\n|OK (SASL \"cnNwYXV0aD0=\") {10}\r\nLogged in.\r\n", PLAIN IS_IN},
        {LINES "OK (X) \"ready\"\n|OK\r\n", PLAIN "<ready  [" CAPS "]>\n"},
        {"\"SASL\" {9}\r\nX PLAIN Y\r\nOK\r\n|" DONE,
         PLAIN "<ready Logged in. [SASL X PLAIN Y]>\n"},
        {"\"SASL\" \"LOGIN\"\r\nOK\r\n|\"VXNlcm5hbWU6\"\r\n|{12}\r\nUGFzc3dvcmQ6\r\n|" DONE,
         "AUTHENTICATE \"LOGIN\"\n\"am9l\"\n\"c2VjcmV0\"\n<ready Logged in. [SASL LOGIN]>\n"},
        {"\"SASL\" \"\"\r\nOK\r\n", "<failed server_no_login at banner>\n"},
        {"\"SIEVE\" \"\"\r\nOK\r\n", "<failed server_no_login at banner>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    login.mechanism = MAIL_OAUTHBEARER;
    static const struct mail_stand_play tokens[] = {
        {HELLO "|\"eyJzIjoiNDAxIn0=\"\r\n|NO \"no\"\r\n",
         "AUTHENTICATE \"XOAUTH2\" \"dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\"\n\"\"\n"
         "<challenge eyJzIjoiNDAxIn0=>\n<refused no>\n"},
        {"\"SASL\" \"OAUTHBEARER\"\r\nOK\r\n|\"eyJ=\"\r\n|NO\r\n",
         "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWpvZSwBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\"\n\"AQ==\"\n"
         "<challenge eyJ=>\n<refused>\n"},
    };
    mail_stand_servers(&stand, tokens, ARRAY_LEN(tokens));
    stand.terms.credentials = MAIL_CREDENTIALS_MASTER;
    stand.terms.master_user = SLICE("lbd");
    stand.terms.master_password = SLICE("key");
    static const struct mail_stand_play master = {
        HELLO "|" DONE, "AUTHENTICATE \"PLAIN\" \"am9lAGxiZABrZXk=\"\n" IS_IN};
    mail_stand_servers(&stand, &master, 1);
    mail_login_wipe(&login);
}
END_TEST

/* RFC 5804 4: a quoted string has at most 1024 bytes. */
START_TEST(a_long_message_is_a_literal)
{
    static char secret[MAIL_PASSWORD_MAX + 1];
    memset(secret, 'p', MAIL_PASSWORD_MAX);
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", secret);
    struct mail_stand_server stand = {.login = &login, .terms = {.protocol = MAIL_SIEVE}};
    struct sasl_proof proof = {.user = SLICE("joe"), .secret = slice_from(secret)};
    struct buf want;
    buf_init(&want, 65536);
    proof.mechanism = MAIL_PLAIN;
    buf_append_text(&want, "AUTHENTICATE \"PLAIN\" {1372+}\n");
    sasl_write(&proof, &want);
    buf_append_text(&want, "\n" IS_IN);
    mail_stand_server(&stand, SLICE(HELLO "|" DONE), buf_slice(&want));
    buf_fini(&want);
    mail_login_wipe(&login);
}
END_TEST

START_TEST(starttls_is_one_question_and_one_answer)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login,
                                      .terms = {.protocol = MAIL_SIEVE, .starttls = true}};
#define OFFER "\"SASL\" \"LOGIN\"\r\n\"STARTTLS\"\r\nOK\r\n|"
    static const struct mail_stand_play plays[] = {
        {OFFER "OK \"begin\"\r\n|" HELLO "|" DONE, "STARTTLS\n<starttls>\n" PLAIN IS_IN},
        {OFFER "OK \"begin\"\r\nOK", "STARTTLS\n<failed server_starttls_injection at handshake>\n"},
        {OFFER "\"SASL\" \"PLAIN\"\r\nOK\r\n",
         "STARTTLS\n<failed server_starttls_injection at starttls>\n"},
        {OFFER "NO \"later\"\r\n", "STARTTLS\n<failed server_no_starttls at starttls>\n"},
        {OFFER "BYE \"later\"\r\n", "STARTTLS\n<unavailable later>\n"},
        {OFFER "OK\r\n|OK\r\n", "STARTTLS\n<starttls>\n<failed bad_response at capability>\n"},
        {HELLO, "<failed server_no_starttls at banner>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(the_client_behind_is_told)
{
    static const struct mail_origin origin = {.client_ip = SLICE_INIT("2001:db8::1"),
                                              .local_ip = SLICE_INIT("192.0.2.1"),
                                              .client_port = 1025,
                                              .local_port = 4190,
                                              .session = SLICE_INIT("s7"),
                                              .ttl = 6};
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {
        .login = &login,
        .origin = &origin,
        .terms = {.protocol = MAIL_SIEVE, .tells_client = true},
    };
#define XCLIENT "XCLIENT ADDR=2001:db8::1 PORT=1025 SESSION=s7 TTL=6\n"
    static const struct mail_stand_play plays[] = {
        {"\"SASL\" \"PLAIN\"\r\n\"XCLIENT\"\r\nOK\r\n|OK \"Updated\"\r\n|OK\r\n",
         XCLIENT PLAIN "<ready  [SASL PLAIN\nXCLIENT]>\n"},
        {"\"SASL\" \"PLAIN\"\r\n\"XCLIENT\"\r\nOK\r\n|NO \"You are not trusted\"\r\n|OK\r\n",
         XCLIENT PLAIN "<ready  [SASL PLAIN\nXCLIENT]>\n"},
        {"\"SASL\" \"PLAIN\"\r\n\"XCLIENT\" \"ADDR X\"\r\nOK\r\n|BYE\r\n",
         "XCLIENT ADDR=2001:db8::1\n<unavailable>\n"},
        {HELLO "|" DONE, PLAIN IS_IN},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(refusals_are_sorted)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login, .terms = {.protocol = MAIL_SIEVE}};
    static const struct mail_stand_play plays[] = {
        {HELLO "|NO \"no such user\"\r\n", PLAIN "<refused no such user>\n"},
        {HELLO "|NO\r\n", PLAIN "<refused>\n"},
        {HELLO "|NO (TRYLATER) \"x\"\r\n", PLAIN "<unavailable (TRYLATER) x>\n"},
        {HELLO "|NO (ENCRYPT-NEEDED)\r\n", PLAIN "<internal (ENCRYPT-NEEDED) >\n"},
        {HELLO "|NO (REFERRAL \"sieve://x\") \"y\"\r\n", PLAIN "<refused (REFERRAL) y>\n"},
        {HELLO "|NO (QUOTA) \"x\"\r\n", PLAIN "<refused as is: (QUOTA) x>\n"},
        {HELLO "|BYE \"x\"\r\n", PLAIN "<unavailable x>\n"},
        {"BYE (TRYLATER) \"too many\"\r\n", "<unavailable too many>\n"},
        {"NO \"x\"\r\n", "<failed bad_response at banner>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(what_is_no_sieve_fails)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login, .terms = {.protocol = MAIL_SIEVE}};
    static const struct mail_stand_play plays[] = {
        {"* OK IMAP\r\n", "<failed bad_response at banner>\n"},
        {"220 mail\r\n", "<failed bad_response at banner>\n"},
        {"\r\n", "<failed bad_response at banner>\n"},
        {"OK\r\n", "<failed bad_response at banner>\n"},
        {"OK x\r\n", "<failed bad_response at banner>\n"},
        {"OK (\r\n", "<failed bad_response at banner>\n"},
        {"OK (X \"a\"\r\n", "<failed bad_response at banner>\n"},
        {"OK (X)\"a\"\r\n", "<failed bad_response at banner>\n"},
        {"\"SASL\r\n", "<failed bad_response at banner>\n"},
        {"\"A B\" \"x\"\r\n", "<failed bad_response at banner>\n"},
        {"\"SASL\" x\r\n", "<failed bad_response at banner>\n"},
        {"\"SASL\" \"x\" \"y\"\r\n", "<failed bad_response at banner>\n"},
        {"\"SASL\" {3}\r\na\r\n\r\n", "<failed bad_response at banner>\n"},
        {"\"SASL\" {9000}\r\n", "<failed bad_response at banner>\n"},
        {HELLO "|\"what\"\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|WHAT\r\n", PLAIN "<failed bad_response at login>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    mail_stand_server(&stand, SLICE("OK \"\0\"\r\n"), SLICE("<failed bad_response at banner>\n"));
}
END_TEST

START_TEST(servers_have_limits)
{
    struct mail_stand_server stand = {.terms = {.protocol = MAIL_SIEVE, .is_check = true}};
    struct buf script;
    buf_init(&script, (size_t)1024 * 1024);
    for (int i = 0; i < 201; i++) {
        buf_append_text(&script, "\"X\"\r\n");
    }
    mail_stand_server(&stand, buf_slice(&script), SLICE("<failed bad_response at banner>\n"));
    buf_clear(&script);
    for (int i = 0; i < 9000; i++) {
        buf_append_text(&script, "\"");
    }
    mail_stand_server(&stand, buf_slice(&script), SLICE("<failed bad_response at banner>\n"));
    buf_fini(&script);
}
END_TEST

START_TEST(a_check_says_goodbye)
{
    struct mail_stand_server stand = {.terms = {.protocol = MAIL_SIEVE, .is_check = true}};
    mail_stand_server(&stand, SLICE(HELLO), SLICE("<ready  [" CAPS "]>\nLOGOUT\n"));
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    stand.login = &login;
    mail_stand_server(&stand, SLICE(HELLO "|" DONE), SLICE(PLAIN IS_IN "LOGOUT\n"));
}
END_TEST

UNIT_TESTS("sieve_server", a_login_is_shown_as_the_server_takes_it, a_long_message_is_a_literal,
           starttls_is_one_question_and_one_answer, the_client_behind_is_told, refusals_are_sorted,
           what_is_no_sieve_fails, servers_have_limits, a_check_says_goodbye)
