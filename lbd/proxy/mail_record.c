/* mail_record - see mail_record.h. */
#include "lbd/proxy/mail_record.h"

#include "lbd/proxy/door.h"
#include "lbd/proxy/mail_session.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/session_proxy.h"
#include "lbd/proxy/tunnel.h"
#include "lbd/stats/access_record.h"
#include "lbd/tls/tls_conn.h"

/* What every line has. `behind`: the client of a peer that speaks for others; NULL: the peer. */
static void fill(struct access_record *record, const struct session *session,
                 const struct addr_small *behind, enum mail_protocol protocol)
{
    struct loop *loop = session->front->proxy->loop;
    struct tls_conn_facts tls = {.version = SLICE_NONE};
    (void)tls_conn_look(&session->conn, &tls);
    *record = (struct access_record){
        .time_us = loop_wall_us(loop),
        .client = behind != NULL ? *behind : session->conn.peer,
        .local = session_destination(session),
        .listener = slice_from(session->front->listener->name),
        .protocol = slice_from(mail_protocol_word(protocol)),
        .tls = tls.version,
        .cipher = tls.cipher,
        .sni = tls.sni,
        .subject = tls.subject,
        .proxy_authority = session_proxy_said(session)->authority,
        .proxy_unique_id = session_proxy_said(session)->unique_id,
        .duration_us = loop_now_us(loop) - session->opened_us,
        .connection_id = session->id,
        .shadow_policy = door_shadow_policy(session),
    };
    if (behind != NULL) {
        record->peer = session->conn.peer;
    }
}

static void write_line(const struct mail_session *mail, struct slice event,
                       enum close_reason reason)
{
    struct access_record record;
    char state[MAIL_SESSION_STATE_MAX];
    struct access_log *log = mail->proxy->access_log;
    if (log == NULL || mail->plan->seeing.is_unlogged) {
        return;
    }
    fill(&record, mail->session, mail_session_behind(mail), mail->plan->mail->offer.protocol);
    record.event = event;
    record.user = mail_session_user(mail->session);
    record.mechanism = record.user.len != 0
                           ? slice_from(mail_mechanism_word((enum mail_mechanism)mail->mechanism))
                           : SLICE_NONE;
    record.state = mail_session_state(mail, state);
    record.pool = mail->pool != NULL ? mail->pool->name : SLICE_NONE;
    if (mail->tries > 0 && mail->member != BALANCER_NONE) {
        record.server = slice_from(mail->pool->members[mail->member].server->name);
    }
    record.tries = mail->tries;
    record.reason = reason;
    record.revision = mail->revision;
    if (mail->leg.is_connected) {
        record.connect_us = mail->leg.connected_us - mail->leg.started_us;
    }
    (void)access_log_write(log, &record);
}

void mail_record_login(const struct mail_session *mail, enum close_reason reason)
{
    write_line(mail, SLICE("login"), reason);
}

void mail_record_end(const struct mail_session *mail, enum close_reason reason)
{
    write_line(mail, SLICE("end"), reason);
}

void mail_record_relayed(const struct session *session, const struct mail_seat *seat,
                         const struct addr_small *behind, const struct server *server,
                         enum close_reason reason, uint64_t up_bytes, uint64_t down_bytes)
{
    struct access_record record;
    struct access_log *log = session->front->proxy->access_log;
    if (log == NULL || session->front->plan->seeing.is_unlogged) {
        return;
    }
    fill(&record, session, behind, (enum mail_protocol)seat->protocol);
    record.event = SLICE("end");
    if (seat->user != NULL) { /* else it is a relay port */
        record.user = mail_users_name(seat);
        record.mechanism = slice_from(mail_mechanism_word((enum mail_mechanism)seat->mechanism));
    }
    record.state = SLICE("relay");
    record.pool = slice_from(server->pool_name);
    record.server = slice_from(server->name);
    record.tries = 1;
    record.reason = reason;
    record.request_bytes = up_bytes;
    record.response_bytes = down_bytes;
    record.revision = session->front->proxy->revision;
    (void)access_log_write(log, &record);
}
