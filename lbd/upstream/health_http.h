/*
 * health_http - a server whose answer has an expected status is fit.
 *
 * One HTTP/1.1 request with Connection: close; interim answers (1xx) are skipped; the body is not
 * read.
 *
 * Limits: one head of 64 KiB in all, 256 header lines. Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_HTTP_H
#define LBD_UPSTREAM_HEALTH_HTTP_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_http;

#endif
