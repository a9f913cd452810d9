/*
 * filter_maintenance - policies of the kind `maintenance`: one page for everybody but those who do
 * the work.
 *
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_MAINTENANCE_H
#define LBD_FILTER_FILTER_MAINTENANCE_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_maintenance_ops;

#endif
