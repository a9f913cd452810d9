#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

#define CAPS  "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=XOAUTH2"
#define HELLO "* OK [CAPABILITY " CAPS "] ready\r\n"
#define PLAIN "L AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\n"
#define DONE  "L OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"
#define IS_IN "<ready Logged in [IMAP4rev1 IDLE]>\n"

START_TEST(a_password_is_shown_as_the_server_takes_it)
{
    struct mail_login login = mail_stand_login(MAIL_LOGIN_COMMAND, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
    static const struct mail_stand_play plays[] = {
        {HELLO "|" DONE, PLAIN IS_IN},
        /* a list goes on in good order, however it came */
        {HELLO "|L OK [CAPABILITY  IMAP4rev1   IDLE ] Logged in\r\n", PLAIN IS_IN},
        {HELLO "|L OK [CAPABILITY IMAP4rev1 A\"B IDLE C\\D] Logged in\r\n", PLAIN IS_IN},
        {HELLO "|L OK [CAPABILITY \xc3\xa9 IMAP4rev1 IDLE] Logged in\r\n", PLAIN IS_IN},
        /* no code in the greeting: it is asked */
        {"* OK ready\r\n|* CAPABILITY " CAPS "\r\nC OK done\r\n|" DONE,
         "C CAPABILITY\n" PLAIN IS_IN},
        {"* OK ready\r\n|C OK [CAPABILITY " CAPS "] done\r\n|" DONE, "C CAPABILITY\n" PLAIN IS_IN},
        {"* OK [CAPABILITY IMAP4rev1] x\n|" DONE, "L LOGIN \"joe\" \"secret\"\n" IS_IN},
        /* LOGIN saves a round trip where there is no SASL-IR */
        {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n|" DONE,
         "L LOGIN \"joe\" \"secret\"\n" IS_IN},
        {"* OK [CAPABILITY IMAP4rev1 SASL-IR] x\r\n|" DONE, "L LOGIN \"joe\" \"secret\"\n" IS_IN},
        {"* OK ready\r\n|C OK done\r\n", "C CAPABILITY\n<failed bad_response at capability>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    stand.is_secure = true;
    static const struct mail_stand_play disabled[] = {
        {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] x\r\n|+ \r\n|" DONE,
         "L AUTHENTICATE PLAIN\nAGpvZQBzZWNyZXQ=\n" IS_IN},
        {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] x\r\n|+\r\n|" DONE,
         "L AUTHENTICATE PLAIN\nAGpvZQBzZWNyZXQ=\n" IS_IN},
        {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=LOGIN SASL-IR] x\r\n|+ VXNlcm5hbWU6\r\n|"
         "+ UGFzc3dvcmQ6\r\n|" DONE,
         "L AUTHENTICATE LOGIN\nam9l\nc2VjcmV0\n" IS_IN},
        {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] x\r\n",
         "<failed server_no_login at banner>\n"},
    };
    mail_stand_servers(&stand, disabled, ARRAY_LEN(disabled));
}
END_TEST

START_TEST(odd_passwords_arrive)
{
    static const struct {
        const char *secret;
        struct mail_stand_play play;
    } cases[] = {
        {"a\"b\\c d %{}",
         {"* OK [CAPABILITY X] x\r\n|" DONE, "L LOGIN \"joe\" \"a\\\"b\\\\c d %{}\"\n" IS_IN}},
        {"", {"* OK [CAPABILITY X] x\r\n|" DONE, "L LOGIN \"joe\" \"\"\n" IS_IN}},
        {"", {HELLO "|" DONE, "L AUTHENTICATE PLAIN AGpvZQA=\n" IS_IN}},
        {"p\xc3\xa9",
         {"* OK [CAPABILITY LITERAL+] x\r\n|" DONE, "L LOGIN \"joe\" {3+}\np\xc3\xa9\n" IS_IN}},
        {"p\xc3\xa9",
         {"* OK [CAPABILITY LITERAL-] x\r\n|" DONE, "L LOGIN \"joe\" {3+}\np\xc3\xa9\n" IS_IN}},
        {"p\xc3\xa9",
         {"* OK [CAPABILITY IMAP4rev2] x\r\n|" DONE, "L LOGIN \"joe\" {3+}\np\xc3\xa9\n" IS_IN}},
        {"p\xc3\xa9",
         {"* OK [CAPABILITY X] x\r\n|+ go on\r\n|" DONE, "L LOGIN \"joe\" {3}\np\xc3\xa9\n" IS_IN}},
        {"p\xc3\xa9",
         {"* OK [CAPABILITY X] x\r\n|+\r\n|" DONE, "L LOGIN \"joe\" {3}\np\xc3\xa9\n" IS_IN}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_login login = mail_stand_login(MAIL_LOGIN_COMMAND, "joe", cases[i].secret);
        struct mail_stand_server stand = {.login = &login};
        mail_stand_servers(&stand, &cases[i].play, 1);
        mail_login_wipe(&login);
    }
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "gr\xc3\xbcn", "p\xc3\xa9");
    struct mail_stand_server stand = {.login = &login};
    static const struct mail_stand_play both = {"* OK [CAPABILITY X] x\r\n|+ 1\r\n|+ 2\r\n|" DONE,
                                                "L LOGIN {5}\ngr\xc3\xbcn {3}\np\xc3\xa9\n" IS_IN};
    mail_stand_servers(&stand, &both, 1);
}
END_TEST

