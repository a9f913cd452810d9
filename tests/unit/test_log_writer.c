#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/stats/log_writer.h"
#include "tests/unit/unit.h"

enum { WAITS = 6000 }; /* of 10 ms: a minute */

static char folder[64];
static char path[96];
static char moved[96];

static void start(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/lbd-test-writer-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/access", folder);
    (void)snprintf(moved, sizeof(moved), "%s/access.1", folder);
}

static void finish(void)
{
    (void)unlink(path);
    (void)unlink(moved);
    ck_assert_int_eq(rmdir(folder), 0);
}

static struct access_record numbered(uint64_t number)
{
    return (struct access_record){.revision = number, .path = SLICE("/")};
}

/* The lines of a file: how many, and that revisions of each connection_id ascend. */
static size_t count_lines(const char *file, size_t writers)
{
    static char line[65536];
    uint64_t next[8] = {0};
    size_t count = 0;
    FILE *stream = fopen(file, "re");
    ck_assert_ptr_nonnull(stream);
    while (fgets(line, sizeof(line), stream) != NULL) {
        const char *id = strstr(line, "\"connection_id\":\"");
        const char *revision = strstr(line, "\"revision\":");
        ck_assert_msg(line[0] == '{' && id != NULL && revision != NULL &&
                          line[strlen(line) - 1] == '\n',
                      "torn: %s", line);
        uint64_t writer = strtoull(id + 17, NULL, 16);
        uint64_t number = strtoull(revision + 11, NULL, 10);
        ck_assert_uint_lt(writer, writers);
        ck_assert_uint_ge(number, next[writer]);
        next[writer] = number + 1;
        count++;
    }
    (void)fclose(stream);
    return count;
}

/* Waits until the file holds `size` bytes at least; the writer comes by every 100 ms. */
static void wait_for_size(const char *file, off_t size)
{
    struct stat status = {0};
    for (int i = 0; i < WAITS && (stat(file, &status) != 0 || status.st_size < size); i++) {
        (void)poll(NULL, 0, 10);
    }
    ck_assert_msg(status.st_size >= size, "'%s' has %lld bytes", file, (long long)status.st_size);
}

START_TEST(lines_reach_the_file_by_themselves_and_at_the_end)
{
    struct err err = {0};
    start();
    struct log_writer *writer = log_writer_start(path, 1, &err);
    ck_assert_msg(writer != NULL, "%s", err.text);
    struct access_record record = numbered(1);
    ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
    wait_for_size(path, 100);
    record = numbered(2);
    ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
    log_writer_stop(writer); /* flushes */
    ck_assert_uint_eq(count_lines(path, 1), 2);
    log_writer_stop(NULL);
    finish();
}
END_TEST

struct worker {
    struct access_log *log;
    uint64_t number;
    uint64_t written;
};

static void *write_lines(void *argument)
{
    struct worker *worker = argument;
    for (uint64_t i = 0; i < 30000; i++) {
        struct access_record record = numbered(i);
        record.connection_id = worker->number;
        worker->written += access_log_write(worker->log, &record);
    }
    return NULL;
}

START_TEST(every_line_of_many_workers_is_written_or_counted)
{
    enum { WORKERS = 3 };
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    uint64_t written = 0;
    start();
    struct log_writer *writer = log_writer_start(path, WORKERS, NULL);
    ck_assert_ptr_nonnull(writer);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){log_writer_ring(writer, i), i, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        written += workers[i].written;
    }
    uint64_t dropped = log_writer_dropped(writer);
    log_writer_stop(writer);
    ck_assert_uint_eq(written + dropped, (uint64_t)WORKERS * 30000);
    ck_assert_uint_eq(count_lines(path, WORKERS), written);
    finish();
}
END_TEST

START_TEST(reopens_after_rotation)
{
    struct err err = {0};
    start();
    struct log_writer *writer = log_writer_start(path, 1, NULL);
    ck_assert_ptr_nonnull(writer);
    struct access_record record = numbered(1);
    ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
    wait_for_size(path, 100);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert(log_writer_reopen(writer, &err));
    ck_assert(log_writer_reopen(writer, &err)); /* twice in a row */
    /* the writer changes over when it comes by: some lines may still go where the first went */
    struct stat status = {0};
    uint64_t written = 1;
    for (int i = 0; i < WAITS && status.st_size == 0; i++) {
        record = numbered(++written);
        ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
        (void)poll(NULL, 0, 10);
        ck_assert_int_eq(stat(path, &status), 0);
    }
    log_writer_stop(writer);
    size_t fresh = count_lines(path, 1);
    ck_assert_uint_ge(fresh, 1);
    ck_assert_uint_eq(count_lines(moved, 1) + fresh, written);
    finish();
}
END_TEST

