/*
 * cmd_set - one value or one thing: `lbctl set`, `unset`, `delete`.
 *
 * A pointer leads into the document, as `pools/web/servers/a/weight`, with or without a slash in
 * front. What is read, changed and written back is the smallest resource of the API that holds it,
 * with its ETag: of two people who set two values none is lost.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_SET_H
#define CTL_CMD_SET_H

#include "conf/json/json.h"
#include "ctl/ctl.h"

/* `lbctl set POINTER VALUE` */
enum ctl_exit cmd_set(struct ctl *ctl);
/* `lbctl unset POINTER` */
enum ctl_exit cmd_set_unset(struct ctl *ctl);
/* `lbctl delete KIND NAME` */
enum ctl_exit cmd_set_delete(struct ctl *ctl);

/* JSON when it is JSON, else a text. The caller owns it. */
struct json *cmd_set_read_value(const char *text);

#endif
