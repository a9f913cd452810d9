/*
 * cmd_mail - users of mail: where they are, and what can be done about it.
 *
 *     mail who USER          mail move USER SERVER    mail kick USER     mail release USER
 *
 * cmd_mail_table has what is about many of them.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_MAIL_H
#define CTL_CMD_MAIL_H

#include "ctl/ctl.h"

enum ctl_exit cmd_mail_who(struct ctl *ctl);
enum ctl_exit cmd_mail_move(struct ctl *ctl);
enum ctl_exit cmd_mail_kick(struct ctl *ctl);
enum ctl_exit cmd_mail_release(struct ctl *ctl);
/* `lbctl mail flush POOL/SERVER [--over TIME]` */
enum ctl_exit cmd_mail_flush(struct ctl *ctl);

#endif
