#include "lbd/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/base/slice.h"
#include "lbd/base/utf8.h"

#define LOG_LINE_BYTES  4096U /* one write of at most this many bytes is not torn on a pipe */
#define LOG_FACTS_BYTES 3072U /* facts before escaping */
#define LOG_PATH_BYTES  4096U

static atomic_int level_now = LOG_LEVEL_INFO;
static atomic_int format_now = LOG_FORMAT_TEXT;
static atomic_int fd_now = STDERR_FILENO; /* never changes its number once it is a file */
static atomic_bool to_journal;
static atomic_ullong dropped;
static char file_path[LOG_PATH_BYTES]; /* "" = stderr; control thread only */

static const char *const level_words[] = {"error", "warn", "info", "debug"};
static const char *const journal_prefixes[] = {"<3>", "<4>", "<6>", "<7>"}; /* sd-daemon(3) */

/* Is stderr the socket that $JOURNAL_STREAM speaks of (systemd.exec(5))? */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct slice rest = slice_from(stream);
    struct slice device;
    uint64_t device_number;
    uint64_t inode_number;
    struct stat status;
    return slice_split(&rest, ':', &device) && num_parse_u64(device, &device_number) &&
           num_parse_u64(rest, &inode_number) && fstat(STDERR_FILENO, &status) == 0 &&
           (uint64_t)status.st_dev == device_number && (uint64_t)status.st_ino == inode_number;
}

static int open_file(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) {
        err_set_at(err, errno == EACCES ? ERR_DENIED : ERR_SYSTEM, path, "cannot open log '%s': %s",
                   path, strerror(errno));
    }
    return fd;
}

/* Other threads write meanwhile: the number stays, dup3 exchanges the file behind it at once. */
static bool use_file(int fd, struct err *err)
{
    int old = atomic_load_explicit(&fd_now, memory_order_relaxed);
    if (old == STDERR_FILENO) {
        atomic_store_explicit(&fd_now, fd, memory_order_release);
        return true;
    }
    bool ok = dup3(fd, old, O_CLOEXEC) >= 0;
    if (!ok) {
        err_set(err, ERR_SYSTEM, "cannot exchange the log file: %s", strerror(errno));
    }
    (void)close(fd);
    return ok;
}

bool log_init(enum log_level level, enum log_format format, const char *path, struct err *err)
{
    if (strcmp(path, "stderr") == 0) {
        int old = atomic_exchange_explicit(&fd_now, STDERR_FILENO, memory_order_acq_rel);
        if (old != STDERR_FILENO) {
            (void)close(old);
        }
        file_path[0] = '\0';
        atomic_store_explicit(&to_journal, stderr_is_journal(), memory_order_relaxed);
    } else {
        if (strlen(path) >= sizeof(file_path)) {
            return err_set(err, ERR_INVALID, "the path of the log is too long");
        }
        int fd = open_file(path, err);
        if (fd < 0 || !use_file(fd, err)) {
            return false;
        }
        (void)snprintf(file_path, sizeof(file_path), "%s", path);
        atomic_store_explicit(&to_journal, false, memory_order_relaxed);
    }
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
    atomic_store_explicit(&format_now, (int)format, memory_order_relaxed);
    return true;
}

