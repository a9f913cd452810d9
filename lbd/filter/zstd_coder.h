/*
 * zstd_coder - the coding zstd (RFC 8878), by libzstd where it is there.
 *
 * Beside gzip of the same level it makes text about as small in a third of the time. Decoders of
 * browsers need 32 KiB for what it makes (RFC 9659 lets them stop at 8 MB).
 *
 * Memory: 380 KiB each at any level; libzstd's own choice would be 1.3 MiB to 13 MiB. Threads: one
 * worker.
 */
#ifndef LBD_FILTER_ZSTD_CODER_H
#define LBD_FILTER_ZSTD_CODER_H

#include "lbd/filter/coder.h"

extern const struct coder_ops zstd_coder_ops;

#endif
