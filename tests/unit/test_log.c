#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/log.h"
#include "lbd/base/now.h"
#include "tests/unit/unit.h"

static char folder[] = "/tmp/lbd-test-log-XXXXXX";
static char path[64];
static char moved[64];

static void start(enum log_level level, enum log_format format)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", folder);
    now_set_for_test(1, UINT64_C(784111777123456));
    ck_assert(log_init(level, format, path, NULL));
}

static void finish(void)
{
    ck_assert(log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "stderr", NULL));
    now_set_for_test(0, 0);
    (void)unlink(path);
    (void)unlink(moved);
    ck_assert_int_eq(rmdir(folder), 0);
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
}

static const char *slurp(const char *file)
{
    static char text[65536];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    ck_assert_int_ge(len, 0);
    text[len] = '\0';
    (void)close(fd);
    return text;
}

START_TEST(writes_one_line_per_event)
{
    start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_warn("upstream.refused", "pool=%s tries=%u", "web", 3U);
    log_info("a", "%s", "");
    log_debug("hidden", "%d", 1);
    ck_assert(log_enabled(LOG_LEVEL_INFO));
    ck_assert(!log_enabled(LOG_LEVEL_DEBUG));
    ck_assert_str_eq(slurp(path), "1994-11-06T08:49:37.123456Z warn upstream.refused pool=web "
                                  "tries=3\n1994-11-06T08:49:37.123456Z info a\n");
    finish();
}
END_TEST

START_TEST(a_line_stays_a_line)
{
    start(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_debug("x", "%s", "a\nb\rc\td\x1b[31m\x7f\xc3\xbc");
    ck_assert_str_eq(slurp(path), "1994-11-06T08:49:37.123456Z debug x "
                                  "a\\nb\\rc\\td\\x1b[31m\\x7f\xc3\xbc\n");
    finish();
}
END_TEST

START_TEST(json_is_always_valid)
{
    start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_error("e", "%s", "q\"b\\n\n\x01\xc3\xbc\xff\xed\xa0\x80.");
    ck_assert_str_eq(
        slurp(path),
        "{\"time\":\"1994-11-06T08:49:37.123456Z\",\"level\":\"error\",\"event\":\"e\","
        "\"message\":\"q\\\"b\\\\n\\u000a\\u0001\xc3\xbc\\u00ff\\u00ed\\u00a0\\u0080."
        "\"}\n");
    finish();
}
END_TEST

START_TEST(long_lines_are_cut_whole)
{
    char longer[8000];
    memset(longer, '\x01', sizeof(longer) - 1); /* each byte becomes four or six */
    longer[sizeof(longer) - 1] = '\0';
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        start(LOG_LEVEL_INFO, (enum log_format)format);
        log_info("x", "%s", longer);
        log_info("y", "%s", "after");
        const char *text = slurp(path);
        const char *end = strchr(text, '\n');
        ck_assert_ptr_nonnull(end);
        ck_assert_int_le(end - text, 4096);
        ck_assert_int_ge(end - text, 4000);
        ck_assert_ptr_nonnull(strstr(end - 8, "..."));
        ck_assert(format == LOG_FORMAT_TEXT || memcmp(end - 5, "...\"}", 5) == 0);
        ck_assert_ptr_nonnull(strstr(end, "after"));
        finish();
    }
}
END_TEST

START_TEST(reopens_after_rotation)
{
    struct err err = {0};
    start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("one", "%d", 1);
    ck_assert_int_eq(rename(path, moved), 0);
    log_info("two", "%d", 2);
    ck_assert(log_reopen(&err));
    log_info("three", "%d", 3);
    ck_assert_ptr_nonnull(strstr(slurp(moved), "two"));
    ck_assert_ptr_null(strstr(slurp(moved), "three"));
    ck_assert_ptr_nonnull(strstr(slurp(path), "three"));
    finish();
}
END_TEST

START_TEST(a_refused_file_changes_nothing)
{
    struct err err = {0};
    start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert(!log_init(LOG_LEVEL_ERROR, LOG_FORMAT_JSON, "/nonexistent/x/log", &err));
    ck_assert_int_ne(err.kind, ERR_NONE);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/x/log"));
    log_info("still", "%d", 1);
    ck_assert_ptr_nonnull(strstr(slurp(path), "info still 1"));
    finish();
}
END_TEST

START_TEST(counts_what_it_cannot_write)
{
    unsigned long long before = log_dropped();
    ck_assert(log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "/dev/full", NULL));
    log_info("x", "%d", 1);
    ck_assert_uint_eq(log_dropped(), before + 1);
    ck_assert(log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "stderr", NULL));
}
END_TEST

/* stderr becomes a file of ours; $JOURNAL_STREAM then names it or something else. */
START_TEST(speaks_to_the_journal_when_stderr_is_its_socket)
{
    start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat status;
    char stream[64];
    ck_assert(saved >= 0 && fd >= 0 && fstat(fd, &status) == 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    ck_assert(log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "stderr", NULL));
    log_warn("w", "%d", 1);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    ck_assert(log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "stderr", NULL));
    log_warn("w", "%d", 2);
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    ck_assert_str_eq(slurp(path), "<4>warn w 1\n1994-11-06T08:49:37.123456Z warn w 2\n");
    (void)close(saved);
    (void)close(fd);
    ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
    finish();
}
END_TEST

static void *chatter(void *argument)
{
    for (int i = 0; i < 500; i++) {
        log_info("t", "%s", (const char *)argument);
    }
    return NULL;
}

START_TEST(threads_do_not_tear_lines_while_it_is_reopened)
{
    pthread_t threads[2];
    static char a[] = "aaaaaaaa";
    static char b[] = "bbbbbbbb";
    start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_int_eq(pthread_create(&threads[0], NULL, chatter, a), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, chatter, b), 0);
    for (int i = 0; i < 50; i++) {
        ck_assert(log_reopen(NULL));
    }
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    const char *at = slurp(path);
    size_t lines = 0;
    for (; *at != '\0'; at = strchr(at, '\n') + 1) {
        const char *fact = strstr(at, " info t ");
        ck_assert(fact != NULL && fact == at + NOW_LOG_DATE_LEN);
        ck_assert(memcmp(fact + 8, "aaaaaaaa\n", 9) == 0 || memcmp(fact + 8, "bbbbbbbb\n", 9) == 0);
        lines++;
    }
    ck_assert_uint_eq(lines, 1000);
    finish();
}
END_TEST

UNIT_TESTS("log", writes_one_line_per_event, a_line_stays_a_line, json_is_always_valid,
           long_lines_are_cut_whole, reopens_after_rotation, a_refused_file_changes_nothing,
           counts_what_it_cannot_write, speaks_to_the_journal_when_stderr_is_its_socket,
           threads_do_not_tear_lines_while_it_is_reopened)
