/*
 * api_status_inside - pieces of status documents that api_status and api_overview share.
 *
 * Threads: control.
 */
#ifndef API_API_STATUS_INSIDE_H
#define API_API_STATUS_INSIDE_H

#include "api/api_request.h"
#include "lbd/control/control_conditions.h"

struct api_status_tally {
    uint32_t servers;
    uint32_t usable;
};

struct api_status_tally api_status_tally(const struct api_request *request,
                                         const struct conf_pool *pool);
/* NULL: it is gone. */
const struct registry_server *api_status_find(const struct api_request *request, struct slice pool,
                                              struct slice server);
/* "observed_revision" and "conditions" as members. */
void api_status_write_conditions(const struct api_request *request, struct json_write *w,
                                 const struct control_condition *conditions, uint32_t count);
/* "queued" as a member, where the pool has a queue. */
void api_status_write_queue(const struct api_request *request, const struct conf_pool *pool,
                            struct json_write *w);
/* Their members. */
void api_status_write_server(const struct api_request *request, struct slice pool,
                             const struct conf_server *conf, struct json_write *w);
/* "dns" as a member, where its address is a name; "discovered", where the pool has templates. */
void api_status_write_dns(const struct api_request *request, struct slice pool, struct slice server,
                          struct json_write *w);
void api_status_write_templates(const struct api_request *request, struct slice pool,
                                struct json_write *w);
void api_status_write_listener(const struct api_request *request, const struct conf_listener *conf,
                               struct json_write *w);

#endif
