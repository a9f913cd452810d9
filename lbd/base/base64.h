/*
 * base64 - bytes as text, strictly (RFC 4648): no other character, no bit that is lost, so that
 * there is one spelling of the same bytes.
 *
 * Memory: reading is in place. Threads: any.
 */
#ifndef LBD_BASE_BASE64_H
#define LBD_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* With padding (RFC 4648 4). False: it is none. *bytes lies in `text`. */
LB_MUST_CHECK bool base64_read(char *text, size_t len, struct slice *bytes);
/* Of URLs and tokens: '-' and '_', no padding (RFC 4648 5, RFC 7515 2). */
LB_MUST_CHECK bool base64_read_url(char *text, size_t len, struct slice *bytes);
/* With padding. */
void base64_write(struct slice bytes, struct buf *out);

#endif
