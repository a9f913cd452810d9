#include "conf/conf_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"

enum {
    FILE_BYTES_MAX = 32 * 1024 * 1024,
    NAME_LEN_MAX = 64, /* of a file in here, with its NUL */
    LISTED_MAX = 4096, /* revisions that a folder may hold before we stop counting */
    PATH_LEN_MAX = 4096,
    CHUNK_BYTES = 16384, /* read at once */
    LOCK_TRIES = 50,     /* LOCK_PAUSE_NS apart */
    LOCK_PAUSE_NS = 20 * 1000 * 1000,
};

struct conf_store {
    char *dir; /* for messages */
    char *crash_at;
    int dir_fd;
    int revisions_fd;
    int lock_fd;
};

static const char config_name[] = "config.json";
static const char revision_name[] = "revision";
static const char overrides_name[] = "overrides.json";

static bool fail_storage(const struct conf_store *store, struct err *err, const char *what,
                         const char *name, int error)
{
    return err_set_at(err, ERR_STORAGE, store->dir, "cannot %s '%s': %s", what, name,
                      strerror(error));
}

/* The tests end us here. */
static void maybe_crash(const struct conf_store *store, bool may_crash, const char *step)
{
    if (may_crash && store->crash_at != NULL && strcmp(store->crash_at, step) == 0) {
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

enum durability {
    LAZY,   /* survives our end, not the loss of power */
    DURABLE /* survives both */
};

/* Replaces a file with `text` or leaves it as it is. */
static bool replace_file(const struct conf_store *store, int dir_fd, const char *name,
                         struct slice text, enum durability durability, struct err *err)
{
    char temporary[NAME_LEN_MAX];
    bool crash = durability == DURABLE && name == config_name;
    const char *doing = "create";
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", name);

    maybe_crash(store, crash, "save-open");
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_storage(store, err, doing, temporary, errno);
    }
    maybe_crash(store, crash, "save-write");
    doing = "write";
    bool ok = write_all(fd, text);
    if (ok && durability == DURABLE) {
        maybe_crash(store, crash, "save-fsync");
        doing = "sync";
        ok = fsync(fd) == 0;
    }
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok) {
        maybe_crash(store, crash, "save-rename");
        doing = "rename";
        ok = renameat(dir_fd, temporary, dir_fd, name) == 0;
        error = errno;
    }
    if (!ok) {
        (void)unlinkat(dir_fd, temporary, 0);
        return fail_storage(store, err, doing, temporary, error);
    }
    maybe_crash(store, crash, "save-dirsync");
    if (durability == DURABLE && fsync(dir_fd) != 0) {
        return fail_storage(store, err, "sync the folder of", name, errno);
    }
    return true;
}

/* Appends the file's bytes. *missing tells "there is none" from other failures. */
static bool read_file(const struct conf_store *store, int dir_fd, const char *name, struct buf *out,
                      bool *missing, struct err *err)
{
    *missing = false;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        *missing = errno == ENOENT;
        return fail_storage(store, err, "open", name, errno);
    }
    char chunk[CHUNK_BYTES];
    bool ok = true;
    ssize_t n = 1;
    while (ok && n != 0) {
        n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno != EINTR) {
            ok = fail_storage(store, err, "read", name, errno);
        } else if (n > 0 && !buf_append(out, chunk, (size_t)n)) {
            ok = fail_storage(store, err, "read", name, EFBIG);
        }
    }
    (void)close(fd);
    return ok;
}

/* mkdir -p: parents as others may see them, the folder itself for us alone. */
static bool make_dirs(const char *dir, struct err *err)
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
        return err_set_at(err, ERR_STORAGE, dir,
                          "cannot make the state folder (daemon.state_dir): %s", strerror(errno));
    }
    return true;
}

