#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf_disk.h"
#include "tests/unit/unit.h"

static char dir[64];
static int dir_fd;
static struct err err;
static const struct conf_disk disk = {.dir = dir};

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test_conf_disk.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
    static const char *const names[] = {"a", "a.tmp", "b", "lock", "number"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)unlinkat(dir_fd, names[i], 0);
        (void)unlinkat(dir_fd, names[i], AT_REMOVEDIR);
    }
    (void)close(dir_fd);
    (void)rmdir(dir);
}

static const char *content(const char *name)
{
    static struct buf text;
    bool missing = false;
    buf_fini(&text);
    buf_init(&text, 65536);
    if (!conf_disk_read(&disk, dir_fd, name, &text, &missing, &err)) {
        return missing ? "missing" : "failed";
    }
    return text.len != 0 ? text.data : "";
}

static bool replace(const struct conf_disk *with, const char *text,
                    enum conf_disk_durability durability)
{
    return conf_disk_replace(with, dir_fd, "a", "save", slice_from(text), durability, &err);
}

START_TEST(a_file_is_old_or_new)
{
    ck_assert_str_eq(content("a"), "missing");
    ck_assert(replace(&disk, "one", CONF_DISK_DURABLE));
    ck_assert_str_eq(content("a"), "one");
    ck_assert(replace(&disk, "", CONF_DISK_LAZY));
    ck_assert_str_eq(content("a"), "");
    ck_assert(replace(&disk, "two", CONF_DISK_LAZY));
    ck_assert_str_eq(content("a"), "two");
    ck_assert_str_eq(content("a.tmp"), "missing");
    struct stat status;
    ck_assert_int_eq(fstatat(dir_fd, "a", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(the_old_one_is_room_for_the_next)
{
    struct stat first;
    struct stat third;
    ck_assert(replace(&disk, "one, which is long", CONF_DISK_OFTEN));
    ck_assert_str_eq(content("a.tmp"), "missing");
    ck_assert_int_eq(fstatat(dir_fd, "a", &first, 0), 0);
    ck_assert(replace(&disk, "two", CONF_DISK_OFTEN));
    ck_assert_str_eq(content("a"), "two");
    ck_assert_str_eq(content("a.tmp"), "one, which is long");
    ck_assert(replace(&disk, "three", CONF_DISK_OFTEN));
    ck_assert_str_eq(content("a"), "three");
    ck_assert_str_eq(content("a.tmp"), "two");
    ck_assert_int_eq(fstatat(dir_fd, "a", &third, 0), 0);
    ck_assert_uint_eq(first.st_ino, third.st_ino);
}
END_TEST

START_TEST(a_failure_leaves_what_was)
{
    ck_assert(replace(&disk, "one", CONF_DISK_DURABLE));
    ck_assert_int_eq(mkdirat(dir_fd, "a.tmp", 0700), 0);
    ck_assert(!replace(&disk, "two", CONF_DISK_DURABLE));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert_str_eq(err.place, dir);
    ck_assert_ptr_nonnull(strstr(err.text, "a.tmp"));
    ck_assert_str_eq(content("a"), "one");
    ck_assert_int_eq(unlinkat(dir_fd, "a.tmp", AT_REMOVEDIR), 0);

    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) { /* a full disk: write(2) fails in the middle */
        const struct rlimit small = {.rlim_cur = 2, .rlim_max = 2};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &small);
        _exit(replace(&disk, "three", CONF_DISK_DURABLE) ? 1 : 0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_str_eq(content("a"), "one");
    ck_assert_str_eq(content("a.tmp"), "missing");
}
END_TEST

static const struct {
    const char *crash_at;
    const char *want;
} crashes[] = {
    {"save-open", "one"},   {"save-write", "one"},   {"save-fsync", "one"},
    {"save-rename", "one"}, {"save-dirsync", "two"},
};

START_TEST(ended_at_any_step)
{
    for (size_t i = 0; i < ARRAY_LEN(crashes); i++) {
        ck_assert(replace(&disk, "one", CONF_DISK_DURABLE));
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            const struct conf_disk ends = {.dir = dir, .crash_at = crashes[i].crash_at};
            (void)replace(&ends, "two", CONF_DISK_DURABLE);
            _exit(0);
        }
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 137, "%s", crashes[i].crash_at);
        ck_assert_msg(strcmp(content("a"), crashes[i].want) == 0, "%s: %s", crashes[i].crash_at,
                      content("a"));
    }
    const struct conf_disk other = {.dir = dir, .crash_at = "saved-open"};
    ck_assert(replace(&other, "three", CONF_DISK_DURABLE)); /* another kind */
}
END_TEST

START_TEST(a_number_is_written_over)
{
    int fd = openat(dir_fd, "number", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    static const char *const texts[] = {"damaged beyond recognition\n", "9\n", "10\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ck_assert(conf_disk_overwrite(&disk, fd, "number", "number", slice_from(texts[i]), &err));
        ck_assert_str_eq(content("number"), texts[i]);
    }
    (void)close(fd);
    ck_assert(!conf_disk_overwrite(&disk, -1, "number", "number", SLICE("x"), &err));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
}
END_TEST

START_TEST(links_are_not_followed)
{
    ck_assert_int_eq(symlinkat("/etc/passwd", dir_fd, "b"), 0);
    ck_assert_str_eq(content("b"), "failed");
    ck_assert_int_eq(symlinkat("/tmp/nowhere", dir_fd, "a.tmp"), 0);
    ck_assert(!replace(&disk, "x", CONF_DISK_LAZY));
}
END_TEST

START_TEST(one_lock)
{
    int first = conf_disk_lock(&disk, dir_fd, &err);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(conf_disk_lock(&disk, dir_fd, &err), -1);
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    (void)close(first);
    int second = conf_disk_lock(&disk, dir_fd, &err);
    ck_assert_int_ge(second, 0);
    (void)close(second);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_is_old_or_new);
    tcase_add_test(tcase, the_old_one_is_room_for_the_next);
    tcase_add_test(tcase, a_failure_leaves_what_was);
    tcase_add_test(tcase, ended_at_any_step);
    tcase_add_test(tcase, a_number_is_written_over);
    tcase_add_test(tcase, links_are_not_followed);
    tcase_add_test(tcase, one_lock);
}

UNIT_MAIN("conf_disk", add_all)
