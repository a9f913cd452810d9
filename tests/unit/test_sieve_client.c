#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

static const struct mail_stand_client plain = {.protocol = MAIL_SIEVE};

#define CAPS                                                                                       \
    "\"IMPLEMENTATION\" \"lbd\"\n"                                                                 \
    "\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER\"\n\"SIEVE\" \"\"\n"
#define UNKNOWN "NO \"Unknown command, or not before login.\"\n"
#define SYNTAX  "NO \"AUTHENTICATE takes a mechanism and a message, quoted.\"\n"
#define REFUSED "NO \"Authentication failed.\"\n"

START_TEST(says_who_it_is_and_what_it_can)
{
    struct mail_stand_client stand = {.protocol = MAIL_SIEVE, .greets = true};
    mail_stand_client(&stand, SLICE("CAPABILITY\r\n"),
                      SLICE(CAPS
                            "\"STARTTLS\"\n\"VERSION\" \"1.0\"\nOK \"mail.example ready\"\n" CAPS
                            "\"STARTTLS\"\n\"VERSION\" \"1.0\"\n"
                            "OK \"CAPABILITY completed.\"\n"));
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = false;
    offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_PLAIN);
    offer.greeting = SLICE_NONE;
    stand.offer = &offer;
    stand.keywords = SLICE("IMPLEMENTATION Dovecot\nSIEVE fileinto \"x\"\nSASL X\nNOTIFY mailto\n"
                           "STARTTLS\nVERSION 1.0\nUNAUTHENTICATE\nRENAME\nOWNER joe\n");
#define MORE "\"SIEVE\" \"fileinto \\\"x\\\"\"\n\"NOTIFY\" \"mailto\"\n\"RENAME\"\n"
    /* RFC 5804 2.2: behind TLS they come unasked */
    mail_stand_client(&stand, SLICE("STARTTLS\r\n|NOOP\r\n"),
                      SLICE("\"IMPLEMENTATION\" \"lbd\"\n\"SASL\" \"\"\n" MORE
                            "\"STARTTLS\"\n\"VERSION\" \"1.0\"\nOK \"mail.example\"\n"
                            "OK \"Begin TLS negotiation now.\"\n<starttls>\n"
                            "\"IMPLEMENTATION\" \"lbd\"\n\"SASL\" \"PLAIN\"\n" MORE
                            "\"VERSION\" \"1.0\"\nOK \"TLS negotiation successful.\"\n"
                            "OK \"NOOP completed.\"\n"));
}
END_TEST

