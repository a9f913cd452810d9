/* mail_protocol - see mail_protocol.h. */
#include "lbd/mail/mail_protocol.h"

const char *mail_protocol_word(enum mail_protocol protocol)
{
    static const char *const words[MAIL_PROTOCOL_COUNT] = {
        [MAIL_IMAP] = "imap",
        [MAIL_POP3] = "pop3",
        [MAIL_SMTP] = "smtp",
        [MAIL_SIEVE] = "sieve",
    };
    return words[protocol];
}

const char *mail_mechanism_word(enum mail_mechanism mechanism)
{
    static const char *const words[MAIL_MECHANISM_COUNT] = {
        [MAIL_LOGIN_COMMAND] = "login_command",
        [MAIL_PLAIN] = "PLAIN",
        [MAIL_LOGIN] = "LOGIN",
        [MAIL_XOAUTH2] = "XOAUTH2",
        [MAIL_OAUTHBEARER] = "OAUTHBEARER",
        [MAIL_EXTERNAL] = "EXTERNAL",
    };
    return words[mechanism];
}
