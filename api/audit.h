/*
 * audit - a file of who did what: one line of JSON each, appended by one write(2).
 *
 * Whoever must not change anything unseen asks audit_is_ready before the change. It is: the file
 * is open, took its last line, and the blocks for the next lines are there (fallocate), so that a
 * disk that is full is noticed before and not after. When it comes back, a line says how many were
 * lost.
 *
 * Limits: lines of at most 16 KiB. Memory: owns the descriptor. Threads: control (the kernel's
 * cache takes a line; nobody waits for the disk).
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define AUDIT_LINE_MAX (16U * 1024U)

struct audit;

/* Opens (0640) for appending and writes that it did. NULL: *err says why. */
LB_MUST_CHECK struct audit *audit_open(const char *path, struct err *err);
void audit_close(struct audit *audit); /* NULL is fine */
/* The path again, after rotation. False: the old file stays. */
LB_MUST_CHECK bool audit_reopen(struct audit *audit, struct err *err);
/* Will it take a line? False: *err says why not. */
LB_MUST_CHECK bool audit_is_ready(struct audit *audit, struct err *err);
/* Appends `line` (JSON, without a newline). False: it is lost, and *err says why. */
bool audit_write(struct audit *audit, struct slice line, struct err *err);

#endif
