/*
 * undo_file - what ran before the last `lbctl apply`, kept so that it can be applied again.
 *
 * One file, $XDG_STATE_HOME/lbd/before-apply.json, else ~/.local/state/lbd/before-apply.json, for
 * its user's eyes only. Each apply replaces it, so undoing twice brings back what was undone.
 *
 * Memory: the path is the caller's. Threads: one.
 */
#ifndef CTL_UNDO_FILE_H
#define CTL_UNDO_FILE_H

#include <stdbool.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

/* Writes `text` whole or not at all, and appends the file's path to `path`. */
LB_MUST_CHECK bool undo_file_save(struct slice text, struct buf *path, struct err *err);

#endif