START_TEST(a_path_that_cannot_be_opened_is_refused)
{
    struct err err = {0};
    ck_assert_ptr_null(log_writer_start("/nonexistent/lbd/access", 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/lbd/access"));

    start();
    struct log_writer *writer = log_writer_start(path, 1, NULL);
    ck_assert_ptr_nonnull(writer);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(!log_writer_reopen(writer, &err)); /* the old file stays */
    struct access_record record = numbered(1);
    ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
    log_writer_stop(writer);
    ck_assert_uint_eq(count_lines(moved, 1), 1);
    ck_assert_int_eq(rmdir(path), 0);
    finish();
}
END_TEST

START_TEST(a_full_disk_costs_lines_and_nothing_else)
{
    struct log_writer *writer = log_writer_start("/dev/full", 1, NULL);
    ck_assert_ptr_nonnull(writer);
    for (uint64_t i = 0; i < 7; i++) {
        struct access_record record = numbered(i);
        ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
    }
    for (int i = 0; i < WAITS && log_writer_dropped(writer) < 7; i++) {
        (void)poll(NULL, 0, 10);
    }
    ck_assert_uint_eq(log_writer_dropped(writer), 7);
    log_writer_stop(writer);
}
END_TEST

/* A pipe that nobody reads takes part of a line; when there is room again, the torn line is ended.
 */
START_TEST(a_torn_line_does_not_tear_the_next_one)
{
    static char text[1 << 20];
    start();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    struct log_writer *writer = log_writer_start(path, 1, NULL);
    ck_assert_ptr_nonnull(writer);
    /* O_NONBLOCK belongs to the description, so the writer's end needs its own: find it by the pipe
     */
    struct stat pipe_status;
    ck_assert_int_eq(fstat(reader, &pipe_status), 0);
    for (int fd = 3; fd < 64; fd++) {
        struct stat status;
        if (fd != reader && fstat(fd, &status) == 0 && status.st_ino == pipe_status.st_ino &&
            status.st_dev == pipe_status.st_dev) {
            ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY), 0);
        }
    }
    uint64_t written = 0;
    struct access_record record = numbered(1);
    while (access_log_write(log_writer_ring(writer, 0), &record)) {
        written++; /* 256 KB into a pipe of 64 KB */
    }
    for (int i = 0; i < WAITS && log_writer_dropped(writer) < 2; i++) {
        (void)poll(NULL, 0, 10);
    }
    ssize_t len = read(reader, text, sizeof(text) - 1);
    ck_assert_int_gt(len, 1000);
    size_t total = (size_t)len;
    record = numbered(2);
    record.path = SLICE("/after");
    for (int i = 0; i < WAITS; i++) {
        if (i % 500 == 0) { /* again: what was in the ring may have filled the pipe once more */
            ck_assert(access_log_write(log_writer_ring(writer, 0), &record));
            written++;
        }
        struct pollfd poll_fd = {.fd = reader, .events = POLLIN};
        ck_assert_int_ge(poll(&poll_fd, 1, 10), 0);
        len = read(reader, text + total, sizeof(text) - 1 - total);
        total += len > 0 ? (size_t)len : 0;
        text[total] = '\0';
        const char *found = strstr(text, "\"/after\"");
        if (found != NULL && strchr(found, '\n') != NULL) {
            break;
        }
    }
    uint64_t dropped = log_writer_dropped(writer) - 1; /* one by the ring */
    log_writer_stop(writer);
    const char *after = strstr(text, "\"/after\"");
    ck_assert_ptr_nonnull(after);
    size_t whole = 0;
    const char *at = text;
    for (const char *end = strchr(at, '\n'); end != NULL; end = strchr(at, '\n')) {
        bool is_whole = memcmp(at, "{\"time\"", 7) == 0 && end[-1] == '}';
        whole += is_whole;
        ck_assert_msg(is_whole || end < after, "the line after the torn one is torn");
        at = end + 1;
    }
    ck_assert_uint_eq(whole, written - dropped);
    (void)close(reader);
    finish();
}
END_TEST

UNIT_TESTS("log_writer", lines_reach_the_file_by_themselves_and_at_the_end,
           every_line_of_many_workers_is_written_or_counted, reopens_after_rotation,
           a_path_that_cannot_be_opened_is_refused, a_full_disk_costs_lines_and_nothing_else,
           a_torn_line_does_not_tear_the_next_one)
