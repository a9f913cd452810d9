/*
 * control_mail_inside - what the files of control_mail share and nobody else sees.
 *
 *     control_mail.c   kicks, moves, housekeeping     control_mail_drain.c  moving users off
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_MAIL_INSIDE_H
#define LBD_CONTROL_CONTROL_MAIL_INSIDE_H

#include "lbd/base/list.h"
#include "lbd/control/control_mail.h"

/* A server that is up again, whose users come home. */
struct control_mail_home {
    struct control_mail_home *next;
    char *pool;   /* owned */
    char *server; /* owned */
    uint64_t cursor;
};

struct control_mail {
    struct control *control;
    struct loop_timer timer;
    bool is_walking; /* over all clients, to end those that were kicked */
    bool walks_again;
    struct control_mail_home *homes;
    struct list_node drains;
};

/* To put this user on a member of the pool, now. Texts are borrowed. */
struct mail_users_wish control_mail_wish(const struct control *control, const struct pool *pool,
                                         struct slice user, uint32_t member);
/* The next users of each drain. Once a second. */
void control_mail_drains_turn(struct control_mail *mail, uint64_t now_ms);
void control_mail_drains_free(struct control_mail *mail);

#endif