START_TEST(every_form_of_login_is_the_same_login)
{
    static const struct mail_stand_play plays[] = {
        {"AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n", "<login PLAIN joe secret>\n"},
        {"authenticate \"plain\" {16+}\r\nAGpvZQBzZWNyZXQ=\r\n", "<login PLAIN joe secret>\n"},
        {"AUTHENTICATE  \"PLAIN\"  \"AGpvZQBzZWNyZXQ=\" \r\n", "<login PLAIN joe secret>\n"},
        {"AUTHENTICATE {5+}\r\nPLAIN {16+}\r\nAGpvZQBzZWNyZXQ=\r\n", "<login PLAIN joe secret>\n"},
        {"AUTHENTICATE \"PLAIN\"\r\n\"AGpvZQBzZWNyZXQ=\"\r\n", "\"\"\n<login PLAIN joe secret>\n"},
        {"AUTHENTICATE \"PLAIN\"\r\n{16+}\r\nAGpvZQBzZWNyZXQ=\r\n",
         "\"\"\n<login PLAIN joe secret>\n"},
        {"AUTHENTICATE \"LOGIN\"\n\"am9l\"\n\"c2VjcmV0\"\n",
         "\"VXNlcm5hbWU6\"\n\"UGFzc3dvcmQ6\"\n<login LOGIN joe secret>\n"},
        {"AUTHENTICATE \"LOGIN\" \"am9l\"\r\n{8+}\r\nc2VjcmV0\r\n",
         "\"UGFzc3dvcmQ6\"\n<login LOGIN joe secret>\n"},
        {"AUTHENTICATE \"XOAUTH2\" \"dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n",
         "<login XOAUTH2 joe tok>\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
    static const struct mail_stand_client stand = {
        .protocol = MAIL_SIEVE, .is_secure = true, .subject = SLICE_INIT("joe")};
    static const struct mail_stand_play external[] = {
        {"AUTHENTICATE \"EXTERNAL\" \"\"\r\n", "<login EXTERNAL joe >\n"},
        {"AUTHENTICATE \"EXTERNAL\" {0+}\r\n\r\n", "<login EXTERNAL joe >\n"},
        {"AUTHENTICATE \"EXTERNAL\"\r\n\"Ym9i\"\r\n", "\"\"\n<login EXTERNAL joe as bob >\n"},
    };
    mail_stand_clients(&stand, external, ARRAY_LEN(external));
}
END_TEST

START_TEST(what_is_no_login_is_refused)
{
    static const struct mail_stand_play plays[] = {
        {"AUTHENTICATE\r\nAUTHENTICATE PLAIN\r\nAUTHENTICATE \"PLAIN\" x\r\n"
         "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\" x\r\n",
         SYNTAX SYNTAX SYNTAX SYNTAX},
        {"AUTHENTICATE \"CRAM-MD5\"\r\nAUTHENTICATE \"PLAIN\" \"!\"\r\n"
         "AUTHENTICATE \"PLAIN\" \"\"\r\nNOOP\r\n",

         "NO \"Unsupported authentication mechanism.\"\nNO \"Malformed authentication message.\"\n"
         "NO \"Malformed authentication message.\"\nOK \"NOOP completed.\"\n"},
        {"AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\nNOOP\r\n",
         "\"\"\nNO \"Authentication cancelled.\"\nOK \"NOOP completed.\"\n"},
        {"AUTHENTICATE \"PLAIN\"\r\nNOOP\r\nNOOP\r\n",
         "\"\"\nNO \"Authentication cancelled.\"\nOK \"NOOP completed.\"\n"},
        {"AUTHENTICATE \"PLAIN\" \"AGoKb2UAeA==\"\r\n", REFUSED},
        {"AUTHENTICATE \"OAUTHBEARER\" \"biwsAWF1dGg9QmVhcmVyIHRvawEB\"\r\n",
         "NO \"This mechanism needs the name of the user.\"\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = false;
    offer.has_starttls = false;
    struct mail_stand_client stand = {.protocol = MAIL_SIEVE, .offer = &offer};
    mail_stand_client(&stand, SLICE("AUTHENTICATE \"PLAIN\"\r\nSTARTTLS\r\n"),
                      SLICE("NO (ENCRYPT-NEEDED) \"Login is not allowed without TLS.\"\n"
                            "NO \"TLS is not available.\"\n"));
}
END_TEST

START_TEST(commands_before_a_login)
{
    static const struct mail_stand_play plays[] = {
        {"NOOP \r\nLOGOUT  \r\n", "OK \"NOOP completed.\"\nOK \"Logout completed.\"\n<close ok>\n"},
        {"NOOP\r\nnoop \"a \\\"tag\\\"\"\nNOOP {3+}\r\ntag\r\n",
         "OK \"NOOP completed.\"\nOK (TAG \"a \\\"tag\\\"\") \"NOOP completed.\"\n"
         "OK (TAG \"tag\") \"NOOP completed.\"\n"},
        {"NOOP x\r\nNOOP {2+}\r\n\r\n\r\nNOOP \"a\" \"b\"\r\n",
         "NO \"NOOP takes a short string.\"\nNO \"NOOP takes a short string.\"\n"
         "NO \"NOOP takes a short string.\"\n"},
        {"LOGOUT\r\nNOOP\r\n", "OK \"Logout completed.\"\n<close ok>\n"},
        {"\r\nLISTSCRIPTS\r\nLOGOUT x\r\nCAPABILITY \"x\"\r\n\"x\"\r\nNOOP\r\n",
         UNKNOWN UNKNOWN UNKNOWN UNKNOWN UNKNOWN
         "BYE \"Too many bad commands.\"\n<close bad_commands>\n"},
        {"PUTSCRIPT \"x\" {7+}\r\nLOGOUT\n\r\nNOOP\r\n", UNKNOWN "OK \"NOOP completed.\"\n"},
        /* there is no go-ahead in this protocol */
        {"PUTSCRIPT \"x\" {8}\r\nLOGOUT\r\n",
         "NO \"Literals come as {n+}.\"\nBYE \"Too many bad commands.\"\n"
         "<close bad_commands>\n"},
        {"PUTSCRIPT \"x\" {18446744073709551616+}\r\nLOGOUT\r\n",
         "NO \"Literal too long.\"\nBYE \"Command too long.\"\n"
         "<close command_too_long>\n"},
        {"STARTTLS\r\nNOOP\r\n", "OK \"Begin TLS negotiation now.\"\n<injection>\n"},
    };
    mail_stand_clients(&plain, plays, ARRAY_LEN(plays));
    mail_stand_client(&plain, SLICE("NO\0OP\r\n"),
                      SLICE("BYE \"Bad bytes in a command.\"\n<close bad_command_bytes>\n"));
    static const struct mail_stand_client secure = {.protocol = MAIL_SIEVE, .is_secure = true};
    mail_stand_client(&secure, SLICE("STARTTLS\r\n"), SLICE("NO \"TLS is already active.\"\n"));
}
END_TEST

#define LOGIN "AUTHENTICATE \"PLAIN\" \"AGpvZQBzZWNyZXQ=\"\r\n"
#define SENT  "<login PLAIN joe secret>\n"

START_TEST(logins_are_answered)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_SIEVE, .answers = "a", .welcome = {.text = SLICE_INIT("Hello \"joe\"")}};
    mail_stand_client(&stand, SLICE(LOGIN "LISTSCRIPTS\r\n"),
                      SLICE(SENT "OK \"Hello \\\"joe\\\"\"\n<relay LISTSCRIPTS\r\n>\n"));
    stand.welcome.text = SLICE_NONE;
    mail_stand_client(&stand, SLICE(LOGIN), SLICE(SENT "OK \"Logged in.\"\n<relay>\n"));
    stand.answers = "udtisrr";
    stand.text = SLICE("(QUOTA/MAXSIZE) \"too\" much");
    mail_stand_client(&stand, SLICE(LOGIN LOGIN LOGIN LOGIN LOGIN LOGIN LOGIN "NOOP\r\n"),
                      SLICE(SENT
                            "NO (TRYLATER) \"Account is temporarily unavailable.\"\n" SENT
                            "NO \"Login is disabled for this account.\"\n" SENT
                            "NO (TRYLATER) \"Too many sessions.\"\n" SENT
                            "NO (TRYLATER) \"Internal error.\"\n" SENT
                            "NO (QUOTA/MAXSIZE) \"\\\"too\\\" much\"\n" SENT REFUSED SENT REFUSED
                            "BYE \"Too many failed logins.\"\n<close login_failures>\n"));
    stand.answers = "s";
    stand.text = SLICE("(A\") b\r\n");
    mail_stand_client(&stand, SLICE(LOGIN), SLICE(SENT "NO \"(A\\\") b??\"\n"));
    stand.answers = "c";
    stand.text = SLICE("eyJzIjoiNDAxIn0=");
    mail_stand_client(&stand, SLICE(LOGIN "\"AQ==\"\r\nNOOP\r\n"),
                      SLICE(SENT "\"eyJzIjoiNDAxIn0=\"\n" REFUSED "OK \"NOOP completed.\"\n"));
    mail_stand_client(&stand, SLICE(LOGIN "{0+}\r\n\r\nNOOP\r\n"),
                      SLICE(SENT "\"eyJzIjoiNDAxIn0=\"\n" REFUSED "OK \"NOOP completed.\"\n"));
    mail_stand_client(
        &stand, SLICE(LOGIN "NOOP\r\n\"x\"\r\n"),
        SLICE(SENT "\"eyJzIjoiNDAxIn0=\"\n" REFUSED "OK \"NOOP completed.\"\n" UNKNOWN));
}
END_TEST

START_TEST(lines_have_limits)
{
    struct buf script;
    buf_init(&script, (size_t)1024 * 1024);
    for (int i = 0; i < 3; i++) {
        static const struct {
            const char *before;
            size_t len;
            const char *want;
        } cases[] = {
            {"AUTHENTICATE \"PLAIN\" {16384+}\r\n", MAIL_SASL_LINE_MAX,
             "NO \"Malformed authentication message.\"\n"},
            {"AUTHENTICATE \"PLAIN\" {16385+}\r\n", MAIL_SASL_LINE_MAX,
             "NO \"Literal too long.\"\nBYE \"Command too long.\"\n<close command_too_long>\n"},
            {"AUTHENTICATE \"PLAIN\" \"", 300000,
             "BYE \"Command too long.\"\n<close command_too_long>\n"},
        };
        buf_clear(&script);
        buf_append_text(&script, cases[i].before);
        for (size_t k = 0; k < cases[i].len; k++) {
            buf_append_char(&script, 'x');
        }
        buf_append_text(&script, "\r\n");
        mail_stand_client(&plain, buf_slice(&script), slice_from(cases[i].want));
    }
    buf_fini(&script);
}
END_TEST

UNIT_TESTS("sieve_client", says_who_it_is_and_what_it_can, every_form_of_login_is_the_same_login,
           what_is_no_login_is_refused, commands_before_a_login, logins_are_answered,
           lines_have_limits)
