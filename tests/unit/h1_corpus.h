/*
 * h1_corpus - heads that tell a strict HTTP/1.1 parser from a lenient one, each with the rule it
 * rests on.
 *
 * test_h1_head feeds them whole, split at every byte and through the scalar twin; smuggling and
 * its relatives are what most of them try.
 *
 * Threads: any.
 */
#ifndef TESTS_UNIT_H1_CORPUS_H
#define TESTS_UNIT_H1_CORPUS_H

#include <stddef.h>

#include "lbd/base/close_reason.h"
#include "lbd/base/slice.h"
#include "lbd/http/method.h"

/* `want` of a head that is a beginning of a good one. */
#define H1_CASE_MORE CLOSE_REASON_COUNT

/* Like SLICE, for tables in static memory. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        "" literal "", sizeof(literal) - 1                                                         \
    }

struct h1_case {
    const char *rule; /* of HTTP.md 4.2, or a section of an RFC; and what is tried */
    struct slice bytes;
    enum close_reason want; /* CLOSE_OK: accepted */
    /* of an accepted request: "authority path query framing", then words for what is unusual;
     * of an answer: "status phrase framing" and words; NULL: not looked at */
    const char *facts;
    enum method method; /* answers: what was asked; METHOD_OTHER stands for GET */
};

extern const struct h1_case h1_requests[];
extern const size_t h1_requests_len;
extern const struct h1_case h1_responses[];
extern const size_t h1_responses_len;

#endif
