/*
 * gzip_coder - the coding gzip (RFC 1952), by zlib.
 *
 * Memory: 70 KiB each; zlib's own choice would be 270. Threads: one worker.
 */
#ifndef LBD_FILTER_GZIP_CODER_H
#define LBD_FILTER_GZIP_CODER_H

#include "lbd/filter/coder.h"

extern const struct coder_ops gzip_coder_ops;

#endif
