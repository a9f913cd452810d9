#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

enum how {
    CLEAR = 0,
    SECURE = 1,
    TRUSTED = 2,
    RELAY = 4,
    CLEARTEXT_OK = 8,
    CERTIFICATE = 16,
    EARLY = 32,
    KEYWORDS = 64,
    GREETS = 128,
    RECIPIENT = 256,
};

/* What `how` says, and every login is accepted. */
static void play(unsigned how, struct slice in, struct slice want)
{
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = (how & CLEARTEXT_OK) != 0;
    offer.needs_no_login = (how & RELAY) != 0;
    offer.needs_recipient = (how & RECIPIENT) != 0;
    offer.bad_commands = 4;
    offer.failures = 2;
    if ((how & RELAY) != 0) {
        offer.mechanisms = 0;
    }
    struct mail_stand_client stand = {
        .protocol = MAIL_SMTP,
        .offer = &offer,
        .is_secure = (how & SECURE) != 0,
        .is_trusted = (how & TRUSTED) != 0,
        .is_early = (how & EARLY) != 0,
        .greets = (how & GREETS) != 0,
        .subject = (how & CERTIFICATE) != 0 ? SLICE("joe@example.com") : SLICE_NONE,
        .answers = "a",
    };
    if ((how & KEYWORDS) != 0) {
        stand.keywords =
            SLICE("PIPELINING\nSIZE 1000\nVRFY\nETRN\nSTARTTLS\nAUTH GSSAPI\n8BITMIME\n"
                  "XCLIENT ADDR\nENHANCEDSTATUSCODES\nDSN\nSMTPUTF8\nCHUNKING");
    }
    mail_stand_client(&stand, in, want);
}

