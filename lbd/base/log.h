/*
 * log - events for people and machines: one event, its facts, one write(2).
 *
 *     log_warn("upstream.refused", "pool=%s server=%s tries=%u", pool, server, tries);
 *
 * Levels: error = someone must act; warn = we coped; info = state changed; debug = one line per
 * transition. Text: "2026-11-21T10:00:00.123456Z warn upstream.refused pool=web ...". To a journal
 * (JOURNAL_STREAM set and path "stderr"): no date, prefix "<4>". JSON:
 * {"time","level","event","message"} with the facts in message. Control characters in facts are
 * escaped: a line stays a line.
 *
 * Threads: any (one write per line); init and reopen: control. Never on the path of a request.
 */
#ifndef LBD_BASE_LOG_H
#define LBD_BASE_LOG_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* path: "stderr" or a file that is appended to. Before this is called, lines go to stderr as text,
 * level info. */
LB_MUST_CHECK bool log_init(enum log_level level, enum log_format format, const char *path,
                            struct err *err);
/* Opens the file again (after rotation); on failure the old one stays and *err says why. */
LB_MUST_CHECK bool log_reopen(struct err *err);
bool log_enabled(enum log_level level);
/* Lines that could not be written. */
unsigned long long log_dropped(void);
void log_write(enum log_level level, const char *event, const char *fmt, ...) LB_PRINTF(3, 4);

#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)                                                                      \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG)) {                                                        \
            log_write(LOG_LEVEL_DEBUG, event, __VA_ARGS__);                                        \
        }                                                                                          \
    } while (0)

#endif
