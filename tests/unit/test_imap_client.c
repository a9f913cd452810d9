#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

static const struct mail_stand_client plain = {.protocol = MAIL_IMAP};
static const struct mail_stand_client secure = {.protocol = MAIL_IMAP, .is_secure = true};

#define BAD_LOGIN "BAD LOGIN takes a user name and a password.\n"
#define UNKNOWN   "BAD Unknown command, or not before login.\n"

START_TEST(says_who_it_is_and_what_it_can)
{
    struct mail_stand_client stand = {.protocol = MAIL_IMAP, .greets = true};
    mail_stand_client(&stand, SLICE("a CAPABILITY\r\n"),
                      SLICE("* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS AUTH=PLAIN "
                            "AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER] mail.example ready\n"
                            "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS AUTH=PLAIN "
                            "AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER\n"
                            "a OK CAPABILITY completed.\n"));
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = false;
    offer.greeting = SLICE_NONE;
    offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_PLAIN) | MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND);
    stand.offer = &offer;
    stand.keywords =
        SLICE("IMAP4rev1 IMAP4rev2 AUTH=CRAM-MD5 IDLE STARTTLS LITERAL- LOGIN-REFERRALS");
    mail_stand_client(&stand, SLICE("a STARTTLS\r\n|a CAPABILITY\r\n"),
                      SLICE("* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID IMAP4rev2 IDLE "
                            "STARTTLS LOGINDISABLED] mail.example\n"
                            "a OK Begin TLS negotiation now.\n<starttls>\n"
                            "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID IMAP4rev2 IDLE "
                            "AUTH=PLAIN\na OK CAPABILITY completed.\n"));
    offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_EXTERNAL);
    stand.is_secure = true;
    stand.subject = SLICE("joe");
    stand.keywords = SLICE_NONE;
    mail_stand_client(&stand, SLICE("\r\n"),
                      SLICE("* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID LOGINDISABLED "
                            "AUTH=EXTERNAL] mail.example\n* BAD Invalid tag.\n"));
}
END_TEST