static const struct {
    unsigned how;
    struct slice in;
    struct slice want;
} cases[] = {
    {GREETS, SLICE_INIT("EHLO a.example\r\nQUIT\r\n"),
     SLICE_INIT("220 mail.example ESMTP ready\n"
                "250-mail.example\n"
                "250 STARTTLS\n"
                "221 2.0.0 Bye\n"
                "<close ok>\n")},
    {SECURE | KEYWORDS, SLICE_INIT("ehlo [IPv6:2001:db8::1]\r\nhelo a_b\r\nquit\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250-PIPELINING\n"
                "250-SIZE 1000\n"
                "250-8BITMIME\n"
                "250-ENHANCEDSTATUSCODES\n"
                "250-DSN\n"
                "250-SMTPUTF8\n"
                "250-CHUNKING\n"
                "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                "250 mail.example\n"
                "221 2.0.0 Bye\n"
                "<close ok>\n")},
    {SECURE | TRUSTED | CERTIFICATE, SLICE_INIT("EHLO a\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER EXTERNAL\n"
                "250 XCLIENT NAME ADDR PORT PROTO HELO SESSION TTL\n")},
    {RELAY | SECURE, SLICE_INIT("EHLO a\r\n"), SLICE_INIT("250 mail.example\n")},
    {SECURE, SLICE_INIT("EHLO\r\nEHLO  \r\nHELO a b\r\nEHLO a\xc3\xa9\r\n"),
     SLICE_INIT("501 5.5.4 EHLO takes the name of a host\n"
                "501 5.5.4 EHLO takes the name of a host\n"
                "501 5.5.4 HELO takes the name of a host\n"
                "501 5.5.4 EHLO takes the name of a host\n"
                "421 4.7.0 mail.example Too many bad commands\n"
                "<close bad_commands>\n")},
    {SECURE, SLICE_INIT("EHLO a\"@<b>\r\nEHLO a\x01\r\n"),
     SLICE_INIT("501 5.5.4 EHLO takes the name of a host\n"
                "501 5.5.4 EHLO takes the name of a host\n")},
    /* before TLS, and after it nothing is left of before */
    {CLEAR,
     SLICE_INIT("EHLO a\r\nAUTH PLAIN AGpvZQB4\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\n|MAIL x\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "538 5.7.11 Encryption is required for authentication\n"
                "530 5.7.0 Issue a STARTTLS command first\n"
                "220 2.0.0 Ready to start TLS\n"
                "<starttls>\n"
                "503 5.5.1 EHLO comes first\n")},
    {CLEAR, SLICE_INIT("EHLO a\r\nSTARTTLS\r\n|AUTH PLAIN AGpvZQB4\r\nSTARTTLS\r\nEHLO a\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "220 2.0.0 Ready to start TLS\n"
                "<starttls>\n"
                "503 5.5.1 EHLO comes first\n"
                "503 5.5.1 TLS is active already\n"
                "250-mail.example\n"
                "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n")},
    {CLEAR, SLICE_INIT("EHLO a\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "220 2.0.0 Ready to start TLS\n"
                "<injection>\n")},
    {CLEAR, SLICE_INIT("STARTTLS now\r\n"), SLICE_INIT("501 5.5.4 STARTTLS takes no parameters\n")},
    {CLEARTEXT_OK, SLICE_INIT("HELO a\r\nAUTH PLAIN AGpvZQB4\r\n"),
     SLICE_INIT("250 mail.example\n"
                "<login PLAIN joe x>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    /* AUTH */
    {SECURE, SLICE_INIT("AUTH PLAIN AGpvZQB4\r\nEHLO a\r\nAUTH\r\n"),
     SLICE_INIT("503 5.5.1 EHLO comes first\n"
                "250-mail.example\n"
                "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                "501 5.5.4 AUTH takes a mechanism and at most one message\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\nMAIL FROM:<a@b>\r\n"),
     SLICE_INIT("250 mail.example\n"
                "<login PLAIN joe secret>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay MAIL FROM:<a@b>\r\n"
                ">\n")},
    {SECURE, SLICE_INIT("HELO a\r\nauth plain\r\nYW5uAGpvZQBzZWNyZXQ=\r\n"),
     SLICE_INIT("250 mail.example\n"
                "334 \n"
                "<login PLAIN joe as ann secret>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n"),
     SLICE_INIT("250 mail.example\n"
                "334 VXNlcm5hbWU6\n"
                "334 UGFzc3dvcmQ6\n"
                "<login LOGIN joe secret>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH LOGIN am9l\r\nc2VjcmV0\r\n"),
     SLICE_INIT("250 mail.example\n"
                "334 UGFzc3dvcmQ6\n"
                "<login LOGIN joe secret>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n"),
     SLICE_INIT("250 mail.example\n"
                "<login XOAUTH2 joe token>\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    {SECURE | CERTIFICATE, SLICE_INIT("HELO a\r\nAUTH EXTERNAL =\r\n"),
     SLICE_INIT("250 mail.example\n"
                "<login EXTERNAL joe@example.com >\n"
                "235 2.7.0 Authentication successful\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH PLAIN !!!!\r\n"),
     SLICE_INIT("250 mail.example\n"
                "334 \n"
                "501 5.7.0 Authentication cancelled\n"
                "501 5.5.2 This is no message of the mechanism\n"
                "501 5.5.2 This is no message of the mechanism\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH CRAM-MD5\r\nAUTH PLAIN a b\r\nAUTH EXTERNAL =\r\n"),
     SLICE_INIT("250 mail.example\n"
                "504 5.5.4 This mechanism is not offered\n"
                "501 5.5.4 AUTH takes a mechanism and at most one message\n"
                "504 5.5.4 This mechanism is not offered\n")},
    {SECURE,
     SLICE_INIT("HELO a\r\nAUTH PLAIN AAEAeA==\r\nAUTH OAUTHBEARER "
                "biwsAWF1dGg9QmVhcmVyIHQBAQ==\r\n"),
     SLICE_INIT("250 mail.example\n"
                "535 5.7.8 Authentication failed\n"
                "535 5.7.8 It does not say who the user is\n"
                "421 4.7.0 mail.example Too many failed logins\n"
                "<close login_failures>\n")},
    /* other commands before the login */
    {SECURE, SLICE_INIT("MAIL FROM:<a@b>\r\nEHLO a\r\nMAIL FROM:<a@b>\r\nDATA\r\nBDAT 5 LAST\r\n"),
     SLICE_INIT("503 5.5.1 EHLO comes first\n"
                "250-mail.example\n"
                "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                "530 5.7.0 Authentication required\n"
                "530 5.7.0 Authentication required\n"
                "530 5.7.0 Authentication required\n"
                "421 4.7.0 mail.example Too many bad commands\n"
                "<close bad_commands>\n")},
    {SECURE, SLICE_INIT("NOOP\r\nRSET\r\nVRFY a\r\nEXPN a\r\n\r\nHELP\r\n"),
     SLICE_INIT("250 2.0.0 OK\n"
                "250 2.0.0 OK\n"
                "502 5.5.1 Not here\n"
                "502 5.5.1 Not here\n"
                "500 5.5.2 Unknown command\n"
                "502 5.5.1 Not here\n"
                "421 4.7.0 mail.example Too many bad commands\n"
                "<close bad_commands>\n")},
    /* lines end in CRLF */
    {SECURE, SLICE_INIT("EHLO a\nNOOP\r\n"),
     SLICE_INIT("521 5.5.2 Lines end in CRLF, and nothing else does\n"
                "<close bad_command_bytes>\n")},
    {SECURE, SLICE_INIT("NOOP\rNOOP\r\n"),
     SLICE_INIT("521 5.5.2 Lines end in CRLF, and nothing else does\n"
                "<close bad_command_bytes>\n")},
    {SECURE, SLICE_INIT("NOOP\r\r\n"),
     SLICE_INIT("521 5.5.2 Lines end in CRLF, and nothing else does\n"
                "<close bad_command_bytes>\n")},
    {SECURE, SLICE_INIT("NO\0OP\r\n"),
     SLICE_INIT("521 5.5.2 Lines end in CRLF, and nothing else does\n"
                "<close bad_command_bytes>\n")},
    {SECURE, SLICE_INIT("HELO a\r\nAUTH PLAIN\r\nAGpvZQB4\n"),
     SLICE_INIT("250 mail.example\n"
                "334 \n"
                "521 5.5.2 Lines end in CRLF, and nothing else does\n"
                "<close bad_command_bytes>\n")},
    {EARLY, SLICE_INIT("EHLO a\r\nMAIL FROM:<a@b>\r\n"),
     SLICE_INIT("554 5.5.1 The server speaks first\n"
                "<close early_talker>\n")},
    /* who is behind it */
    {CLEAR, SLICE_INIT("XCLIENT ADDR=192.0.2.1\r\n"),
     SLICE_INIT("550 5.7.0 XCLIENT is for trusted clients\n")},
    {TRUSTED | SECURE,
     SLICE_INIT("EHLO a\r\nXCLIENT ADDR=IPV6:2001:db8::1 PORT=77 NAME=[UNAVAILABLE] "
                "HELO=x SESSION=x+2B7 TTL=3\r\nMAIL FROM:<a@b>\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                "250 XCLIENT NAME ADDR PORT PROTO HELO SESSION TTL\n"
                "220 mail.example ESMTP ready\n"
                "503 5.5.1 EHLO comes first\n"
                "<behind 2001:db8::1>\n")},
    {TRUSTED, SLICE_INIT("XCLIENT LOGIN=joe\r\nXCLIENT ADDR=::g\r\nXCLIENT ADDR=1.2.3.4 X=1\r\n"),
     SLICE_INIT("501 5.5.4 Bad attributes\n"
                "501 5.5.4 Bad attributes\n"
                "501 5.5.4 Bad attributes\n")},
    /* a relay port */
    {RELAY,
     SLICE_INIT("MAIL FROM:<a@b>\r\nEHLO a\r\nRCPT TO:<c@d>\r\nMAIL FROM:<\xc3\xa9@b> "
                "SIZE=10\r\nRCPT TO:<c@d>\r\n"),
     SLICE_INIT("503 5.5.1 EHLO comes first\n"
                "250-mail.example\n"
                "250 STARTTLS\n"
                "503 5.5.1 MAIL comes first\n"
                "<relay MAIL FROM:<\xc3\xa9@b> SIZE=10>\n"
                "<relay RCPT TO:<c@d>\r\n"
                ">\n")},
    /* one whose callback wants to know the recipient */
    {RELAY | RECIPIENT,
     SLICE_INIT("EHLO a\r\nMAIL FROM:<a@b> SIZE=10\r\nDATA\r\nRCPT TO:<c@d>\r\nRCPT "
                "TO:<e@f>\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "250 2.0.0 OK\n"
                "503 5.5.1 RCPT comes first\n"
                "<relay RCPT TO:<c@d>>\n"
                "<relay RCPT TO:<e@f>\r\n"
                ">\n")},
    {RELAY | RECIPIENT,
     SLICE_INIT("EHLO a\r\nRCPT TO:<c@d>\r\nMAIL\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<x@y>\r\n"
                "RSET\r\nRCPT TO:<c@d>\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "503 5.5.1 MAIL comes first\n"
                "501 5.5.4 MAIL takes an address\n"
                "250 2.0.0 OK\n"
                "503 5.5.1 There is a MAIL already\n"
                "250 2.0.0 OK\n"
                "503 5.5.1 MAIL comes first\n"
                "421 4.7.0 mail.example Too many bad commands\n"
                "<close bad_commands>\n")},
    {RELAY | RECIPIENT, SLICE_INIT("EHLO a\r\nMAIL FROM:<a@b>\r\nEHLO b\r\nRCPT TO:<c@d>\r\n"),
     SLICE_INIT("250-mail.example\n"
                "250 STARTTLS\n"
                "250 2.0.0 OK\n"
                "250-mail.example\n"
                "250 STARTTLS\n"
                "503 5.5.1 MAIL comes first\n")},
};

START_TEST(answers_as_smtp)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        play(cases[i].how, cases[i].in, cases[i].want);
    }
}
END_TEST

/* What the server or the callback decided, and what goes on after it. */
static const struct {
    const char *answer; /* mail_stand has the letters */
    struct slice text;
    const char *login;
    const char *relay; /* to MAIL on a relay port */
} ends[] = {
    {"a", SLICE_INIT("2.7.0 Welcome\r\n"), "235 2.7.0 Welcome??\n", ""},
    {"a", SLICE_INIT(""), "235 2.7.0 Authentication successful\n", ""},
    {"r", SLICE_INIT("x"), "535 5.7.8 Authentication failed\n",
     "550 5.7.1 Authentication failed\n"},
    {"s", SLICE_INIT("454 4.7.1 not\r\nnow"), "454 4.7.1 not??now\n", "454 4.7.1 not??now\n"},
    {"s", SLICE_INIT("not now"), "535 5.7.0 not now\n", "550 5.7.0 not now\n"},
    {"d", SLICE_INIT(""), "525 5.7.13 Login is disabled for this account\n",
     "550 5.7.1 Login is disabled for this account\n"},
    {"t", SLICE_INIT(""), "421 4.7.0 Too many sessions\n", "421 4.7.0 Too many sessions\n"},
    {"u", SLICE_INIT(""), "454 4.7.0 Account is temporarily unavailable\n",
     "451 4.3.0 Account is temporarily unavailable\n"},
    {"i", SLICE_INIT(""), "451 4.3.2 Internal error\n", "451 4.3.2 Internal error\n"},
};

START_TEST(says_how_a_login_ended)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        for (int is_relay = 0; is_relay < 2; is_relay++) {
            struct mail_offer offer = mail_stand_offer;
            offer.needs_no_login = is_relay == 1;
            struct mail_stand_client stand = {.protocol = MAIL_SMTP,
                                              .offer = &offer,
                                              .answers = ends[i].answer,
                                              .text = ends[i].text,
                                              .welcome = {.text = ends[i].text}};
            const char *after = "250 2.0.0 OK\n";
            if (*ends[i].answer == 'a') {
                after = "<relay>\n";
            } else if (*ends[i].answer == 't') {
                after = "<close too_many_connections>\n";
            }
            char want[512];
            (void)snprintf(want, sizeof(want), "250 mail.example\n%s\n%s%s",
                           is_relay ? "<relay MAIL FROM:<>>" : "<login PLAIN joe secret>",
                           is_relay ? ends[i].relay : ends[i].login, after);
            mail_stand_client(&stand,
                              is_relay
                                  ? SLICE("HELO a\r\nMAIL FROM:<>\r\n|NOOP\r\n")
                                  : SLICE("HELO a\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n|NOOP\r\n"),
                              slice_from(want));
        }
    }
}
END_TEST

