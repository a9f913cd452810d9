/*
 * filter_bandwidth - policies of the kind `bandwidth`: how fast answers flow, each and for all of a
 * key together.
 *
 * What is sent fills a bucket that runs out evenly; while it is full, the answer pauses, and a new
 * request of the same key waits. Counted over all workers of the process. Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_BANDWIDTH_H
#define LBD_FILTER_FILTER_BANDWIDTH_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_bandwidth_ops;

#endif
