/*
 * mail_session_inside - what the files of mail_session share and nobody else sees.
 *
 *     mail_session.c   commands, STARTTLS, ends     mail_session_login.c   a login
 *
 * Threads: the worker's.
 */
#ifndef LBD_PROXY_MAIL_SESSION_INSIDE_H
#define LBD_PROXY_MAIL_SESSION_INSIDE_H

#include "lbd/proxy/mail_session.h"
#include "lbd/proxy/session.h"

static inline struct mail_session *mail_session_of(const struct conn *conn)
{
    return conn->user;
}
static inline struct conn *mail_session_client(const struct mail_session *mail)
{
    return &mail->session->conn;
}
static inline uint64_t mail_session_now(const struct mail_session *mail)
{
    return loop_now_us(mail->proxy->loop);
}
static inline struct counters_mail *mail_session_counters(const struct mail_session *mail)
{
    return &mail->proxy->counters->mail[mail->plan->mail->offer.protocol];
}

/* Sends what lies in mail->out. False: the client is gone, and so is the session. */
bool mail_session_say(struct mail_session *mail);
/* Ends it; what was said last goes out first. */
void mail_session_leave(struct mail_session *mail, enum close_reason reason);
/* Ends it at once: nobody listens. */
void mail_session_drop(struct mail_session *mail, enum close_reason reason);
/* Frees the object; the connection is somebody else's from here on, or closes. */
void mail_session_free(struct mail_session *mail);
/* From now on: `silence_ms` at most, and never beyond the time for the whole login. */
void mail_session_deadline(struct mail_session *mail, uint64_t silence_ms);
/* Back to commands; the client may have said something already. */
void mail_session_go_on(struct mail_session *mail);

/* The login is whole, or the MAIL of a relay port: from here on nothing is read until it is
 * answered. */
void mail_session_login(struct mail_session *mail, bool is_relay);
/* Whatever is under way of a login is over. Also when none is. */
void mail_session_login_end(struct mail_session *mail);

#endif
