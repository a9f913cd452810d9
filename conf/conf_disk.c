#include "conf/conf_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    NAME_LEN_MAX = 96, /* of a file in here, with its NUL */
    PATH_LEN_MAX = 4096,
    WHO_LEN_MAX = 32,
    CHUNK_BYTES = 16384, /* read at once */
    LOCK_TRIES = 50,     /* LOCK_PAUSE_NS apart */
    LOCK_PAUSE_NS = 20 * 1000 * 1000,
};

/* " as user 65534": who is not permitted; "" of other errors. */
static const char *name_user(int error, char out[WHO_LEN_MAX])
{
    out[0] = '\0';
    if (error == EACCES || error == EPERM) {
        (void)snprintf(out, WHO_LEN_MAX, " as user %u", (unsigned)geteuid());
    }
    return out;
}

bool conf_disk_fail(const struct conf_disk *disk, struct err *err, const char *what,
                    const char *name, int error)
{
    char who[WHO_LEN_MAX];
    return err_set_at(err, ERR_STORAGE, disk->dir, "cannot %s '%s'%s: %s", what, name,
                      name_user(error, who), strerror(error));
}

/* The tests end us here. */
static void maybe_crash(const struct conf_disk *disk, const char *kind, const char *step)
{
    size_t len = strlen(kind);
    if (disk->crash_at != NULL && strncmp(disk->crash_at, kind, len) == 0 &&
        disk->crash_at[len] == '-' && strcmp(disk->crash_at + len + 1, step) == 0) {
        _exit(137);
    }
}

static bool write_all(int fd, struct slice text)
{
    size_t done = 0;
    while (done < text.len) {
        ssize_t n = write(fd, text.ptr + done, text.len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

bool conf_disk_replace(const struct conf_disk *disk, int dir_fd, const char *name, const char *kind,
                       struct slice text, enum conf_disk_durability durability, struct err *err)
{
    char temporary[NAME_LEN_MAX];
    const char *doing = "create";
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", name);

    maybe_crash(disk, kind, "open");
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return conf_disk_fail(disk, err, doing, temporary, errno);
    }
    maybe_crash(disk, kind, "write");
    doing = "write";
    /* Written over and then cut, not emptied first: ext4 would sync what was emptied. */
    bool ok = write_all(fd, text) && ftruncate(fd, (off_t)text.len) == 0;
    maybe_crash(disk, kind, "fsync");
    if (ok && durability != CONF_DISK_LAZY) {
        doing = "sync";
        ok = fsync(fd) == 0;
    }
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok) {
        maybe_crash(disk, kind, "rename");
        doing = "rename";
        ok = (durability == CONF_DISK_OFTEN &&
              renameat2(dir_fd, temporary, dir_fd, name, RENAME_EXCHANGE) == 0) ||
             renameat(dir_fd, temporary, dir_fd, name) == 0;
        error = errno;
    }
    if (!ok) {
        (void)unlinkat(dir_fd, temporary, 0);
        return conf_disk_fail(disk, err, doing, temporary, error);
    }
    maybe_crash(disk, kind, "dirsync");
    if (durability != CONF_DISK_LAZY && fsync(dir_fd) != 0) {
        return conf_disk_fail(disk, err, "sync the folder of", name, errno);
    }
    return true;
}

bool conf_disk_overwrite(const struct conf_disk *disk, int fd, const char *name, const char *kind,
                         struct slice text, struct err *err)
{
    maybe_crash(disk, kind, "write");
    ssize_t written = pwrite(fd, text.ptr, text.len, 0);
    if (written == (ssize_t)text.len && ftruncate(fd, (off_t)text.len) == 0) {
        return true; /* it was longer only when it was damaged */
    }
    return conf_disk_fail(disk, err, "write", name, written < 0 ? errno : ENOSPC);
}

bool conf_disk_read(const struct conf_disk *disk, int dir_fd, const char *name, struct buf *out,
                    bool *missing, struct err *err)
{
    *missing = false;
    /* O_NONBLOCK: a pipe in its place must not keep us waiting for a writer */
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        *missing = errno == ENOENT;
        return conf_disk_fail(disk, err, "open", name, errno);
    }
    struct stat found;
    if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) {
        int error = S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
        (void)close(fd);
        return conf_disk_fail(disk, err, "read", name, error);
    }
    char chunk[CHUNK_BYTES];
    bool ok = true;
    ssize_t n = 1;
    while (ok && n != 0) {
        n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno != EINTR) {
            ok = conf_disk_fail(disk, err, "read", name, errno);
        } else if (n > 0 && !buf_append(out, chunk, (size_t)n)) {
            ok = conf_disk_fail(disk, err, "read", name, EFBIG);
        }
    }
    (void)close(fd);
    return ok;
}

bool conf_disk_make_dirs(const char *dir, struct err *err)
{
    char path[PATH_LEN_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path) {
        return err_set_at(err, ERR_INVALID, dir, "the path of the state folder is too long");
    }
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] == '/') {
            path[i] = '\0';
            (void)mkdir(path, 0755); /* the last one tells whether it worked */
            path[i] = '/';
        }
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        int error = errno;
        char who[WHO_LEN_MAX];
        return err_set_at(err, ERR_STORAGE, dir,
                          "cannot make the state folder (daemon.state_dir)%s: %s",
                          name_user(error, who), strerror(error));
    }
    return true;
}

/* One that was killed a moment ago may still be giving back its memory, and the lock after that. */
static bool lock_patiently(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int tries = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK || tries == LOCK_TRIES) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

int conf_disk_lock(const struct conf_disk *disk, int dir_fd, struct err *err)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)conf_disk_fail(disk, err, "open", "lock", errno);
        return -1;
    }
    char pid[NAME_LEN_MAX];
    if (!lock_patiently(fd)) {
        int error = errno;
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        (void)close(fd);
        if (error == EWOULDBLOCK) {
            (void)err_set_at(err, ERR_CONFLICT, disk->dir,
                             "the state folder is used by another lbd (process %.20s)",
                             pid[0] != '\0' ? pid : "unknown");
        } else {
            (void)conf_disk_fail(disk, err, "lock", "lock", error);
        }
        return -1;
    }
    int len = snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (ftruncate(fd, 0) == 0) {
        ssize_t written = pwrite(fd, pid, (size_t)len, 0);
        (void)written; /* only for messages */
    }
    return fd;
}
