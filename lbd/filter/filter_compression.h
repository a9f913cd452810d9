/*
 * filter_compression - policies of the kind compression: bodies of servers' answers as zstd,
 * br or gzip.
 *
 * Whether is decided when the head of the answer is there, from what it says, what the client takes
 * and whether somebody's secrets could be in it (BREACH: whoever sees how long an answer is, and
 * can have some of it repeat what he sends, reads the rest letter by letter).
 *
 * Threads: made on control; asked by workers.
 */
#ifndef LBD_FILTER_FILTER_COMPRESSION_H
#define LBD_FILTER_FILTER_COMPRESSION_H

#include "lbd/filter/filter.h"

extern const struct filter_ops filter_compression_ops;

#endif
