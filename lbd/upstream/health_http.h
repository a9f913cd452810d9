/*
 * health_http - a server whose answer has an expected status, lines and text is fit.
 *
 * One HTTP/1.1 request with Connection: close, or one of HTTP/2 where the pool speaks it; interim
 * answers (1xx) are skipped; the body is read only where text in it is expected, as far as that
 * text.
 *
 * Limits: one head of 64 KiB in all, 256 header lines, 64 KiB of body (HTTP/2: H2_ASK_BODY_MAX).
 * Threads: control.
 */
#ifndef LBD_UPSTREAM_HEALTH_HTTP_H
#define LBD_UPSTREAM_HEALTH_HTTP_H

#include "lbd/upstream/health_probe.h"

extern const struct health_probe_kind health_http;

#endif
