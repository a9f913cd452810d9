/*
 * api_admin_wish - the body of a PUT on an admin state or a weight, read.
 *
 *     {"state":"drain","reason":"kernel","deadline":"2m","on_deadline":"close","expires":"1h"}
 *     {"weight":"50%","reason":"warming up","expires":"10m"}
 *
 * Limits: reason 256 bytes, deadline and expiry 100 ms to 366 days.
 * Memory: texts of the wish lie in the JSON. Threads: any.
 */
#ifndef API_API_ADMIN_WISH_H
#define API_API_ADMIN_WISH_H

#include <stdbool.h>

#include "conf/conf_errors.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "lbd/control/control.h"

/* Fills in what the body says for a wish of this kind; false: *errors lists all that is wrong. */
LB_MUST_CHECK bool api_admin_wish_read(const struct json *body, struct control_wish *wish,
                                       struct conf_errors *errors);

#endif
