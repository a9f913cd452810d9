/*
 * filter_body_size - policies of the kind `body_size`: how large the body of a request may be.
 *
 * One that says its length is refused before a server sees anything of it; others are counted.
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_BODY_SIZE_H
#define LBD_FILTER_FILTER_BODY_SIZE_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_body_size_ops;

#endif
