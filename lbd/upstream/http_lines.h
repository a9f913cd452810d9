/*
 * http_lines - connections of lbd's own HTTP client that wait for the next call to the same place.
 *
 *     http_call: http_lines_take --none--> http_line_new (dials)
 *                answer complete, nothing left over --http_lines_keep--> waits
 *     waiting:   anything the server sends or its end, or idle_ms -> closed
 *
 * Limits: HTTP_LINES_MAX wait, for HTTP_LINES_IDLE_MS at most; the oldest goes first. Memory: one
 * heap object each. Threads: the loop's owner.
 */
#ifndef LBD_UPSTREAM_HTTP_LINES_H
#define LBD_UPSTREAM_HTTP_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/list.h"
#include "lbd/net/loop.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/talk.h"

#define HTTP_LINES_MAX     16U
#define HTTP_LINES_IDLE_MS 15000U

struct http_call;

/* Of one loop. Zeroed but for `loop` and the list: http_lines_init. */
struct http_lines {
    struct loop *loop;
    struct list_node idle; /* newest first */
    uint32_t idle_count;
    uint64_t reused; /* calls that found one */
};

/* A connection, in use or waiting. */
struct http_line {
    struct talk talk;
    struct http_call *call;   /* that uses it; NULL: it waits */
    struct http_lines *lines; /* NULL: it is not kept after its call */
    struct list_node link;
    struct loop_timer timer;
    struct tls_client *tls;        /* referenced; NULL: clear */
    bool was_used;                 /* an answer came by it */
    char place[TALK_NAME_MAX + 8]; /* "host:port" */
};

void http_lines_init(struct http_lines *lines, struct loop *loop);
/* Closes those that wait. Calls that use one have ended before. */
void http_lines_fini(struct http_lines *lines);
/* One that waits for this place, spoken to the same way, or NULL. */
struct http_line *http_lines_take(struct http_lines *lines, const char *place,
                                  const struct tls_client *tls);
/* Begins a connection; `lines` may be NULL. ops' talk is &line->talk. */
struct http_line *http_line_new(struct http_lines *lines, struct loop *loop, const char *place,
                                const struct talk_ops *ops, const struct talk_way *way,
                                size_t in_max);
/* The call is over and left nothing behind: it waits, or is closed. Not from within take's caller
 * while the talk's callback still runs for another call. */
void http_lines_keep(struct http_line *line);
/* Closes and frees. NULL is fine. */
void http_line_free(struct http_line *line);

#endif
