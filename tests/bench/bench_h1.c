/*
 * bench_h1 - what one request costs in the sans-I/O part of HTTP/1: parse, copy, hop, write.
 *
 *     bench_h1                 nanoseconds of each step, the best of 30 rounds
 *     bench_h1 request 1000    only this step, so often: for
 *         valgrind --tool=callgrind --toggle-collect=h1_head_request bench_h1 request 1000
 *
 * Memory: static. Threads: the main thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lbd/base/arena.h"
#include "lbd/http/h1_body.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/h1_write.h"
#include "lbd/http/hop.h"

enum { FIELDS = 100, OUT_BYTES = 4096, ROUNDS = 30, PER_ROUND = 20000 };

/* 426 bytes, 9 fields: what a browser sends */
static const char browser[] =
    "GET /products/index.html?page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcde\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Cache-Control: max-age=0\r\n\r\n";

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Server: nginx\r\n"
                             "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 128\r\n"
                             "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                             "Connection: keep-alive\r\n"
                             "ETag: \"6591fa80-80\"\r\n\r\n";

static const char chunks[] = "40\r\n"
                             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
                             "40\r\n"
                             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
                             "0\r\n\r\n";

static const struct h1_limits limits = {65536, FIELDS};
static struct header fields[FIELDS];
static struct message parsed;
static struct message copied;
static char first_block[2048];
static char out[OUT_BYTES];
static size_t written;
static char body_bytes[sizeof(chunks)];

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_h1: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static void parse_request(void)
{
    struct h1_head head;
    h1_head_init(&head);
    parsed.headers.list = fields;
    parsed.headers.capacity = FIELDS;
    must(h1_head_request(&head, slice_of(browser, sizeof(browser) - 1), &limits, &parsed) ==
             H1_DONE,
         "request");
}

static void parse_response(void)
{
    struct h1_head head;
    h1_head_init(&head);
    parsed.headers.list = fields;
    parsed.headers.capacity = FIELDS;
    must(h1_head_response(&head, slice_of(answer, sizeof(answer) - 1), &limits, METHOD_GET,
                          &parsed) == H1_DONE,
         "response");
}

static void copy(void)
{
    struct arena arena;
    arena_init(&arena, first_block, sizeof(first_block));
    message_copy(&copied, &parsed, &arena);
    arena_fini(&arena);
}

static void undo_hop(struct message *message)
{
    message->extra_count = 0;
    for (uint32_t i = 0; i < message->headers.count; i++) {
        message->headers.list[i].dropped = 0;
    }
}

static void hop_req(void)
{
    static const struct hop_facts facts = {
        .client_ip = {"192.168.100.200", 15},
        .proto = {"http", 4},
        .request_id = {"0123456789abcdef", 16},
    };
    enum close_reason reason;
    undo_hop(&parsed);
    must(hop_request(&parsed, &facts, &reason), "hop");
}

static void hop_res(void)
{
    undo_hop(&parsed);
    hop_response(&parsed, SLICE("Mon, 01 Jan 2024 00:00:00 GMT"), false);
}

static void write_request(void)
{
    static const struct h1_write how = {.framing = FRAMING_NONE};
    written = h1_write_request(out, sizeof(out), &parsed, &how);
    must(written != 0, "write");
}

static void write_response(void)
{
    static const struct h1_write how = {.framing = FRAMING_LENGTH, .content_length = 128};
    written = h1_write_response(out, sizeof(out), &parsed, &how);
    must(written != 0, "write");
}

static void feed_chunks(void)
{
    struct h1_body body;
    struct h1_body_piece piece;
    memcpy(body_bytes, chunks, sizeof(chunks));
    h1_body_init(&body, FRAMING_CHUNKED, 0, H1_BODY_FRAMED, true);
    must(h1_body_feed(&body, body_bytes, sizeof(chunks) - 1, &piece) == H1_DONE, "body");
}

typedef void step_fn(void);

static const struct {
    const char *name;
    step_fn *before; /* once */
    step_fn *step;
} steps[] = {
    {"request", NULL, parse_request},
    {"copy", parse_request, copy},
    {"hop", parse_request, hop_req},
    {"write", hop_req, write_request},
    {"response", NULL, parse_response},
    {"hop-response", parse_response, hop_res},
    {"write-response", hop_res, write_response},
    {"chunks", NULL, feed_chunks},
};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    const char *only = argc > 2 ? argv[1] : NULL;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : PER_ROUND;
    int rounds = only != NULL ? 1 : ROUNDS;
    printf("request %zu bytes, answer %zu bytes\n", sizeof(browser) - 1, sizeof(answer) - 1);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        double best = 1e12;
        if (steps[i].before != NULL) {
            steps[i].before();
        }
        if (only != NULL && strcmp(only, steps[i].name) != 0) {
            steps[i].step();
            continue;
        }
        for (int round = 0; round < rounds; round++) {
            double start = now_ns();
            for (unsigned long n = 0; n < count; n++) {
                steps[i].step();
            }
            double each = (now_ns() - start) / (double)count;
            best = each < best ? each : best;
        }
        printf("%-16s %7.1f ns\n", steps[i].name, best);
    }
    return EXIT_SUCCESS;
}
