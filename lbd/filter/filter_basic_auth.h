/*
 * filter_basic_auth - policies of the kind `basic_auth`: a name and a password (RFC 7617).
 *
 *     Authorization: Basic -> known good on this worker? --------------------> GO_ON
 *                             '-> crypt_r on the worker's thread -> known --> GO_ON
 *                                                                '-> 401
 *
 * A good login is remembered for FILTER_BASIC_AUTH_KEPT_US under an HMAC of name, password and
 * hash, so that a changed hash is asked anew. For a name that is not there as long is spent as for
 * one that is.
 *
 * Threads: see filter.h; crypt_r on the thread of filter_worker.
 */
#ifndef LBD_FILTER_FILTER_BASIC_AUTH_H
#define LBD_FILTER_FILTER_BASIC_AUTH_H

#include "lbd/filter/filter.h"

#define FILTER_BASIC_AUTH_KEPT_US (300U * UINT64_C(1000000))

extern const struct filter_ops filter_basic_auth_ops;

#endif
