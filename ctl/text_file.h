/*
 * text_file - the text of a file that a person wrote, or of stdin; and a place to put one.
 *
 * Limits: that of a document. Memory: the buf is the caller's. Threads: one.
 */
#ifndef CTL_TEXT_FILE_H
#define CTL_TEXT_FILE_H

#include "ctl/ctl.h"
#include "lbd/base/buf.h"
#include "lbd/base/err.h"

/* What lines about it call it: the path, or "stdin" for "-". */
const char *text_file_name(const char *path);
/* Appends the text of `path` ("-" is ctl->in); `text` was given room by text_file_init. CTL_OK, or
 * printed why not. */
enum ctl_exit text_file_read(struct ctl *ctl, const char *path, struct buf *text);
/* A buf as large as a document may be. */
void text_file_init(struct buf *text);

/* Writes `text` beside `path` and then over it, so that nobody sees half of it. A new file is for
 * its owner alone; one that is there keeps its permissions. */
LB_MUST_CHECK bool text_file_replace(const char *path, struct slice text, struct err *err);

#endif