START_TEST(tokens_go_in_the_form_the_server_has)
{
    struct mail_login login = mail_stand_login(MAIL_XOAUTH2, "joe", "tok");
    struct mail_stand_server stand = {.login = &login, .is_secure = true};
    static const struct mail_stand_play plays[] = {
        {"* OK [CAPABILITY SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2] x\r\n|" DONE,
         "L AUTHENTICATE XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\n" IS_IN},
        {"* OK [CAPABILITY AUTH=XOAUTH2] x\r\n|+ \r\n|" DONE,
         "L AUTHENTICATE XOAUTH2\ndXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\n" IS_IN},
        {"* OK [CAPABILITY SASL-IR AUTH=OAUTHBEARER] x\r\n|" DONE,
         "L AUTHENTICATE OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\n" IS_IN},
        {"* OK [CAPABILITY AUTH=PLAIN] x\r\n", "<failed server_no_login at banner>\n"},
        {"* OK [CAPABILITY SASL-IR AUTH=XOAUTH2] x\r\n|+ eyJzIjoiNDAxIn0=\r\n|"
         "L NO [AUTHENTICATIONFAILED] no\r\n",
         "L AUTHENTICATE XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\n\n"
         "<challenge eyJzIjoiNDAxIn0=>\n<refused [AUTHENTICATIONFAILED] no>\n"},
        {"* OK [CAPABILITY SASL-IR AUTH=OAUTHBEARER] x\r\n|+ eyJzIjoiNDAxIn0=\r\n|L NO no\r\n",
         "L AUTHENTICATE OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\nAQ==\n"
         "<challenge eyJzIjoiNDAxIn0=>\n<refused no>\n"},
        {"* OK [CAPABILITY SASL-IR AUTH=XOAUTH2] x\r\n|+ abcd\r\n|+ abcd\r\n",
         "L AUTHENTICATE XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\n\n"
         "<challenge abcd>\n<failed bad_response at login>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(the_terms_say_how)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    ck_assert(mail_login_set_authzid(&login, SLICE("bob")));
    struct mail_stand_server stand = {.login = &login, .is_secure = true};
    static const struct mail_stand_play authzid[] = {
        {HELLO "|" DONE, "L AUTHENTICATE PLAIN Ym9iAGpvZQBzZWNyZXQ=\n" IS_IN},
        {"* OK [CAPABILITY AUTH=PLAIN] x\r\n|+ \r\n|" DONE,
         "L AUTHENTICATE PLAIN\nYm9iAGpvZQBzZWNyZXQ=\n" IS_IN},
        {"* OK [CAPABILITY X] x\r\n", "<failed server_no_login at banner>\n"},
    };
    mail_stand_servers(&stand, authzid, ARRAY_LEN(authzid));
    login.has_authzid = false;
    stand.user = SLICE("joe2"); /* routing has renamed */
    static const struct mail_stand_play renamed = {HELLO "|" DONE,
                                                   "L AUTHENTICATE PLAIN AGpvZTIAc2VjcmV0\n" IS_IN};
    mail_stand_servers(&stand, &renamed, 1);
    stand.user = SLICE_NONE;
    stand.terms.mechanism = MAIL_LOGIN_COMMAND + 1;
    static const struct mail_stand_play command = {HELLO "|" DONE,
                                                   "L LOGIN \"joe\" \"secret\"\n" IS_IN};
    mail_stand_servers(&stand, &command, 1);
    stand.terms.mechanism = MAIL_LOGIN + 1; /* although it does not say so */
    static const struct mail_stand_play insisted = {HELLO "|+ \r\n|+ \r\n|" DONE,
                                                    "L AUTHENTICATE LOGIN\nam9l\nc2VjcmV0\n" IS_IN};
    mail_stand_servers(&stand, &insisted, 1);
    stand.terms = (struct mail_terms){.credentials = MAIL_CREDENTIALS_MASTER,
                                      .master_user = SLICE("lbd"),
                                      .master_password = SLICE("key")};
    login.mechanism = MAIL_EXTERNAL;
    static const struct mail_stand_play master = {HELLO "|" DONE,
                                                  "L AUTHENTICATE PLAIN am9lAGxiZABrZXk=\n" IS_IN};
    mail_stand_servers(&stand, &master, 1);
    stand.terms.credentials = MAIL_CREDENTIALS_FORWARD;
    static const struct mail_stand_play nothing = {HELLO, "<failed server_no_login at banner>\n"};
    mail_stand_servers(&stand, &nothing, 1);
}
END_TEST

START_TEST(starttls_is_one_question_and_one_answer)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login, .terms = {.starttls = true}};
#define OFFER "* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN LOGINDISABLED] x\r\n|"
    static const struct mail_stand_play plays[] = {
        {OFFER "S OK begin\r\n|* CAPABILITY " CAPS "\r\nC OK done\r\n|" DONE,
         "S STARTTLS\n<starttls>\nC CAPABILITY\n" PLAIN IS_IN},
        {"* OK x\r\n|* CAPABILITY STARTTLS\r\nC OK x\r\n|S OK begin\r\n|"
         "* CAPABILITY " CAPS "\r\nC OK done\r\n|" DONE,
         "C CAPABILITY\nS STARTTLS\n<starttls>\nC CAPABILITY\n" PLAIN IS_IN},
        /* what was said in clear is forgotten */
        {OFFER "S OK begin\r\n|C OK done\r\n",
         "S STARTTLS\n<starttls>\nC CAPABILITY\n<failed bad_response at capability>\n"},
        /* CVE-2021-38371 */
        {OFFER "S OK begin\r\nC OK [CAPABILITY X]\r\n",
         "S STARTTLS\n<failed server_starttls_injection at handshake>\n"},
        {OFFER "S OK begin\r\n*", "S STARTTLS\n<failed server_starttls_injection at handshake>\n"},
        {OFFER "* CAPABILITY AUTH=PLAIN\r\nS OK begin\r\n",
         "S STARTTLS\n<failed server_starttls_injection at starttls>\n"},
        {OFFER "S NO later\r\n", "S STARTTLS\n<failed server_no_starttls at starttls>\n"},
        {OFFER "S BAD what\r\n", "S STARTTLS\n<failed server_no_starttls at starttls>\n"},
        {HELLO, "<failed server_no_starttls at banner>\n"},
        {"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n",
         "<failed server_preauth at banner>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    stand.terms.starttls = false; /* and none in clear where it is not wanted */
    static const struct mail_stand_play clear = {OFFER, "<failed server_no_login at banner>\n"};
    mail_stand_servers(&stand, &clear, 1);
}
END_TEST

START_TEST(the_client_behind_is_told)
{
    static const struct mail_origin origin = {.client_ip = SLICE_INIT("2001:db8::1"),
                                              .local_ip = SLICE_INIT("192.0.2.1"),
                                              .client_port = 1025,
                                              .local_port = 143,
                                              .session = SLICE_INIT("s\"7"),
                                              .transport = SLICE_INIT("TLS"),
                                              .ttl = 6};
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {
        .login = &login, .origin = &origin, .terms = {.tells_client = true}};
#define ID                                                                                         \
    "I ID (\"x-originating-ip\" \"2001:db8::1\" \"x-originating-port\" \"1025\" "                  \
    "\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"143\" \"x-session-id\" \"s\\\"7\" "   \
    "\"x-client-transport\" \"TLS\" \"x-proxy-ttl\" \"6\")\n"
    static const struct mail_stand_play plays[] = {
        {HELLO "|* ID (\"name\" {3}\r\nfoo)\r\nI OK done\r\n" DONE, ID PLAIN IS_IN},
        {HELLO "|* ID (\"name\" {16}\r\n\r\nL OK (\"x\" {9} \"x\")\r\nI BAD done\r\n" DONE,
         ID PLAIN IS_IN},
        {"* OK [CAPABILITY X] x\r\n|" DONE, "L LOGIN \"joe\" \"secret\"\n" IS_IN},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    stand.terms.tells_client = false;
    static const struct mail_stand_play silent = {HELLO "|" DONE, PLAIN IS_IN};
    mail_stand_servers(&stand, &silent, 1);
}
END_TEST

START_TEST(what_comes_before_the_answer_is_kept)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
    static const struct mail_stand_play plays[] = {
        /* as Gmail does it */
        {HELLO "|* CAPABILITY IMAP4rev1 QRESYNC\r\nL OK joe authenticated\r\n",
         PLAIN "<ready joe authenticated [IMAP4rev1 QRESYNC]>\n"},
        {HELLO "|* OK [ALERT] Full\r\n* FOO\n* CAPABILITY IDLE\r\nL OK in\r\n* 1 EXISTS\r\n",
         PLAIN "<ready in [IDLE]\n* OK [ALERT] Full\n* FOO\n>\n<relay * 1 EXISTS\r\n>\n"},
        {HELLO "|* OK [CAPABILITY IDLE] new\r\nL OK in\r\n", PLAIN "<ready in [IDLE]>\n"},
        {HELLO "|L OK [ALERT][CAPABILITY A] in\r\n|C OK\r\n",
         PLAIN "C CAPABILITY\n<ready [ALERT][CAPABILITY A] in []>\n"},
        {HELLO "|L OK [CAPABILITY A B\"] C] in\r\n", PLAIN "<ready C] in [A]>\n"},
        {HELLO "|* OK text {5}\r\nL OK [CAPABILITY A] in\r\n",
         PLAIN "<ready in [A]\n* OK text {5}\n>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(a_server_that_keeps_its_list_is_asked_for_it)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
#define ASKED PLAIN "C CAPABILITY\n"
    static const struct mail_stand_play plays[] = {
        {HELLO "|L OK in\r\n|* CAPABILITY IMAP4rev1 IDLE\r\nC OK\r\n* 1 EXISTS\r\n",
         ASKED "<ready in [IMAP4rev1 IDLE]>\n<relay * 1 EXISTS\r\n>\n"},
        {HELLO "|* FOO\r\nL OK\r\n|* BAR\r\nC OK [CAPABILITY IDLE] x\r\n",
         ASKED "<ready  [IDLE]\n* FOO\n* BAR\n>\n"},
        {HELLO "|L OK in\r\n|C BAD what?\r\n", ASKED "<ready in []>\n"},
        {HELLO "|L OK in\r\n|* BYE gone\r\n", ASKED "<unavailable gone>\n"},
        {HELLO "|L OK in\r\n|L OK in\r\n", ASKED "<failed bad_response at capability>\n"},
        {HELLO "|L OK in\r\n|+ go\r\n", ASKED "<failed bad_response at capability>\n"},
    };
#undef ASKED
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(refusals_are_sorted)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
    static const struct mail_stand_play plays[] = {
        {HELLO "|L NO no such user\r\n", PLAIN "<refused no such user>\n"},
        {HELLO "|L NO [AUTHENTICATIONFAILED] x\r\n", PLAIN "<refused [AUTHENTICATIONFAILED] x>\n"},
        {HELLO "|L NO [UNAVAILABLE] later\r\n", PLAIN "<unavailable [UNAVAILABLE] later>\n"},
        {HELLO "|L NO [SERVERBUG] x\r\n", PLAIN "<internal [SERVERBUG] x>\n"},
        {HELLO "|L NO [PRIVACYREQUIRED] x\r\n", PLAIN "<internal [PRIVACYREQUIRED] x>\n"},
        {HELLO "|L NO [REFERRAL imap://b/] x\r\n", PLAIN "<internal [REFERRAL imap://b/] x>\n"},
        {HELLO "|L NO [LIMIT] 10 sessions\r\n", PLAIN "<refused as is: [LIMIT] 10 sessions>\n"},
        {HELLO "|L NO [EXPIRED] renew\r\n", PLAIN "<refused as is: [EXPIRED] renew>\n"},
        {HELLO "|L BAD what\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|* BYE down\r\nL NO x\r\n", PLAIN "<unavailable down>\n"},
        {"* BYE too many\r\n", "<unavailable too many>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(what_is_no_imap_fails)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
    static const struct mail_stand_play plays[] = {
        {"+OK POP3\r\n", "<failed bad_response at banner>\n"},
        {"220 mail ESMTP\r\n", "<failed bad_response at banner>\n"},
        {"\r\n", "<failed bad_response at banner>\n"},
        {"* NO x\r\n", "<failed bad_response at banner>\n"},
        {"L OK\r\n", "<failed bad_response at banner>\n"},
        {HELLO "|+ what\r\n", PLAIN "<failed bad_response at login>\n"},
        {"* OK [CAPABILITY X] x\r\n|+ what\r\n",
         "L LOGIN \"joe\" \"secret\"\n<failed bad_response at login>\n"},
        {"* OK x\r\n|+ what\r\n", "C CAPABILITY\n<failed bad_response at capability>\n"},
        {"* OK [CAPABILITY X\r\n", "C CAPABILITY\n"},
        {HELLO "|x OK what\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|C OK what\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|LL OK what\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|* X {9000}\r\n", PLAIN "<failed bad_response at login>\n"},
        {HELLO "|* X {18446744073709551616}\r\n", PLAIN "<failed bad_response at login>\n"},
    };
    mail_stand_servers(&stand, plays, ARRAY_LEN(plays));
    mail_stand_server(&stand, SLICE("* OK \0\r\n"), SLICE("<failed bad_response at banner>\n"));
}
END_TEST

static void play_repeated(const char *before, const char *repeated, size_t times, const char *after,
                          const char *want)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    struct mail_stand_server stand = {.login = &login};
    struct buf script;
    buf_init(&script, (size_t)1024 * 1024);
    buf_append_text(&script, before);
    for (size_t i = 0; i < times; i++) {
        buf_append_text(&script, repeated);
    }
    buf_append_text(&script, after);
    mail_stand_server(&stand, buf_slice(&script), slice_from(want));
    buf_fini(&script);
}

START_TEST(servers_have_limits)
{
    play_repeated(HELLO "|", "* CAPABILITY X\r\n", 200, "L OK in\r\n", PLAIN "<ready in [X]>\n");
    play_repeated(HELLO "|", "* X\r\n", 201, "L OK in\r\n",
                  PLAIN "<failed bad_response at login>\n");
    play_repeated("* OK ", "x", 8192, "\r\n", "<failed bad_response at banner>\n");
    /* a list that is too long is none */
    play_repeated("* OK [CAPABILITY", " LONGER-THAN-IT-SHOULD-BE", 200, "] x\r\n|C OK\r\n",
                  "C CAPABILITY\n<failed bad_response at capability>\n");
}
END_TEST

START_TEST(a_check_says_goodbye)
{
    struct mail_stand_server stand = {.terms = {.is_check = true}};
    static const struct mail_stand_play bare[] = {
        {HELLO, "<ready  [" CAPS "]>\nZ LOGOUT\n"},
        {"* OK x\r\n|* CAPABILITY IMAP4rev1\r\nC OK x\r\n",
         "C CAPABILITY\n<ready  [IMAP4rev1]>\nZ LOGOUT\n"},
        {"* BYE down\r\n", "<unavailable down>\n"},
    };
    mail_stand_servers(&stand, bare, ARRAY_LEN(bare));
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    stand.login = &login;
    static const struct mail_stand_play full[] = {
        {HELLO "|" DONE, PLAIN IS_IN "Z LOGOUT\n"},
        {HELLO "|L NO x\r\n", PLAIN "<refused x>\n"},
    };
    mail_stand_servers(&stand, full, ARRAY_LEN(full));
}
END_TEST

UNIT_TESTS("imap_server", a_password_is_shown_as_the_server_takes_it, odd_passwords_arrive,
           tokens_go_in_the_form_the_server_has, the_terms_say_how,
           starttls_is_one_question_and_one_answer, the_client_behind_is_told,
           what_comes_before_the_answer_is_kept, a_server_that_keeps_its_list_is_asked_for_it,
           refusals_are_sorted, what_is_no_imap_fails, servers_have_limits, a_check_says_goodbye)