START_TEST(says_why_it_ends)
{
    static const struct {
        enum close_reason reason;
        const char *want;
    } byes[] = {
        {CLOSE_OK, "221 2.0.0 Bye\r\n"},
        {CLOSE_LOGIN_TIMEOUT, "421 4.4.2 mail.example Disconnected for inactivity\r\n"},
        {CLOSE_DRAINING, "421 4.3.2 mail.example Server shutting down, please connect again\r\n"},
        {CLOSE_ADDRESS_BANNED, "421 4.7.0 mail.example Too many failed logins\r\n"},
        {CLOSE_EARLY_TALKER, "554 5.5.1 The server speaks first\r\n"},
    };
    struct mail_offer offer = mail_stand_offer;
    offer.protocol = MAIL_SMTP;
    for (size_t i = 0; i < ARRAY_LEN(byes); i++) {
        struct mail_client client;
        struct buf out;
        buf_init(&out, 1024);
        mail_client_init(&client, &offer, false);
        mail_client_bye(&client, byes[i].reason, &out);
        unit_expect(slice_eq(buf_slice(&out), slice_from(byes[i].want)), "'%.*s', not '%s'",
                    SLICE_ARG(buf_slice(&out)), byes[i].want);
        mail_client_fini(&client);
        buf_fini(&out);
    }
}
END_TEST

