/*
 * head_counted - lbd/http/h1_head.c compiled once more so that it counts the bytes its scanners
 * look at: the work of a head that comes in pieces must stay linear.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_HEAD_COUNTED_H
#define TESTS_UNIT_HEAD_COUNTED_H

#include "lbd/http/h1_head.h"

extern uint64_t head_counted_bytes;

enum h1_verdict head_counted_request(struct h1_head *head, struct slice bytes,
                                     const struct h1_limits *limits, struct message *out);
enum h1_verdict head_counted_response(struct h1_head *head, struct slice bytes,
                                      const struct h1_limits *limits, enum method request_method,
                                      struct message *out);

#endif
