/*
 * filter_security_headers - policies of the kind `security_headers`: what answers tell browsers to
 * be careful about.
 *
 * What a server says itself stands, unless `override`. Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_SECURITY_HEADERS_H
#define LBD_FILTER_FILTER_SECURITY_HEADERS_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_security_headers_ops;

#endif
