/*
 * conf_write - a struct of conf.h becomes JSON, by the table of its keys.
 *
 * All values, defaults included: what is in effect, whether somebody set it or not. What was set is
 * in the canonical text of conf_document.
 *
 * Memory: keeps nothing. Threads: control.
 */
#ifndef CONF_CONF_WRITE_H
#define CONF_CONF_WRITE_H

#include "conf/conf.h"
#include "conf/conf_schema.h"
#include "conf/json/json_write.h"

/* `value` is a struct of `object`; maps of named members are written too. */
void conf_write_object(const struct conf_object *object, const void *value, struct json_write *w);
/* A whole document. */
void conf_write(const struct conf *conf, struct json_write *w);
void conf_write_daemon(const struct conf_daemon *daemon, struct json_write *w);

#endif