START_TEST(every_form_of_login_is_the_same_login)
{
    static const struct mail_stand_play plays[] = {
        {"a LOGIN joe secret\r\n", "<login login_command joe secret>\n"},
        {"a login joe secret\n", "<login login_command joe secret>\n"},
        {"a LOGIN \"joe\" \"se cret\"\r\n", "<login login_command joe se cret>\n"},
        {"a LOGIN {3}\r\njoe {6}\r\nsecret\r\n", "+ OK\n+ OK\n<login login_command joe secret>\n"},
        {"a LOGIN {3+}\r\njoe {6+}\r\nsecret\r\n", "<login login_command joe secret>\n"},
        {"a LOGIN {3+}\njoe \"secret\"\n", "<login login_command joe secret>\n"},
        {"a LOGIN joe {0}\r\n\r\n", "+ OK\n<login login_command joe >\n"},
        {"a LOGIN joe {0+}\r\n\r\n", "<login login_command joe >\n"},
        {"a LOGIN joe \"\"\r\n", "<login login_command joe >\n"},
        {"a LOGIN joe \"s\\\"e\\\\c\"\r\n", "<login login_command joe s\"e\\c>\n"},
        {"a LOGIN joe {5}\r\ns\"e\\c\r\n", "+ OK\n<login login_command joe s\"e\\c>\n"},
        {"a LOGIN  joe   se\\cr}et  \r\n", "<login login_command joe se\\cr}et>\n"},
        {"a LOGIN joe {7+}\r\nsecret  \r\n", "<login login_command joe secret >\n"},
        {"a LOGIN joe {6+}\r\nb {1}\r\r\n", "<login login_command joe b {1}\r>\n"},
        {"a LOGIN gr\xc3\xbcn p%*]\r\n", "<login login_command gr\xc3\xbcn p%*]>\n"},
        {"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n", "<login PLAIN joe secret>\n"},
        {"a authenticate plain\r\nAGpvZQBzZWNyZXQ=\r\n", "+ \n<login PLAIN joe secret>\n"},
        {"a AUTHENTICATE PLAIN\r\nYm9iAGpvZQBzZWNyZXQ=\r\n",
         "+ \n<login PLAIN joe as bob secret>\n"},
        {"a AUTHENTICATE LOGIN\r\nam9l\r\nc2VjcmV0\r\n",
         "+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\n<login LOGIN joe secret>\n"},
        {"a AUTHENTICATE LOGIN am9l\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\n<login LOGIN joe secret>\n"},
        {"a AUTHENTICATE LOGIN am9l\r\n\r\n", "+ UGFzc3dvcmQ6\n<login LOGIN joe >\n"},
        {"a AUTHENTICATE XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
         "<login XOAUTH2 joe tok>\n"},
        {"a AUTHENTICATE OAUTHBEARER\r\nbixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
         "+ \n<login OAUTHBEARER joe auth=Bearer tok\x01\x01>\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
    mail_stand_clients(&secure, plays, ARRAY_LEN(plays));
    for (size_t i = 0; i < ARRAY_LEN(plays); i++) { /* and behind STARTTLS */
        struct buf script;
        struct buf want;
        buf_init(&script, 4096);
        buf_init(&want, 4096);
        buf_append_text(&script, "s STARTTLS\r\n|");
        buf_append_text(&script, plays[i].script);
        buf_append_text(&want, "s OK Begin TLS negotiation now.\n<starttls>\n");
        buf_append_text(&want, plays[i].want);
        mail_stand_client(&plain, buf_slice(&script), buf_slice(&want));
        buf_fini(&script);
        buf_fini(&want);
    }
}
END_TEST

START_TEST(a_certificate_logs_in)
{
    static const struct mail_stand_client stand = {
        .protocol = MAIL_IMAP, .is_secure = true, .subject = SLICE_INIT("joe")};
    static const struct mail_stand_play plays[] = {
        {"a AUTHENTICATE EXTERNAL =\r\n", "<login EXTERNAL joe >\n"},
        {"a AUTHENTICATE EXTERNAL\r\n\r\n", "+ \n<login EXTERNAL joe >\n"},
        {"a AUTHENTICATE EXTERNAL Ym9i\r\n", "<login EXTERNAL joe as bob >\n"},
    };
    mail_stand_clients(&stand, plays, ARRAY_LEN(plays));
    mail_stand_client(&secure, SLICE("a AUTHENTICATE EXTERNAL =\r\n"),
                      SLICE("a NO [CANNOT] Unsupported authentication mechanism.\n"));
}
END_TEST

START_TEST(what_is_no_login_is_refused)
{
    static const struct mail_stand_play plays[] = {
        {"a LOGIN\r\nb LOGIN joe\r\nc LOGIN joe \r\nd LOGIN joe a b\r\n",
         "a " BAD_LOGIN "b " BAD_LOGIN "c " BAD_LOGIN "d " BAD_LOGIN},
        {"a LOGIN \"joe secret\r\nb LOGIN joe {5-}\r\nc LOGIN joe {5+} x\r\n",
         "a " BAD_LOGIN "b " BAD_LOGIN "c " BAD_LOGIN},
        {"a LOGIN \"\" x\r\nb LOGIN jo\xff"
         "e x\r\n",
         "a NO [AUTHENTICATIONFAILED] Authentication failed.\n"
         "b NO [AUTHENTICATIONFAILED] Authentication failed.\n"},
        {"a AUTHENTICATE PLAIN AGoKb2UAeA==\r\nb LOGIN \n x\r\nc LOGIN \"\n\" x\r\n",
         "a NO [AUTHENTICATIONFAILED] Authentication failed.\n"
         "b " BAD_LOGIN "* BAD Invalid tag.\nc " BAD_LOGIN "* BAD Invalid tag.\n"},
        {"a LOGIN {5+}\r\njo\r\ne x\r\nb NOOP\r\n",
         "a NO [AUTHENTICATIONFAILED] Authentication failed.\nb OK NOOP completed.\n"},
        {"a AUTHENTICATE PLAIN !!!!\r\nb AUTHENTICATE PLAIN YQ\r\n",

         "a BAD Malformed authentication message.\nb BAD Malformed authentication message.\n"},
        {"a AUTHENTICATE PLAIN =\r\nb AUTHENTICATE PLAIN AGpvZQ==\r\n"
         "c AUTHENTICATE PLAIN AGpvZQBhAGIA\r\n",
         "a BAD Malformed authentication message.\n"
         "b BAD Malformed authentication message.\n"
         "c BAD Malformed authentication message.\n"},
        {"a AUTHENTICATE CRAM-MD5\r\nb AUTHENTICATE\r\nc AUTHENTICATE \"PLAIN\"\r\n"
         "d AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ= x\r\n",
         "a NO [CANNOT] Unsupported authentication mechanism.\n"
         "b BAD AUTHENTICATE takes a mechanism and at most one message.\n"
         "c NO [CANNOT] Unsupported authentication mechanism.\n"
         "d BAD AUTHENTICATE takes a mechanism and at most one message.\n"},
        {"a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n",
         "+ \na BAD Authentication cancelled.\nb OK NOOP completed.\n"},
        {"a AUTHENTICATE LOGIN\r\nam9l\r\n*\r\nb NOOP\r\n",
         "+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\na BAD Authentication cancelled.\n"
         "b OK NOOP completed.\n"},
        {"a AUTHENTICATE PLAIN\r\nb LOGIN joe secret\r\nc NOOP\r\n",
         "+ \na BAD Malformed authentication message.\nc OK NOOP completed.\n"},
        {"a AUTHENTICATE OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHRvawEB\r\n",
         "a NO [CANNOT] This mechanism needs the name of the user.\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(commands_before_a_login)
{
    static const struct mail_stand_play plays[] = {
        {"a NOOP\r\nB.2 noop\nx[] NOOP\r\n",
         "a OK NOOP completed.\nB.2 OK NOOP completed.\nx[] OK NOOP completed.\n"},
        {"a LOGOUT\r\nb NOOP\r\n", "* BYE Logging out\na OK Logout completed.\n<close ok>\n"},
        {"a ID NIL\r\nb ID (\"name\" \"x\" \"version\" NIL)\r\nc ID ()\r\n",
         "* ID (\"name\" \"lbd\")\na OK ID completed.\n"
         "* ID (\"name\" \"lbd\")\nb OK ID completed.\n"
         "* ID (\"name\" \"lbd\")\nc OK ID completed.\n"},
        {"a ID (\"name\" {3}\r\nfoo)\r\n", "+ OK\n* ID (\"name\" \"lbd\")\na OK ID completed.\n"},
        {"a ID\r\nb ID \r\nc NOOP \r\n",
         "* ID (\"name\" \"lbd\")\na OK ID completed.\n"
         "* ID (\"name\" \"lbd\")\nb OK ID completed.\nc OK NOOP completed.\n"},
        {"a ID (\r\nb ID (\"name\")\r\nc ID (\"a\" \"b\" \r\nd ID x\r\n",
         "a BAD Malformed ID.\nb BAD Malformed ID.\nc BAD Malformed ID.\n"
         "d BAD Malformed ID.\n"},
        {"a ENABLE UTF8=ACCEPT\r\nb SELECT INBOX\r\n", "a " UNKNOWN "b " UNKNOWN},
        {" {5}\r\n+ FOO {5}\r\na NOOP\r\n",
         "* BAD Invalid tag.\n* BAD Invalid tag.\na OK NOOP completed.\n"},
        {"a\r\n b\r\n+ x\r\na* NOOP\r\n",
         "a " UNKNOWN "* BAD Invalid tag.\n* BAD Invalid tag.\n* BAD Invalid tag.\n"},
        {"a NOOP x\r\nb NOOP  x\r\n", "a BAD Too many arguments.\nb BAD Too many arguments.\n"},
        {"1\r\n2\r\n3\r\n4\r\n5\r\n6 NOOP\r\n",
         "1 " UNKNOWN "2 " UNKNOWN "3 " UNKNOWN "4 " UNKNOWN "5 " UNKNOWN
         "* BYE Too many bad commands.\n<close bad_commands>\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(what_a_literal_holds_is_no_command)
{
    static const struct mail_stand_play plays[] = {
        /* asked first: nothing is sent */
        {"a APPEND x {20}\r\nb NOOP\r\n", "a " UNKNOWN "b OK NOOP completed.\n"},
        {"a APPEND x {15+}\r\nb LOGIN joe x\r\n\r\nc NOOP\r\n",
         "a " UNKNOWN "c OK NOOP completed.\n"},
        {"a FOO {8+}\r\nb NOOP\r\n {8+}\r\nc NOOP\r\n x\r\nd NOOP\r\n",
         "a " UNKNOWN "d OK NOOP completed.\n"},
        {"a APPEND x {100000+}\r\nb NOOP\r\n",
         "a BAD [TOOBIG] Literal too long.\n"
         "* BYE Command too long.\n<close command_too_long>\n"},
        {"a LOGIN {4097}\r\nb LOGIN {4294967296}\r\nc LOGIN {18446744073709551616}\r\n"
         "d NOOP\r\n",
         "a BAD [TOOBIG] Literal too long.\nb BAD [TOOBIG] Literal too long.\n"
         "c BAD [TOOBIG] Literal too long.\nd OK NOOP completed.\n"},
        {"a LOGIN {4294967299+}\r\njoe", "a BAD [TOOBIG] Literal too long.\n"
                                         "* BYE Command too long.\n<close command_too_long>\n"},
        {"a LOGIN {99999999999999999999999999999999+}\r\njoe",
         "a BAD [TOOBIG] Literal too long.\n"
         "* BYE Command too long.\n<close command_too_long>\n"},
        {"a LOGIN {3}\r\njoe {0}\r\n\r\n", "+ OK\n+ OK\n<login login_command joe >\n"},
        {"a LOGIN {0}\r\n x\r\nb NOOP\r\n",
         "+ OK\na NO [AUTHENTICATIONFAILED] Authentication failed.\n"
         "b OK NOOP completed.\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
}
END_TEST

START_TEST(without_tls_no_password_is_asked_for)
{
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = false;
    struct mail_stand_client stand = {.protocol = MAIL_IMAP, .offer = &offer};
    static const struct mail_stand_play plays[] = {
        {"a LOGIN joe secret\r\nb LOGIN {3}\r\nc AUTHENTICATE PLAIN\r\n"
         "d AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\ne STARTTLS\r\n|f LOGIN joe x\r\n",
         "a NO [PRIVACYREQUIRED] Login is not allowed without TLS.\n"
         "b NO [PRIVACYREQUIRED] Login is not allowed without TLS.\n"
         "c NO [PRIVACYREQUIRED] Login is not allowed without TLS.\n"
         "d NO [PRIVACYREQUIRED] Login is not allowed without TLS.\n"
         "e OK Begin TLS negotiation now.\n<starttls>\n"
         "<login login_command joe x>\n"},
    };
    mail_stand_clients(&stand, plays, ARRAY_LEN(plays));
    offer.allows_cleartext = true;
    offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_PLAIN);
    mail_stand_client(&stand, SLICE("a LOGIN joe {6}\r\nb LOGIN joe secret\r\n"),
                      SLICE("a NO [CANNOT] Use AUTHENTICATE.\nb NO [CANNOT] Use AUTHENTICATE.\n"));
}
END_TEST

START_TEST(starttls_forgets_and_stands_alone)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_IMAP,
        .is_trusted = true,
        .answers = "a",
        .welcome = {.text = SLICE_INIT("Logged in"), .capabilities = SLICE_INIT("IMAP4rev1 IDLE")}};
    static const struct mail_stand_play plays[] = {
        /* CVE-2011-0411 */
        {"a STARTTLS\r\nb LOGIN joe secret\r\n", "a OK Begin TLS negotiation now.\n<injection>\n"},
        {"a STARTTLS\r\n|b STARTTLS\r\n",
         "a OK Begin TLS negotiation now.\n<starttls>\nb BAD TLS is already active.\n"},
        {"a CAPABILITY\r\nb ID (\"x-originating-ip\" \"192.0.2.1\")\r\nc STARTTLS\r\n"
         "|d LOGIN joe x\r\n",
         "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS AUTH=PLAIN AUTH=LOGIN "
         "AUTH=XOAUTH2 AUTH=OAUTHBEARER\na OK CAPABILITY completed.\n"
         "* ID (\"name\" \"lbd\")\nb OK ID completed.\n"
         "c OK Begin TLS negotiation now.\n<starttls>\n"
         "<login login_command joe x>\n"
         "d OK [CAPABILITY IMAP4rev1 IDLE] Logged in\n<relay>\n"},
    };
    mail_stand_clients(&stand, plays, ARRAY_LEN(plays));
    struct mail_offer offer = mail_stand_offer;
    offer.has_starttls = false;
    stand.offer = &offer;
    mail_stand_client(&stand, SLICE("a STARTTLS\r\n"), SLICE("a BAD TLS is not available.\n"));
}
END_TEST

START_TEST(who_is_behind_counts_from_trusted_clients_alone)
{
    static const struct slice script =
        SLICE_INIT("a ID (\"x-originating-ip\" \"2001:db8::1\" \"X-Originating-Port\" \"1025\" "
                   "\"x-proxy-ttl\" \"6\")\r\n");
    struct mail_stand_client stand = {.protocol = MAIL_IMAP, .is_trusted = true};
    mail_stand_client(&stand, script,
                      SLICE("* ID (\"name\" \"lbd\")\na OK ID completed.\n<behind 2001:db8::1>\n"));
    mail_stand_client(&stand, SLICE("a ID (\"x-originating-ip\" \"mail.example\")\r\n"),
                      SLICE("* ID (\"name\" \"lbd\")\na OK ID completed.\n"));
    stand.is_trusted = false;
    mail_stand_client(&stand, script, SLICE("* ID (\"name\" \"lbd\")\na OK ID completed.\n"));
}
END_TEST

START_TEST(the_welcome_is_that_of_the_server)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_IMAP,
        .answers = "a",
        .welcome = {.text = SLICE_INIT("[ALERT] Hello"),
                    .capabilities = SLICE_INIT("IMAP4rev1 IDLE"),
                    .untagged = SLICE_INIT("* OK [ALERT] Disk full\r\n* FOO\r\n")}};
    mail_stand_client(&stand, SLICE("a LOGIN joe x\r\nb SELECT INBOX\r\nc IDLE\r\n"),
                      SLICE("<login login_command joe x>\n* OK [ALERT] Disk full\n* FOO\n"
                            "a OK [CAPABILITY IMAP4rev1 IDLE] [ALERT] Hello\n"
                            "<relay b SELECT INBOX\r\nc IDLE\r\n>\n"));
    stand.is_secure = true;
    stand.welcome.untagged = SLICE_NONE;
    mail_stand_client(&stand, SLICE("a CAPABILITY\r\nb LOGIN joe x\r\n"),
                      SLICE("* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN AUTH=LOGIN "
                            "AUTH=XOAUTH2 AUTH=OAUTHBEARER\na OK CAPABILITY completed.\n"
                            "<login login_command joe x>\n* CAPABILITY IMAP4rev1 IDLE\n"
                            "b OK [ALERT] Hello\n<relay>\n"));
    stand.welcome = (struct mail_welcome){0};
    mail_stand_client(&stand, SLICE("a LOGIN joe x\r\n"),
                      SLICE("<login login_command joe x>\na OK Logged in\n<relay>\n"));
}
END_TEST

START_TEST(refusals_have_codes_and_the_third_ends_it)
{
    struct mail_stand_client stand = {.protocol = MAIL_IMAP, .answers = "udtirsr"};
    stand.text = SLICE("[EXPIRED] Renew\r\nit");
    mail_stand_client(
        &stand,
        SLICE("1 LOGIN a b\r\n2 LOGIN a b\r\n3 LOGIN a b\r\n4 LOGIN a b\r\n5 LOGIN a b\r\n"
              "6 LOGIN a b\r\n7 LOGIN a b\r\n8 NOOP\r\n"),
        SLICE("<login login_command a b>\n"
              "1 NO [UNAVAILABLE] Account is temporarily unavailable.\n"
              "<login login_command a b>\n"
              "2 NO [CONTACTADMIN] Login is disabled for this account.\n"
              "<login login_command a b>\n3 NO [LIMIT] Too many sessions.\n"
              "<login login_command a b>\n4 NO [SERVERBUG] Internal error.\n"
              "<login login_command a b>\n5 NO [AUTHENTICATIONFAILED] Authentication failed.\n"
              "<login login_command a b>\n6 NO [EXPIRED] Renew??it\n"
              "<login login_command a b>\n7 NO [AUTHENTICATIONFAILED] Authentication failed.\n"
              "* BYE Too many failed logins.\n<close login_failures>\n"));
}
END_TEST

START_TEST(a_challenge_goes_through_and_its_answer_nowhere)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_IMAP, .answers = "c", .text = SLICE_INIT("eyJzIjoiNDAxIn0=")};
#define TOKEN "a AUTHENTICATE XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\r\n"
#define SAID                                                                                       \
    "<login XOAUTH2 joe tok>\n+ eyJzIjoiNDAxIn0=\n"                                                \
    "a NO [AUTHENTICATIONFAILED] Authentication failed.\n"
    static const struct mail_stand_play plays[] = {
        {TOKEN "AQ==\r\nb NOOP\r\n", SAID "b OK NOOP completed.\n"},
        {TOKEN "\r\nb NOOP\r\n", SAID "b OK NOOP completed.\n"},
        {TOKEN "*\r\nb NOOP\r\n", SAID "b OK NOOP completed.\n"},
        {TOKEN "b NOOP\r\nc\r\n", SAID "b OK NOOP completed.\nc " UNKNOWN},
    };
    mail_stand_clients(&stand, plays, ARRAY_LEN(plays));
}
END_TEST

/* `len` bytes of 'x' between two texts. */
static void play_long(const char *before, size_t len, const char *after, struct slice want)
{
    struct buf script;
    buf_init(&script, (size_t)4 * 1024 * 1024);
    buf_append_text(&script, before);
    for (size_t i = 0; i < len; i++) {
        buf_append_char(&script, 'x');
    }
    buf_append_text(&script, after);
    mail_stand_client(&plain, buf_slice(&script), want);
    buf_fini(&script);
}

START_TEST(lines_have_limits)
{
    static const struct slice too_long =
        SLICE_INIT("* BAD [TOOBIG] Line too long.\n* BYE Command too long.\n"
                   "<close command_too_long>\n");
    play_long("a ", MAIL_IMAP_LINE_MAX - 2, "\r\nb NOOP\r\n",
              SLICE("a " UNKNOWN "b OK NOOP completed.\n"));
    play_long("a ", MAIL_IMAP_LINE_MAX - 1, "\r\n", too_long);
    play_long("a ", MAIL_IMAP_LINE_MAX - 1, "\n", too_long);
    play_long("", (size_t)1024 * 1024, "", too_long);
    play_long("", MAIL_IMAP_TAG_MAX + 1, " NOOP\r\n", SLICE("* BAD Invalid tag.\n"));
    /* base64, but no message */
    play_long("a AUTHENTICATE PLAIN ", MAIL_SASL_LINE_MAX, "\r\n",
              SLICE("a BAD Malformed authentication message.\n"));
    play_long("a AUTHENTICATE PLAIN ", MAIL_SASL_LINE_MAX + 256, "\r\n", too_long);
    play_long("a AUTHENTICATE PLAIN\r\n", MAIL_SASL_LINE_MAX, "\r\n",
              SLICE("+ \na BAD Malformed authentication message.\n"));
    play_long("a AUTHENTICATE PLAIN\r\n", MAIL_SASL_LINE_MAX + 1, "\r\n",
              SLICE("+ \n* BAD [TOOBIG] Line too long.\n* BYE Command too long.\n"
                    "<close command_too_long>\n"));
    play_long("a LOGIN joe {4096+}\r\n", MAIL_IMAP_LITERAL_MAX, "\r\n",
              SLICE("a " BAD_LOGIN)); /* no password is that long */
    play_long("a LOGIN joe ", MAIL_PASSWORD_MAX + 1, "\r\n", SLICE("a " BAD_LOGIN));
}
END_TEST

START_TEST(literals_have_a_sum)
{
    struct buf script;
    buf_init(&script, 65536);
    buf_append_text(&script, "a FOO");
    for (int i = 0; i < 3; i++) {
        buf_append_text(&script, " {3000+}\r\n");
        for (int k = 0; k < 3000; k++) {
            buf_append_char(&script, 'y');
        }
    }
    mail_stand_client(&plain, buf_slice(&script),
                      SLICE("a BAD [TOOBIG] Literal too long.\n"
                            "* BYE Command too long.\n<close command_too_long>\n"));
    buf_fini(&script);
}
END_TEST

START_TEST(a_nul_ends_it)
{
    static const struct {
        struct slice script;
        struct slice want;
    } plays[] = {
        {SLICE_INIT("a NOOP\r\nb NO\0OP\r\n"),
         SLICE_INIT("a OK NOOP completed.\n* BYE Bad bytes in a command.\n"
                    "<close bad_command_bytes>\n")},
        {SLICE_INIT("a AUTHENTICATE PLAIN\r\n\0joe\0x\r\n"),
         SLICE_INIT("+ \n* BYE Bad bytes in a command.\n<close bad_command_bytes>\n")},
        {SLICE_INIT("a LOGIN joe {3+}\r\na\0b\r\n"),
         SLICE_INIT("a NO [AUTHENTICATIONFAILED] Authentication failed.\n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(plays); i++) {
        mail_stand_client(&plain, plays[i].script, plays[i].want);
    }
}
END_TEST

START_TEST(the_last_word_has_a_reason)
{
    struct mail_offer offer = mail_stand_offer;
    struct mail_client client;
    struct buf out;
    buf_init(&out, 1024);
    mail_client_init(&client, &offer, false);
    mail_client_bye(&client, CLOSE_SHUTDOWN, &out);
    ck_assert_str_eq(out.data,
                     "* BYE [UNAVAILABLE] Server shutting down, please connect again.\r\n");
    mail_client_fini(&client);
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("imap_client", says_who_it_is_and_what_it_can, every_form_of_login_is_the_same_login,
           a_certificate_logs_in, what_is_no_login_is_refused, commands_before_a_login,
           what_a_literal_holds_is_no_command, without_tls_no_password_is_asked_for,
           starttls_forgets_and_stands_alone, who_is_behind_counts_from_trusted_clients_alone,
           the_welcome_is_that_of_the_server, refusals_have_codes_and_the_third_ends_it,
           a_challenge_goes_through_and_its_answer_nowhere, lines_have_limits, literals_have_a_sum,
           a_nul_ends_it, the_last_word_has_a_reason)
