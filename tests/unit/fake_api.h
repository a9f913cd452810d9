/*
 * fake_api - a scripted API on a unix socket, and lbctl run against it.
 *
 * A script is a list of turns: the question that must come ("GET /v1/status") and the bytes that
 * answer it. One connection a turn, in this order, on a thread of its own. Whatever else comes
 * fails the test, and so does a turn that never came.
 *
 *     static const struct fake_turn turns[] = {{"GET /v1/status", FAKE_JSON("{}")}};
 *     struct fake_run run = fake_lbctl(turns, ARRAY_LEN(turns), "status", "-o", "json", NULL);
 *     ck_assert_int_eq(run.code, CTL_OK);
 *     ck_assert_str_eq(run.out, "{}\n");
 *     fake_run_fini(&run);
 *
 * Limits: every wait ends after FAKE_LIMIT_MS. Memory: a run owns its texts; scripts are borrowed.
 */
#ifndef TESTS_UNIT_FAKE_API_H
#define TESTS_UNIT_FAKE_API_H

#include <pthread.h>
#include <stddef.h>

#include "ctl/ctl.h"

enum { FAKE_LIMIT_MS = 10000, FAKE_TURNS_MAX = 16, FAKE_ARGS_MAX = 16 };

#define FAKE_REPLY(status, headers, body)                                                          \
    "HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n" body
#define FAKE_JSON(body) FAKE_REPLY("200 OK", "Content-Type: application/json\r\n", body)
#define FAKE_PROBLEM(status, body)                                                                 \
    FAKE_REPLY(status, "Content-Type: application/problem+json\r\n", body)

struct fake_turn {
    const char *question; /* "METHOD target"; NULL: any */
    const char *answer;   /* NULL: none, the connection just stays open until the other side ends */
};

struct fake_api {
    char directory[64];
    char path[80]; /* of the socket */
    const struct fake_turn *turns;
    size_t count;
    size_t used;
    char *requests[FAKE_TURNS_MAX]; /* head and body, as they came */
    const char *failure;            /* NULL: all went by the script */
    int listener;
    const char *for_all; /* answers everything; NULL: there is a script */
    pthread_t thread;
};

void fake_api_start(struct fake_api *api, const struct fake_turn *turns, size_t count);
/* Waits for the end of the script, fails the test when it was not followed, removes the socket. */
void fake_api_stop(struct fake_api *api);
/* Frees the requests. */
void fake_api_fini(struct fake_api *api);

/* The next run gets this one answer to whatever it asks, however often. */
void fake_answer_all(const char *answer);

struct fake_run {
    int code;
    char *out;
    char *err;
    struct fake_api api; /* stopped; its requests are there */
};

/* The next run finds a person at a terminal who types this. */
void fake_person(const char *types);
/* Runs a command line (without "lbctl" and --socket), ended by NULL. */
struct fake_run fake_lbctl(const struct fake_turn *turns, size_t count, ...)
    __attribute__((sentinel));
void fake_run_fini(struct fake_run *run);

#endif
