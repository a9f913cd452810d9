/*
 * reader - follows one HTTP/1.1 answer as its bytes arrive; the load generator's eyes.
 *
 * Deliberately a second, independent reading of the protocol: what the proxy wrote wrong must not
 * be read right by shared code. Understands Content-Length and chunked, no trailers with content.
 *
 *     HEAD -> LENGTH | SIZE -> DATA -> DATA_END -> SIZE ... -> LAST -> DONE
 *
 * Limits: a head of at most 4 KiB.
 * Memory: holds a head that arrived in pieces on the heap; reader_reset() gives it back.
 * Threads: any, one owner.
 */
#ifndef TESTS_BENCH_READER_H
#define TESTS_BENCH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reader_state {
    READER_HEAD,
    READER_LENGTH,
    READER_SIZE,
    READER_DATA,
    READER_DATA_END,
    READER_LAST,
    READER_DONE,
    READER_BAD
};

struct reader {
    enum reader_state state;
    uint16_t status;
    bool closes;         /* "Connection: close" */
    uint32_t kept_len;   /* bytes of an unfinished head */
    char *kept;          /* owned, or NULL */
    uint64_t left;       /* bytes of the body, or of the chunk, to come */
    uint64_t body_bytes; /* seen so far */
};

/* Ready for the next answer. */
void reader_reset(struct reader *reader);
/* Ready for so many bytes of a tunnel; its status stays 0. */
void reader_raw(struct reader *reader, uint64_t bytes);
/* Takes `len` bytes; returns how many belong to this answer. */
size_t reader_feed(struct reader *reader, const char *bytes, size_t len);

#endif
