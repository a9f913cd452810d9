/*
 * cmd_status - `lbctl status`: one screen that says whether all is well; and `lbctl version`.
 *
 *     lbd 0.1.0  running  revision 42 (api)  up 3d 4h  2 workers
 *
 *     LISTENER  ADDRESS         STATE  CONNECTIONS
 *     web       127.0.0.1:8080  up              12
 *
 *     SERVER     ADDRESS         HEALTH  ADMIN  WEIGHT  CONNECTIONS
 *     demo/anna  127.0.0.1:9081  up      ready     100            3
 *
 *     no problems
 *
 * With more servers than fit a screen, only those that are not up and ready are listed.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_STATUS_H
#define CTL_CMD_STATUS_H

#include "conf/json/json.h"
#include "ctl/ctl.h"
#include "ctl/print_table.h"
#include "ctl/server_name.h"

enum { CMD_STATUS_SERVERS_MAX = 40 }; /* listed one by one whatever their state */

enum ctl_exit cmd_status(struct ctl *ctl);
enum ctl_exit cmd_status_version(struct ctl *ctl);

/* The colours of words that say how something is. */
enum print_color cmd_status_health_color(struct slice health);
enum print_color cmd_status_admin_color(struct slice admin);
/* Asks how a server is, and prints that. */
enum ctl_exit cmd_status_print_health(struct ctl *ctl, const struct server_name *name);
/* The cells of one server: "pool/name", address, health, admin, weight, connections. */
void cmd_status_server_cells(struct print_table *table, struct slice pool, struct slice name,
                             const struct json *server);

#endif
