/*
 * cmd_cert - `lbctl cert list|put|rm|expiring`: certificates, whose keys go in and never come out.
 *
 * A private key is read from a file or from stdin, never from the command line, where others could
 * see it.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_CERT_H
#define CTL_CMD_CERT_H

#include "ctl/ctl.h"
#include "ctl/print_table.h"

enum ctl_exit cmd_cert_list(struct ctl *ctl);
enum ctl_exit cmd_cert_put(struct ctl *ctl);
enum ctl_exit cmd_cert_rm(struct ctl *ctl);
/* CTL_NO: some end soon. */
enum ctl_exit cmd_cert_expiring(struct ctl *ctl);

/* Cells of a summary (/v1/status), for `get certificates` as well. */
void cmd_cert_cell_state(struct print_table *table, const struct json *config,
                         const struct json *status);
void cmd_cert_cell_date(struct print_table *table, const struct json *config,
                        const struct json *status);
void cmd_cert_cell_days(struct print_table *table, const struct json *config,
                        const struct json *status);
void cmd_cert_cell_key(struct print_table *table, const struct json *config,
                       const struct json *status);

#endif
