/*
 * utf8 - is this valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)?
 *
 * Threads: any.
 */
#ifndef LBD_BASE_UTF8_H
#define LBD_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

/* Index of the first byte that is wrong, or SIZE_MAX when all is valid. */
size_t utf8_first_invalid(struct slice s);
/* Length (1-4) of the valid sequence that s begins with; 0 when it is invalid, cut off or s is
 * empty. */
size_t utf8_length(struct slice s);
/* Writes 1-4 bytes, returns how many; 0 for a code point that does not exist. */
size_t utf8_write(char out[4], uint32_t code_point);

#endif
