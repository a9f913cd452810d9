/*
 * escape - bytes written as text: what a check of TCP sends and waits for.
 *
 *     \r \n \t \\      as in C
 *     \x00 to \xff     that byte
 *     anything else    itself
 *
 * Limits: the result is never longer than the text. Memory: none. Threads: any.
 */
#ifndef LBD_BASE_ESCAPE_H
#define LBD_BASE_ESCAPE_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* Is every backslash the beginning of one of these? */
bool escape_is_valid(struct slice text);
/* The bytes of a valid text into out[text.len]; returns how many. */
size_t escape_read(struct slice text, char *out);

#endif
