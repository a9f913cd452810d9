/*
 * filter_access - policies of the kind `access`: which clients may come, by their address.
 *
 * Of listeners that speak something else than HTTP, which connections are let in.
 * Who is denied is refused, be it allowed or not; where some are allowed, all others are refused.
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_ACCESS_H
#define LBD_FILTER_FILTER_ACCESS_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_access_ops;

#endif
