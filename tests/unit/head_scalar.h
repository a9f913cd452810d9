/*
 * head_scalar - lbd/http/h1_head.c compiled once more without SSE2: the twin that test_h1_head
 * compares the fast one with, byte for byte.
 *
 * Threads: any.
 */
#ifndef TESTS_UNIT_HEAD_SCALAR_H
#define TESTS_UNIT_HEAD_SCALAR_H

#include "lbd/http/h1_head.h"

enum h1_verdict head_scalar_request(struct h1_head *head, struct slice bytes,
                                    const struct h1_limits *limits, struct message *out);
enum h1_verdict head_scalar_response(struct h1_head *head, struct slice bytes,
                                     const struct h1_limits *limits, enum method request_method,
                                     struct message *out);

#endif
