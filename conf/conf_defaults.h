/*
 * conf_defaults - what holds where nothing was set, by the table of settings.
 *
 * Memory: texts of defaults are constants. Threads: any.
 */
#ifndef CONF_CONF_DEFAULTS_H
#define CONF_CONF_DEFAULTS_H

#include "conf/conf_schema.h"

/* Fills `out` (of object->size bytes) with the defaults of `object`. */
void conf_defaults_fill(const struct conf_object *object, void *out);

#endif
