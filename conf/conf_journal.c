#include "conf/conf_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"

enum { MARK_BYTES = 2 * 17 }; /* tag and checksum: 16 digits and a space each */

static bool write_at(int fd, const char *bytes, size_t len, size_t at)
{
    while (len != 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        bytes += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* All bytes are there from the beginning: appending then changes no size and needs no new block. */
static bool fill(struct conf_journal *journal, int fd)
{
    struct stat found;
    if (fstat(fd, &found) == 0 && found.st_size >= (off_t)CONF_JOURNAL_BYTES) {
        return true;
    }
    journal->was_short = true;
    char *zeros = mem_zero(1, CONF_JOURNAL_BYTES);
    bool ok = write_at(fd, zeros, CONF_JOURNAL_BYTES, 0) && fsync(fd) == 0;
    int error = errno;
    free(zeros);
    errno = error;
    return ok;
}

bool conf_journal_open(struct conf_journal *journal, const struct conf_disk *disk, int dir_fd,
                       const char *name, struct err *err)
{
    *journal = (struct conf_journal){.disk = disk, .name = name, .fd = -1};
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        return conf_disk_fail(disk, err, "open", name, errno);
    }
    if (!fill(journal, fd) || fsync(dir_fd) != 0) {
        (void)conf_disk_fail(disk, err, "write", name, errno);
        (void)close(fd);
        return false;
    }
    journal->fd = fd;
    return true;
}

void conf_journal_close(struct conf_journal *journal)
{
    if (journal->fd >= 0) {
        (void)close(journal->fd);
        journal->fd = -1;
    }
    journal->tag = 0;
}

static uint64_t checksum(uint64_t tag, struct slice record)
{
    return hash_fast(record, tag);
}

/* Takes one record off the front; false: that was the last. */
static bool take(struct slice *rest, uint64_t tag, struct slice *record)
{
    uint64_t found = 0;
    uint64_t sum = 0;
    size_t len = slice_find(*rest, '\n');
    if (len == SIZE_MAX || len <= MARK_BYTES || rest->ptr[16] != ' ' || rest->ptr[33] != ' ' ||
        !num_parse_hex(slice_of(rest->ptr, 16), &found) || found != tag ||
        !num_parse_hex(slice_of(rest->ptr + 17, 16), &sum)) {
        return false;
    }
    *record = slice_of(rest->ptr + MARK_BYTES, len - MARK_BYTES);
    *rest = slice_from_at(*rest, len + 1);
    return checksum(tag, *record) == sum;
}

/* Is there a whole record of `tag` on any line? */
static bool has_record(struct slice rest, uint64_t tag)
{
    while (rest.len != 0) {
        struct slice look = rest;
        struct slice record;
        size_t len = slice_find(rest, '\n');
        if (take(&look, tag, &record)) {
            return true;
        }
        rest = len == SIZE_MAX ? SLICE_NONE : slice_from_at(rest, len + 1);
    }
    return false;
}

bool conf_journal_read(struct conf_journal *journal, uint64_t tag,
                       bool (*record)(struct slice record, void *arg), void *arg, bool *is_damaged)
{
    char *bytes = mem_alloc(CONF_JOURNAL_BYTES);
    ssize_t got = journal->fd >= 0 ? pread(journal->fd, bytes, CONF_JOURNAL_BYTES, 0) : 0;
    struct slice rest = slice_of(bytes, got > 0 ? (size_t)got : 0);
    struct slice found;
    bool ok = true;
    while (ok && rest.len != 0) {
        struct slice behind = rest;
        if (!take(&behind, tag, &found)) {
            break;
        }
        rest = behind;
        ok = record(found, arg);
    }
    *is_damaged = journal->was_short || got < 0 || (ok && has_record(rest, tag));
    journal->was_short = false;
    free(bytes);
    journal->tag = 0;
    return ok;
}

void conf_journal_begin(struct conf_journal *journal, uint64_t tag)
{
    journal->tag = journal->fd >= 0 ? tag : 0;
    journal->end = 0;
}

bool conf_journal_append(struct conf_journal *journal, struct slice record, struct err *err)
{
    size_t len = MARK_BYTES + record.len + 1;
    if (journal->tag == 0 || journal->end + len > CONF_JOURNAL_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "'%s' is full", journal->name);
    }
    char *line = mem_alloc(len + 1);
    (void)snprintf(line, len + 1, "%016" PRIx64 " %016" PRIx64 " %.*s\n", journal->tag,
                   checksum(journal->tag, record), SLICE_ARG(record));
    bool ok = write_at(journal->fd, line, len, journal->end) && fdatasync(journal->fd) == 0;
    if (ok) {
        journal->end += len;
    } else {
        (void)conf_disk_fail(journal->disk, err, "write", journal->name, errno);
        /* It may be there all the same: the next one saves the base, whose tag makes it void. */
        journal->tag = 0;
    }
    free(line);
    return ok;
}
