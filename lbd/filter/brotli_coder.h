/*
 * brotli_coder - the coding br (RFC 7932), by libbrotlienc where it is there.
 *
 * Beside gzip of the same level it makes text a tenth smaller in about the same time.
 *
 * Memory: 200 KiB at level 1, 650 KiB at 2 and 3, 1 MiB from 4 on; without limits of ours it would
 * be 18 MiB. An encoder cannot be used again. Threads: one worker.
 */
#ifndef LBD_FILTER_BROTLI_CODER_H
#define LBD_FILTER_BROTLI_CODER_H

#include "lbd/filter/coder.h"

extern const struct coder_ops brotli_coder_ops;

#endif
