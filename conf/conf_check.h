/*
 * conf_check - what no single field can know: does the document make sense as a whole?
 *
 * References lead somewhere, binds do not clash, routes are not in each other's shadow and fit what
 * their listener speaks, pools have servers; TCP addresses of the API have TLS.
 *
 * Memory: keeps nothing. Threads: control.
 */
#ifndef CONF_CONF_CHECK_H
#define CONF_CONF_CHECK_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/conf_errors.h"

/* Adds errors and warnings. Returns true when there was no error. */
bool conf_check(const struct conf *conf, struct conf_errors *errors);
/* The same for the key `daemon`. */
bool conf_check_daemon(const struct conf_daemon *daemon, struct conf_errors *errors);
/* Adds an error with code "in-use" for everything that refers to the object `name` of the top-level
 * map `collection` ("pools", "listeners", "certificates", ...). Returns true when there is none. */
bool conf_check_unused(const struct conf *conf, struct slice collection, struct slice name,
                       struct conf_errors *errors);

#endif
