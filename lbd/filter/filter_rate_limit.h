/*
 * filter_rate_limit - policies of the kind `rate_limit`: how many requests each client, key or
 * route may send in a time.
 *
 * Counted over all workers of the process, exactly. Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_RATE_LIMIT_H
#define LBD_FILTER_FILTER_RATE_LIMIT_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_rate_limit_ops;

#endif
