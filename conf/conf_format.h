/*
 * conf_format - what a string in the configuration must look like.
 *
 * Pure functions, one for each enum conf_format. Values that go into HTTP heads are checked here
 * once, so that no CR, LF or NUL can reach a header builder later.
 *
 * Memory: keeps nothing. Threads: any.
 */
#ifndef CONF_CONF_FORMAT_H
#define CONF_CONF_FORMAT_H

#include <stdbool.h>

#include "conf/conf_schema.h"
#include "lbd/base/slice.h"

#define CONF_MAIL_KEY_MAX 320U /* bytes of a name of a CONF_FORMAT_MAIL_KEY */

/* NULL: it is fine; else a sentence that begins with "must". */
const char *conf_format_problem(enum conf_format format, struct slice text);
/* The same for the name of a header line that we send. */
const char *conf_format_header_name_problem(struct slice name);
/* [a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])? */
bool conf_format_is_name(struct slice text);

#endif
