/*
 * server_name - which server does "web/anna", or just "anna", mean?
 *
 * A name without its pool is looked up in what runs; several pools with such a server are listed
 * rather than one of them guessed.
 *
 * Limits: names as the API has them, at most SERVER_NAME_MAX bytes. Memory: owns its texts.
 * Threads: one.
 */
#ifndef CTL_SERVER_NAME_H
#define CTL_SERVER_NAME_H

#include <stdbool.h>

#include "ctl/ctl.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"

enum { SERVER_NAME_MAX = 63 };

struct server_name {
    char pool[SERVER_NAME_MAX + 1];
    char server[SERVER_NAME_MAX + 1]; /* "" when a whole pool is meant */
};

/* Reads "POOL/SERVER"; a bare word is a pool. False: printed why not, *code is CTL_USAGE. */
LB_MUST_CHECK bool server_name_read(struct ctl *ctl, const char *text, struct server_name *name,
                                    enum ctl_exit *code);
/* Reads "POOL/SERVER" or a server's name alone, asking lbd then. */
LB_MUST_CHECK bool server_name_find(struct ctl *ctl, const char *text, struct server_name *name,
                                    enum ctl_exit *code);
/* Asks (confirm_ask) when "POOL/SERVER" is the last of its pool that may receive requests and is to
 * be `fate` ("drained"). */
enum ctl_exit server_name_confirm_last(struct ctl *ctl, const char *text, const char *fate);
/* What to look at when there is no such pool or server. */
void server_name_hint(struct ctl *ctl, const struct server_name *name);
/* Appends /v1/pools/POOL[/servers/SERVER]. */
void server_name_path(const struct server_name *name, struct buf *path);

#endif
