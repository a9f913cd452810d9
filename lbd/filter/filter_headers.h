/*
 * filter_headers - policies of the kind `headers`: lines of requests and answers that are set,
 * added or taken out.
 *
 * What a request may not hold any more because of that, its trailers may not bring either: they end
 * here. A request with no room for what it must be given is refused. Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_HEADERS_H
#define LBD_FILTER_FILTER_HEADERS_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_headers_ops;

#endif
