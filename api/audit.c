#include "api/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"

#define RESERVE_BYTES (256 * 1024)

struct audit {
    char *path;
    int fd;
    off_t end;      /* of the file, as far as we wrote */
    off_t reserved; /* blocks are there up to here */
    bool is_failed; /* the last line was not taken */
    uint64_t lost;  /* since it failed */
};

/* One write for one line. What came of half a line is cut off again. */
static bool append(struct audit *audit, struct slice line)
{
    char *text = mem_alloc(line.len + 1);
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\n';
    ssize_t done = write(audit->fd, text, line.len + 1);
    int error = done < 0 ? errno : ENOSPC;
    free(text);
    if (done == (ssize_t)line.len + 1) {
        audit->end += done;
        return true;
    }
    if (done > 0) {
        struct stat found;
        if (fstat(audit->fd, &found) == 0 && found.st_size >= done) {
            (void)!ftruncate(audit->fd, found.st_size - done);
        }
    }
    errno = error;
    return false;
}

static bool note(struct audit *audit, const char *what, struct err *err)
{
    char date[NOW_LOG_DATE_LEN + 1];
    char line[160];
    now_log_date(date, now_wall_us());
    int len = snprintf(line, sizeof(line), "{\"time\":\"%s\",\"event\":\"%s\",\"lost\":%llu}", date,
                       what, (unsigned long long)audit->lost);
    if (!append(audit, slice_of(line, (size_t)len))) {
        return err_set(err, ERR_STORAGE, "cannot write to '%s' (daemon.api.audit): %s", audit->path,
                       strerror(errno));
    }
    audit->lost = 0;
    audit->is_failed = false;
    return true;
}

static int open_file(const char *path, off_t *end, struct err *err)
{
    struct stat found;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0 || fstat(fd, &found) != 0) {
        (void)err_set(err, ERR_SYSTEM, "cannot open '%s' (daemon.api.audit): %s", path,
                      strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    *end = found.st_size;
    return fd;
}

struct audit *audit_open(const char *path, struct err *err)
{
    struct audit *audit = mem_zero(1, sizeof(*audit));
    audit->path = mem_strdup(path);
    audit->fd = open_file(path, &audit->end, err);
    if (audit->fd < 0 || !note(audit, "opened", err)) {
        audit_close(audit);
        return NULL;
    }
    return audit;
}

void audit_close(struct audit *audit)
{
    if (audit != NULL) {
        if (audit->fd >= 0) {
            (void)close(audit->fd);
        }
        free(audit->path);
        free(audit);
    }
}

bool audit_reopen(struct audit *audit, struct err *err)
{
    off_t end = 0;
    int fd = open_file(audit->path, &end, err);
    if (fd < 0) {
        return false;
    }
    (void)close(audit->fd);
    audit->fd = fd;
    audit->end = end;
    audit->reserved = 0;
    return note(audit, "opened", err);
}

static bool reserve(struct audit *audit)
{
    if (audit->end + (off_t)(2 * AUDIT_LINE_MAX) <= audit->reserved) {
        return true;
    }
    if (fallocate(audit->fd, FALLOC_FL_KEEP_SIZE, audit->end, RESERVE_BYTES) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
        return false;
    }
    audit->reserved = audit->end + RESERVE_BYTES; /* or the file cannot, and a write will tell */
    return true;
}

bool audit_is_ready(struct audit *audit, struct err *err)
{
    if (!reserve(audit)) {
        return err_set(err, ERR_STORAGE, "no room for '%s' (daemon.api.audit): %s", audit->path,
                       strerror(errno));
    }
    return !audit->is_failed || note(audit, "resumed", err);
}

bool audit_write(struct audit *audit, struct slice line, struct err *err)
{
    if (line.len <= AUDIT_LINE_MAX && append(audit, line)) {
        return true;
    }
    audit->is_failed = true;
    audit->lost++;
    return err_set(err, ERR_STORAGE, "cannot write to '%s' (daemon.api.audit): %s", audit->path,
                   strerror(line.len > AUDIT_LINE_MAX ? EMSGSIZE : errno));
}