static int open_dir_at(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

/* One daemon only: the lock goes with the process, however it ends. */
static bool take_lock(struct conf_store *store, struct err *err)
{
    store->lock_fd = openat(store->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0) {
        return fail_storage(store, err, "open", "lock", errno);
    }
    char pid[NAME_LEN_MAX];
    if (!lock_patiently(store->lock_fd)) {
        int error = errno;
        ssize_t n = pread(store->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        return error == EWOULDBLOCK
                   ? err_set_at(err, ERR_CONFLICT, store->dir,
                                "the state folder is used by another lbd (process %.20s)",
                                pid[0] != '\0' ? pid : "unknown")
                   : fail_storage(store, err, "lock", "lock", error);
    }
    int len = snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (ftruncate(store->lock_fd, 0) == 0) {
        ssize_t written = pwrite(store->lock_fd, pid, (size_t)len, 0);
        (void)written; /* only for messages */
    }
    return true;
}

struct conf_store *conf_store_open(const char *dir, struct err *err)
{
    struct conf_store *store = mem_zero(1, sizeof(*store));
    const char *crash_at = getenv("LBD_TEST_CRASH_AT");
    store->dir = mem_strdup(dir);
    store->crash_at = crash_at != NULL ? mem_strdup(crash_at) : NULL;
    store->dir_fd = -1;
    store->revisions_fd = -1;
    store->lock_fd = -1;
    if (!make_dirs(dir, err)) {
        goto failed;
    }
    store->dir_fd = open_dir_at(AT_FDCWD, dir);
    if (store->dir_fd < 0) {
        (void)fail_storage(store, err, "open", dir, errno);
        goto failed;
    }
    if (!take_lock(store, err)) {
        goto failed;
    }
    (void)mkdirat(store->dir_fd, "revisions", 0700); /* open_dir_at tells whether it is there */
    store->revisions_fd = open_dir_at(store->dir_fd, "revisions");
    if (store->revisions_fd < 0) {
        (void)fail_storage(store, err, "open", "revisions", errno);
        goto failed;
    }
    return store;

failed:
    conf_store_close(store);
    return NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void conf_store_close(struct conf_store *store)
{
    if (store == NULL) {
        return;
    }
    close_if_open(store->revisions_fd);
    close_if_open(store->lock_fd);
    close_if_open(store->dir_fd);
    free(store->crash_at);
    free(store->dir);
    free(store);
}

static void revision_file_name(uint64_t number, char out[NAME_LEN_MAX])
{
    (void)snprintf(out, NAME_LEN_MAX, "%06llu.json", (unsigned long long)number);
}

static int compare_newest_first(const void *a, const void *b)
{
    const struct conf_store_revision *left = a;
    const struct conf_store_revision *right = b;
    if (left->number == right->number) {
        return 0;
    }
    return left->number > right->number ? -1 : 1;
}

/* All old revisions, newest first; mem_alloc'ed. */
static struct conf_store_revision *list_revisions(const struct conf_store *store, size_t *count)
{
    struct conf_store_revision *list = mem_alloc(LISTED_MAX * sizeof(*list));
    *count = 0;
    int fd = open_dir_at(store->revisions_fd, ".");
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        close_if_open(fd);
        return list;
    }
    const struct dirent *entry = NULL;
    while (*count < LISTED_MAX && (entry = readdir(dir)) != NULL) {
        struct slice name = slice_from(entry->d_name);
        struct stat status;
        uint64_t number = 0;
        if (slice_ends(name, SLICE(".json")) &&
            num_parse_u64(slice_of(name.ptr, name.len - 5), &number) &&
            fstatat(store->revisions_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode)) {
            list[*count].number = number;
            list[*count].bytes = (uint64_t)status.st_size;
            list[*count].saved_wall_s = (uint64_t)status.st_mtim.tv_sec;
            (*count)++;
        }
    }
    (void)closedir(dir);
    qsort(list, *count, sizeof(*list), compare_newest_first);
    return list;
}

/* Old revisions beyond the limits go. */
static void prune(const struct conf_store *store)
{
    size_t count = 0;
    uint64_t bytes = 0;
    struct conf_store_revision *list = list_revisions(store, &count);
    for (size_t i = 0; i < count; i++) {
        bytes += list[i].bytes;
        if (i >= CONF_STORE_HISTORY_MAX || (i > 0 && bytes > CONF_STORE_HISTORY_BYTES_MAX)) {
            char name[NAME_LEN_MAX];
            revision_file_name(list[i].number, name);
            (void)unlinkat(store->revisions_fd, name, 0);
        }
    }
    free(list);
}

static bool write_number(const struct conf_store *store, uint64_t revision, struct err *err)
{
    char text[NUM_TEXT_MAX + 1];
    size_t len = num_write_u64(text, revision);
    text[len++] = '\n';
    return replace_file(store, store->dir_fd, revision_name, slice_of(text, len), LAZY, err);
}

/* What follows a save; when it fails, the next load puts it right. */
static void note_revision(const struct conf_store *store, uint64_t revision, struct slice text)
{
    char name[NAME_LEN_MAX];
    struct err ignored;
    revision_file_name(revision, name);
    (void)replace_file(store, store->revisions_fd, name, text, LAZY, &ignored);
    (void)write_number(store, revision, &ignored);
    prune(store);
}

bool conf_store_save(struct conf_store *store, const struct conf_document *document,
                     uint64_t revision, struct err *err)
{
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    bool ok = conf_document_text(document, SLICE_NONE, &text) && buf_append_char(&text, '\n');
    if (!ok) {
        (void)err_set(err, ERR_STORAGE, "the configuration is too large to be saved");
    }
    ok = ok && replace_file(store, store->dir_fd, config_name, buf_slice(&text), DURABLE, err);
    if (ok) {
        note_revision(store, revision, buf_slice(&text));
    }
    buf_fini(&text);
    return ok;
}

bool conf_store_save_revision(struct conf_store *store, uint64_t revision, struct err *err)
{
    return write_number(store, revision, err);
}

/* The number in the file, or 0. */
static uint64_t read_number(const struct conf_store *store)
{
    struct buf text;
    struct err ignored;
    bool missing = false;
    uint64_t number = 0;
    buf_init(&text, FILE_BYTES_MAX);
    if (!read_file(store, store->dir_fd, revision_name, &text, &missing, &ignored) ||
        text.len > NUM_TEXT_MAX ||
        !num_parse_u64(slice_of(text.data, text.len > 0 ? text.len - 1 : 0), &number)) {
        number = 0;
    }
    buf_fini(&text);
    return number;
}

static struct conf_document *document_of(const char *name, struct slice text, struct err *err)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_saved_text(text, &errors);
    if (document == NULL) {
        struct buf line;
        buf_init(&line, sizeof err->text - 1);
        conf_errors_describe(&errors.errors[0], slice_from(name), &line);
        (void)err_set(err, ERR_INVALID, "%.*s", SLICE_ARG(buf_slice(&line)));
        buf_fini(&line);
    }
    conf_errors_fini(&errors);
    return document;
}

static struct conf_document *load_revision(struct conf_store *store, uint64_t number,
                                           struct buf *text, struct err *err)
{
    char name[NAME_LEN_MAX];
    revision_file_name(number, name);
    buf_clear(text);
    return conf_store_read_revision(store, number, text, err)
               ? document_of(name, buf_slice(text), err)
               : NULL;
}

/* Which number has the text in config.json? The newest that was noted, or the one after it when we
 * ended between the save and the note. */
static uint64_t number_of(struct conf_store *store, struct slice text, uint64_t newest,
                          bool newest_is_kept)
{
    struct buf old;
    struct err ignored;
    buf_init(&old, FILE_BYTES_MAX);
    bool is_newer =
        newest == 0 || (newest_is_kept && conf_store_read_revision(store, newest, &old, &ignored) &&
                        !slice_eq(buf_slice(&old), text));
    buf_fini(&old);
    if (is_newer) {
        note_revision(store, newest + 1, text);
    }
    return is_newer ? newest + 1 : newest;
}

enum conf_store_found conf_store_load(struct conf_store *store, struct conf_document **document,
                                      uint64_t *revision, struct err *err)
{
    enum conf_store_found found = CONF_STORE_BROKEN;
    size_t count = 0;
    bool missing = false;
    struct buf text;
    struct conf_store_revision *list = list_revisions(store, &count);
    uint64_t number = read_number(store);
    uint64_t newest = count > 0 && list[0].number > number ? list[0].number : number;
    bool newest_is_kept = count > 0 && list[0].number == newest;

    *document = NULL;
    *revision = newest;
    buf_init(&text, FILE_BYTES_MAX);
    err_clear(err);
    if (read_file(store, store->dir_fd, config_name, &text, &missing, err)) {
        *document = document_of(config_name, buf_slice(&text), err);
    }
    if (*document != NULL) {
        *revision = number_of(store, buf_slice(&text), newest, newest_is_kept);
        found = CONF_STORE_CURRENT;
    } else if (missing && count == 0) {
        err_clear(err);
        found = CONF_STORE_EMPTY;
    }
    for (size_t i = 0; found == CONF_STORE_BROKEN && i < count; i++) {
        struct err ignored; /* the reason to tell is that of config.json */
        *document = load_revision(store, list[i].number, &text, &ignored);
        if (*document != NULL) {
            size_t len = strlen(err->text);
            (void)snprintf(err->text + len, sizeof err->text - len,
                           "; revision %llu is used instead", (unsigned long long)list[i].number);
            *revision = newest + 1;
            found = CONF_STORE_OLDER;
        }
    }
    buf_fini(&text);
    free(list);
    return found;
}

uint32_t conf_store_history(struct conf_store *store,
                            struct conf_store_revision revisions[CONF_STORE_HISTORY_MAX])
{
    size_t count = 0;
    struct conf_store_revision *list = list_revisions(store, &count);
    count = count < CONF_STORE_HISTORY_MAX ? count : CONF_STORE_HISTORY_MAX;
    memcpy(revisions, list, count * sizeof(*list));
    free(list);
    return (uint32_t)count;
}

bool conf_store_read_revision(struct conf_store *store, uint64_t revision, struct buf *out,
                              struct err *err)
{
    char name[NAME_LEN_MAX];
    bool missing = false;
    revision_file_name(revision, name);
    if (read_file(store, store->revisions_fd, name, out, &missing, err)) {
        return true;
    }
    if (missing) {
        (void)err_set(err, ERR_NOT_FOUND, "revision %llu is not kept",
                      (unsigned long long)revision);
    }
    return false;
}

bool conf_store_save_overrides(struct conf_store *store, struct slice text, struct err *err)
{
    return replace_file(store, store->dir_fd, overrides_name, text, DURABLE, err);
}

bool conf_store_read_overrides(struct conf_store *store, struct buf *out, struct err *err)
{
    bool missing = false;
    if (read_file(store, store->dir_fd, overrides_name, out, &missing, err)) {
        return true;
    }
    if (missing) {
        err_clear(err);
    }
    return missing;
}
