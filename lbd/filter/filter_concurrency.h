/*
 * filter_concurrency - policies of the kind `concurrency`: how many requests each client, key or
 * route may have under way at once.
 *
 * Counted over all workers of the process, exactly, from the policy to the end of the request.
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_CONCURRENCY_H
#define LBD_FILTER_FILTER_CONCURRENCY_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_concurrency_ops;

#endif