/* RFC 7628 3.2.3: the line that answers the challenge is no command. */
START_TEST(passes_a_challenge_on)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_SMTP, .answers = "c", .text = SLICE_INIT("e30=")};
    mail_stand_client(&stand,
                      SLICE("HELO a\r\nAUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n"
                            "\r\nNOOP\r\n"),
                      SLICE("250 mail.example\n<login XOAUTH2 joe token>\n334 e30=\n"
                            "535 5.7.8 Authentication failed\n250 2.0.0 OK\n"));
}
END_TEST

START_TEST(has_limits)
{
    static const struct {
        const char *begin;
        size_t len; /* of the lines without the last end */
        char fill;
        struct slice want;
    } limits[] = {
        {"HELO ", 5 + 256, 'u', SLICE_INIT("250 mail.example\n")},
        {"HELO ", 5 + 257, 'u', SLICE_INIT("501 5.5.4 HELO takes the name of a host\n")},
        {"NOOP ", 2048, 'u', SLICE_INIT("250 2.0.0 OK\n")},
        {"NOOP ", 2049, 'u', SLICE_INIT("500 5.5.6 Line too long\n<close command_too_long>\n")},
        {"", 100000, 'x', SLICE_INIT("500 5.5.6 Line too long\n<close command_too_long>\n")},
        {"HELO a\r\nAUTH PLAIN\r\n", 20 + 16384, 'A',
         SLICE_INIT("250 mail.example\n334 \n501 5.5.2 This is no message of the mechanism\n")},
        {"HELO a\r\nAUTH PLAIN\r\n", 20 + 16385, 'A',
         SLICE_INIT("250 mail.example\n334 \n500 5.5.6 Line too long\n<close command_too_long>\n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct mail_stand_client stand = {.protocol = MAIL_SMTP};
        mail_stand_client_line(&stand, limits[i].begin, limits[i].len, limits[i].fill,
                               limits[i].want);
    }
}
END_TEST

UNIT_TESTS("smtp_client", answers_as_smtp, says_how_a_login_ended, says_why_it_ends,
           passes_a_challenge_on, has_limits)
