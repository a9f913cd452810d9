/*
 * cmd_mail_table - mail, by the many: sessions, who belongs where, bans, the cache.
 *
 *     mail sessions [USER]   mail end ID
 *     mail affinity POOL     mail import POOL FILE    mail popmap MAP FILE
 *     mail bans              mail unban ID
 *     mail cache             mail purge [USER]
 *
 * Threads: one.
 */
#ifndef CTL_CMD_MAIL_TABLE_H
#define CTL_CMD_MAIL_TABLE_H

#include "ctl/ctl.h"

enum ctl_exit cmd_mail_sessions(struct ctl *ctl);
enum ctl_exit cmd_mail_end(struct ctl *ctl);
enum ctl_exit cmd_mail_affinity(struct ctl *ctl);
enum ctl_exit cmd_mail_import(struct ctl *ctl);
enum ctl_exit cmd_mail_popmap(struct ctl *ctl);
enum ctl_exit cmd_mail_bans(struct ctl *ctl);
enum ctl_exit cmd_mail_unban(struct ctl *ctl);
enum ctl_exit cmd_mail_cache(struct ctl *ctl);
enum ctl_exit cmd_mail_purge(struct ctl *ctl);

#endif
