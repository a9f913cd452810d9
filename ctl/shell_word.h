/*
 * shell_word - a word as a shell reads it back: plain where it can be, else in single quotes.
 *
 * For commands that are shown to be typed: the line of curl behind a question, the way to undo.
 *
 * Memory: keeps nothing. Threads: one.
 */
#ifndef CTL_SHELL_WORD_H
#define CTL_SHELL_WORD_H

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

/* Appends it. */
void shell_word_append(struct buf *out, struct slice word);

#endif
