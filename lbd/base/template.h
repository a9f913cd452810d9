/*
 * template - a text with names in braces, taken apart: "by {client_ip}, {{as is}".
 *
 * "{{" is a brace; any other must begin a name and be closed. Who fills it in knows the names.
 *
 * Memory: points into the text. Threads: any.
 */
#ifndef LBD_BASE_TEMPLATE_H
#define LBD_BASE_TEMPLATE_H

#include "lbd/base/slice.h"

enum template_step { TEMPLATE_LITERAL, TEMPLATE_NAME, TEMPLATE_END, TEMPLATE_BAD };

/* The next piece: literal text, never empty, or a name without its braces. *rest starts as the
 * text. */
enum template_step template_next(struct slice *rest, struct slice *piece);

#endif
