/*
 * status - status codes and their usual phrases (RFC 9110 15).
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_STATUS_H
#define LBD_HTTP_STATUS_H

#include <stdint.h>

#include "lbd/base/slice.h"

/* The usual phrase; "Unknown" for codes without one. */
struct slice status_phrase(uint16_t status);
/* 1-5, or 0 for a code outside 100-599. */
unsigned status_class(uint16_t status);

#endif
