/* mail_prove - see mail_prove.h. */
#include "lbd/mail/mail_prove.h"

#include <string.h>

#include "lbd/mail/mail_line.h"
#include "lbd/mail/sasl.h"

void mail_prove_begin(struct mail_server *server, const struct sasl_proof *proof, size_t max,
                      struct buf *out)
{
    const char *mechanism = mail_mechanism_word(proof->mechanism);
    struct buf message;
    buf_init(&message, 2 * MAIL_SASL_LINE_MAX);
    server->at = MAIL_AT_LOGIN;
    server->step = MAIL_PROVE_MESSAGE;
    buf_append_text(out, "AUTH ");
    buf_append_text(out, mechanism);
    if (max > 0 && proof->mechanism != MAIL_LOGIN) {
        sasl_write(proof, &message);
    }
    if (message.len > 0 && strlen("AUTH  \r\n") + strlen(mechanism) + message.len <= max) {
        buf_append_char(out, ' ');
        buf_append_slice(out, buf_slice(&message));
        server->step = MAIL_PROVE_VERDICT;
    }
    mail_line_say(out, "");
    mail_line_fini(&message);
}

/* RFC 7628 3.2.3: it says in JSON why not, we take note, then it refuses. */
static void take_challenge(struct mail_server *server, struct slice text, struct buf *out,
                           enum mail_server_event *event)
{
    mail_line_say(out, server->mechanism == MAIL_OAUTHBEARER ? "AQ==" : "");
    buf_clear(&server->text);
    buf_append_slice(&server->text, text);
    server->step = MAIL_PROVE_CHALLENGED;
    *event = MAIL_SERVER_CHALLENGE;
}

void mail_prove_continue(struct mail_server *server, struct slice text, struct buf *out,
                         enum mail_server_event *event)
{
    struct sasl_proof proof;
    if (server->at != MAIL_AT_LOGIN || !mail_server_proof(server, &proof)) {
        mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("a prompt for nothing"), event);
        return;
    }
    proof.mechanism = (enum mail_mechanism)server->mechanism;
    switch (server->step) {
    case MAIL_PROVE_MESSAGE:
        sasl_write(&proof, out);
        mail_line_say(out, "");
        server->step = proof.mechanism == MAIL_LOGIN ? MAIL_PROVE_PASSWORD : MAIL_PROVE_VERDICT;
        return;
    case MAIL_PROVE_PASSWORD:
        sasl_write_second(&proof, out);
        mail_line_say(out, "");
        server->step = MAIL_PROVE_VERDICT;
        return;
    case MAIL_PROVE_VERDICT:
        if (mail_mechanism_is_token(proof.mechanism)) {
            take_challenge(server, text, out, event);
            return;
        }
        break;
    default:
        break;
    }
    mail_server_fail(server, CLOSE_BAD_RESPONSE, SLICE("one prompt too many"), event);
}
