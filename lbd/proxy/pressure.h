/*
 * pressure - how near a worker is to one of its limits: from what is used to a stage. Pure.
 *
 *     connections   normal --85 %--> high --100 %--> full        of its part of max_connections
 *     buffers       normal --80 %--> tight --90 %--> short --95 %--> critical     of max_buffered
 *     memory        normal --90 %--> high --95 %--> critical --100 %--> full      of max_memory
 *     lag           normal --three passes longer than shed_lag--> shedding
 *
 * Buffers that had no room for somebody are critical, too, whatever is used.
 *
 * A stage is left a few per cent below where it was entered, that of lag after a second without a
 * long pass: what stands at a line does not go back and forth. What is done in each is relief.h's.
 *
 * Threads: any; plain data.
 */
#ifndef LBD_PROXY_PRESSURE_H
#define LBD_PROXY_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

enum pressure_kind {
    PRESSURE_CONNECTIONS,
    PRESSURE_BUFFERS,
    PRESSURE_MEMORY,
    PRESSURE_LAG,
    PRESSURE_KINDS
};

/* 0 is normal, of all kinds. */
enum { PRESSURE_CONNECTIONS_HIGH = 1, PRESSURE_CONNECTIONS_FULL };
enum { PRESSURE_BUFFERS_TIGHT = 1, PRESSURE_BUFFERS_SHORT, PRESSURE_BUFFERS_CRITICAL };
enum { PRESSURE_MEMORY_HIGH = 1, PRESSURE_MEMORY_CRITICAL, PRESSURE_MEMORY_FULL };
enum { PRESSURE_LAG_SHEDDING = 1 };
#define PRESSURE_STAGE_MAX 3U

/* The settings behind it, of the process. */
struct pressure_limits {
    uint64_t memory_bytes;    /* 0: none */
    uint64_t buffered_bytes;  /* 0: any number */
    uint32_t max_connections; /* > 0 */
    uint32_t shed_lag_ms;     /* 0: lag is nothing */
};

/* The stage after `before`, when so much of `limit` is used (0: there is no limit). Not of lag. */
uint8_t pressure_stage(enum pressure_kind kind, uint8_t before, uint64_t used, uint64_t limit);
/* How much is used where the first stage is left: relief goes on until then. */
uint64_t pressure_goal(enum pressure_kind kind, uint64_t limit);

/* Zeroed: nothing was late. */
struct pressure_lag {
    uint64_t first_us; /* of the long passes that are counted */
    uint64_t last_us;
    uint8_t count;
    bool sheds;
};

/* A pass ended that took so long, or (0) time has gone by. The stage. */
uint8_t pressure_lag_note(struct pressure_lag *lag, uint64_t pass_us, uint64_t limit_us,
                          uint64_t now_us);

const char *pressure_kind_word(enum pressure_kind kind);
const char *pressure_stage_word(enum pressure_kind kind, uint8_t stage);
/* What lbd does in it, half a sentence. */
const char *pressure_stage_means(enum pressure_kind kind, uint8_t stage);
/* The setting that is its limit, as a pointer. */
const char *pressure_setting(enum pressure_kind kind);

#endif
