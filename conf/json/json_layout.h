/*
 * json_layout - a JSONC text laid out afresh, comments and all.
 *
 * Two spaces a level, one member a line. What stood on one line and fits on one stays on it;
 * comments stay where they were, before or behind a value; one empty line between members is kept.
 * A trailing comma stays where the object is written over several lines. Laying out what was laid
 * out changes nothing.
 *
 * Limits: those of json_scan, which must have passed the text (a copy of it). Memory: keeps
 * nothing. Threads: any.
 */
#ifndef CONF_JSON_JSON_LAYOUT_H
#define CONF_JSON_JSON_LAYOUT_H

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

enum { JSON_LAYOUT_WIDTH = 100 };

/* Appends the text to `out`, with a newline at its end. With a text that json_scan does not accept
 * the result is useless, but it is safe. */
void json_layout(struct slice text, struct buf *out);

#endif
