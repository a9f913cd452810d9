/*
 * filter_jwt - policies of the kind `jwt`: a signed token says who it is (RFC 7519, RFC 6750).
 *
 *     token -> verified a moment ago on this worker? ------------> claims -> GO_ON
 *                '-> signature, time, issuer, audience, claims ----^   '---> 401, 403
 *
 * A request with several tokens, or several fields of Authorization, has none that is good: a server
 * might believe the one that was not looked at.
 *
 * A verified token is remembered under an HMAC of it until it ends, at most FILTER_JWT_KEPT_US,
 * with what servers are told of it.
 *
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_JWT_H
#define LBD_FILTER_FILTER_JWT_H

#include "lbd/filter/filter.h"

#define FILTER_JWT_KEPT_US     (300U * UINT64_C(1000000))
#define FILTER_JWT_HEADERS_MAX 8U

extern const struct filter_ops filter_jwt_ops;

#endif
