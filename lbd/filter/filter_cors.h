/*
 * filter_cors - policies of the kind `cors`: which other sites' pages may read answers (the CORS
 * protocol of the Fetch standard).
 *
 * lbd answers preflights itself; no server sees one. It speaks for the server: what that says of
 * these matters is dropped. It tells browsers, and keeps nobody out. Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_CORS_H
#define LBD_FILTER_FILTER_CORS_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_cors_ops;
/* Does the pattern, an origin in full or with a star for what is below its domain, stand for this one? */
bool filter_cors_matches(struct slice pattern, struct slice origin);

#endif