bool log_reopen(struct err *err)
{
    if (file_path[0] == '\0') {
        return true;
    }
    int fd = open_file(file_path, err);
    return fd >= 0 && use_file(fd, err);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

unsigned long long log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* A line in the making: cut, never overrun. */
struct line {
    char text[LOG_LINE_BYTES];
    size_t len;
    size_t end; /* of what the facts may use; the rest is kept for the tail */
};

static bool put(struct line *line, const char *text, size_t len)
{
    if (len > line->end - line->len) {
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool put_text(struct line *line, const char *text)
{
    return put(line, text, strlen(text));
}

static bool put_hex(struct line *line, const char *prefix, unsigned char byte)
{
    char digits[2] = {"0123456789abcdef"[byte >> 4U], "0123456789abcdef"[byte & 15U]};
    return put_text(line, prefix) && put(line, digits, 2);
}

static bool put_json_byte(struct line *line, char c)
{
    if (c == '"' || c == '\\') {
        char pair[2] = {'\\', c};
        return put(line, pair, 2);
    }
    return (unsigned char)c < 0x20 || c == 0x7f ? put_hex(line, "\\u00", (unsigned char)c)
                                                : put(line, &c, 1);
}

/* Whole characters or nothing; what is not UTF-8 becomes the escape of its byte. */
static bool put_json(struct line *line, struct slice s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t len = utf8_length(slice_from_at(s, at));
        bool ok = len > 1    ? put(line, s.ptr + at, len)
                  : len == 1 ? put_json_byte(line, s.ptr[at])
                             : put_hex(line, "\\u00", (unsigned char)s.ptr[at]);
        if (!ok) {
            return false;
        }
        at += len != 0 ? len : 1;
    }
    return true;
}

/* Control bytes would let a fact forge a line or drive a terminal. */
static bool put_escaped(struct line *line, struct slice s)
{
    for (size_t at = 0; at < s.len; at++) {
        char c = s.ptr[at];
        bool ok = c == '\n'                              ? put_text(line, "\\n")
                  : c == '\r'                            ? put_text(line, "\\r")
                  : c == '\t'                            ? put_text(line, "\\t")
                  : (unsigned char)c < 0x20 || c == 0x7f ? put_hex(line, "\\x", (unsigned char)c)
                                                         : put(line, &c, 1);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void make_json(struct line *line, enum log_level level, const char *event,
                      struct slice facts)
{
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, now_wall_us());
    bool whole = put_text(line, "{\"time\":\"") && put_text(line, date) &&
                 put_text(line, "\",\"level\":\"") && put_text(line, level_words[level]) &&
                 put_text(line, "\",\"event\":\"") && put_json(line, slice_from(event)) &&
                 put_text(line, "\",\"message\":\"") && put_json(line, facts);
    line->end = sizeof(line->text);
    (void)put_text(line, whole ? "\"}\n" : "...\"}\n");
}

static void make_text(struct line *line, enum log_level level, const char *event,
                      struct slice facts)
{
    if (atomic_load_explicit(&to_journal, memory_order_relaxed)) {
        (void)put_text(line, journal_prefixes[level]);
    } else {
        char date[NOW_LOG_DATE_LEN + 1];
        now_log_date(date, now_wall_us());
        (void)put_text(line, date);
        (void)put_text(line, " ");
    }
    bool whole = put_text(line, level_words[level]) && put_text(line, " ") &&
                 put_escaped(line, slice_from(event)) &&
                 (facts.len == 0 || (put_text(line, " ") && put_escaped(line, facts)));
    line->end = sizeof(line->text);
    (void)put_text(line, whole ? "\n" : "...\n");
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    int saved_errno = errno;

    char facts[LOG_FACTS_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(facts, sizeof(facts), fmt, args);
    va_end(args);
    if (len >= (int)sizeof(facts)) {
        memcpy(facts + sizeof(facts) - 4, "...", 4);
        len = (int)sizeof(facts) - 1;
    }
    struct slice said = slice_of(facts, len > 0 ? (size_t)len : 0);

    struct line line;
    line.len = 0;
    line.end = sizeof(line.text) - 16;
    if (atomic_load_explicit(&format_now, memory_order_relaxed) == LOG_FORMAT_JSON) {
        make_json(&line, level, event, said);
    } else {
        make_text(&line, level, event, said);
    }

    ssize_t wrote;
    do {
        wrote = write(atomic_load_explicit(&fd_now, memory_order_acquire), line.text, line.len);
    } while (wrote < 0 && errno == EINTR);
    if (wrote != (ssize_t)line.len) {
        (void)atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
    errno = saved_errno;
}
