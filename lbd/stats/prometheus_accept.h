/*
 * prometheus_accept - which of the two formats a scraper asks for: the header Accept (RFC 9110
 * 12.5.1).
 *
 *     application/openmetrics-text;version=1.0.0;q=0.8, text/plain;version=0.0.4;q=0.5, any;q=0.1
 *
 * OpenMetrics is given only to who names it, and not with a lower quality than plain text. A
 * version that we do not speak does not match. What cannot be read is passed over; with nothing
 * left, it is plain text.
 *
 * Threads: any.
 */
#ifndef LBD_STATS_PROMETHEUS_ACCEPT_H
#define LBD_STATS_PROMETHEUS_ACCEPT_H

#include "lbd/base/slice.h"
#include "lbd/stats/prometheus.h"

/* `accept` may be empty: the header was not sent. */
enum prometheus_format prometheus_accept(struct slice accept);

#endif
