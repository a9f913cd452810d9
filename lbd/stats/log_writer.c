#include "lbd/stats/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/stats/counter.h"

#define LOG_WRITER_PERIOD_MS 100
#define LOG_WRITER_NO_FD     (-1)

struct log_writer {
    char *path;
    uint32_t ring_count;
    struct access_log **rings;
    int bell_fd;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int next_fd; /* from reopen; the thread takes it */
    /* the thread's own */
    int fd;
    bool is_torn;       /* the file ends in the middle of a line */
    uint64_t unwritten; /* lines; a counter */
};

static int open_file(const char *path, struct err *err)
{
    int fd;
    if (strcmp(path, "stdout") == 0 || strcmp(path, "stderr") == 0) {
        fd = fcntl(path[3] == 'o' ? STDOUT_FILENO : STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    }
    if (fd < 0) {
        err_set_at(err, errno == EACCES ? ERR_DENIED : ERR_SYSTEM, path,
                   "cannot open access log '%s': %s", path, strerror(errno));
    }
    return fd;
}

static uint64_t count_lines(struct slice s)
{
    uint64_t lines = 0;
    for (size_t at = slice_find(s, '\n'); at != SIZE_MAX; at = slice_find(s, '\n')) {
        s = slice_from_at(s, at + 1);
        lines++;
    }
    return lines;
}

static void wait_writable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    (void)poll(&poll_fd, 1, LOG_WRITER_PERIOD_MS);
}

/* Writes both pieces; on failure counts the lines that did not get there whole. */
static void write_pieces(struct log_writer *writer, struct slice pieces[2])
{
    unsigned patience = 10; /* a full pipe may make us wait for a second */
    /* what an earlier failure left behind is ended first; our own short writes simply go on */
    bool ends_torn = writer->is_torn;
    struct iovec parts[3];
    while (pieces[0].len != 0 || pieces[1].len != 0) {
        static char line_end[] = "\n";
        parts[0] = (struct iovec){line_end, ends_torn ? 1 : 0};
        parts[1] = (struct iovec){(void *)(uintptr_t)pieces[0].ptr, pieces[0].len};
        parts[2] = (struct iovec){(void *)(uintptr_t)pieces[1].ptr, pieces[1].len};
        ssize_t wrote = writev(writer->fd, parts, 3);
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN && patience-- != 0) {
                wait_writable(writer->fd);
                continue;
            }
            counter_add(&writer->unwritten, count_lines(pieces[0]) + count_lines(pieces[1]));
            return;
        }
        size_t done = (size_t)wrote;
        if (ends_torn && done != 0) {
            ends_torn = false;
            writer->is_torn = false;
            done--;
        }
        for (size_t i = 0; i < 2; i++) {
            size_t part = done < pieces[i].len ? done : pieces[i].len;
            if (part != 0) {
                writer->is_torn = pieces[i].ptr[part - 1] != '\n';
            }
            pieces[i] = slice_from_at(pieces[i], part);
            done -= part;
        }
    }
}

static void drain_rings(struct log_writer *writer)
{
    for (uint32_t i = 0; i < writer->ring_count; i++) {
        struct slice pieces[2];
        size_t len = access_log_peek(writer->rings[i], pieces);
        if (len != 0) {
            write_pieces(writer, pieces);
            access_log_consume(writer->rings[i], len);
        }
    }
}

static void change_file(struct log_writer *writer)
{
    int fd = atomic_exchange(&writer->next_fd, LOG_WRITER_NO_FD);
    if (fd != LOG_WRITER_NO_FD) {
        (void)close(writer->fd);
        writer->fd = fd;
        writer->is_torn = false;
    }
}

static void *run(void *argument)
{
    struct log_writer *writer = argument;
    bool stopping;
    do {
        struct pollfd poll_fd = {.fd = writer->bell_fd, .events = POLLIN};
        if (poll(&poll_fd, 1, LOG_WRITER_PERIOD_MS) > 0) {
            uint64_t rings;
            ssize_t got = read(writer->bell_fd, &rings, sizeof(rings));
            (void)got;
        }
        stopping = atomic_load(&writer->stopping); /* before the last drain */
        drain_rings(writer);
        change_file(writer);
    } while (!stopping);
    return NULL;
}

static void free_writer(struct log_writer *writer)
{
    for (uint32_t i = 0; i < writer->ring_count; i++) {
        access_log_free(writer->rings[i]);
    }
    free((void *)writer->rings);
    free(writer->path);
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    int unused = atomic_load(&writer->next_fd);
    if (unused >= 0) {
        (void)close(unused);
    }
    if (writer->bell_fd >= 0) {
        (void)close(writer->bell_fd);
    }
    free(writer);
}

static int start_thread(struct log_writer *writer)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread */
    int failed = pthread_create(&writer->thread, NULL, run, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0) {
        (void)pthread_setname_np(writer->thread, "lbd-log");
    }
    return failed;
}

struct log_writer *log_writer_start(const char *path, uint32_t worker_count, struct err *err)
{
    struct log_writer *writer = mem_zero(1, sizeof(*writer));
    atomic_init(&writer->next_fd, LOG_WRITER_NO_FD);
    writer->bell_fd = LOG_WRITER_NO_FD;
    writer->path = mem_strdup(path);
    writer->fd = open_file(path, err);
    if (writer->fd < 0) {
        free_writer(writer);
        return NULL;
    }
    writer->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (writer->bell_fd < 0) {
        err_set(err, ERR_SYSTEM, "cannot create an eventfd: %s", strerror(errno));
        free_writer(writer);
        return NULL;
    }
    writer->rings = mem_zero(worker_count, sizeof(struct access_log *));
    for (; writer->ring_count < worker_count; writer->ring_count++) {
        writer->rings[writer->ring_count] = access_log_new(writer->bell_fd);
    }
    int failed = start_thread(writer);
    if (failed != 0) {
        err_set(err, ERR_SYSTEM, "cannot start the log thread: %s", strerror(failed));
        free_writer(writer);
        return NULL;
    }
    return writer;
}

void log_writer_use(struct log_writer *writer, const struct access_format *format)
{
    for (uint32_t i = 0; i < writer->ring_count; i++) {
        access_log_use(writer->rings[i], format);
    }
}

struct access_log *log_writer_ring(struct log_writer *writer, uint32_t number)
{
    assert(number < writer->ring_count);
    return writer->rings[number];
}

static void ring_bell(const struct log_writer *writer)
{
    uint64_t one = 1;
    ssize_t wrote = write(writer->bell_fd, &one, sizeof(one));
    (void)wrote;
}

bool log_writer_reopen(struct log_writer *writer, struct err *err)
{
    int fd = open_file(writer->path, err);
    if (fd < 0) {
        return false;
    }
    int unused = atomic_exchange(&writer->next_fd, fd);
    if (unused != LOG_WRITER_NO_FD) {
        (void)close(unused); /* two requests before the thread came by */
    }
    ring_bell(writer);
    return true;
}

uint64_t log_writer_dropped(const struct log_writer *writer)
{
    uint64_t dropped = counter_get(&writer->unwritten);
    for (uint32_t i = 0; i < writer->ring_count; i++) {
        dropped += access_log_dropped(writer->rings[i]);
    }
    return dropped;
}

void log_writer_stop(struct log_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    atomic_store(&writer->stopping, true);
    ring_bell(writer);
    (void)pthread_join(writer->thread, NULL);
    free_writer(writer);
}
