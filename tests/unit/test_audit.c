#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/audit.h"
#include "tests/unit/unit.h"

static char folder[64];
static char path[128];
static char text[65536];

static void begin(void)
{
    (void)strcpy(folder, "/tmp/test-audit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/audit.log", folder);
}

static void end(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static const char *content(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

static unsigned lines(const char *at)
{
    unsigned count = 0;
    for (; *at != '\0'; at++) {
        count += *at == '\n' ? 1U : 0U;
    }
    return count;
}

START_TEST(lines_are_appended_and_survive_reopening)
{
    struct err err = {0};
    struct stat found;
    begin();
    struct audit *audit = audit_open(path, &err);
    ck_assert_msg(audit != NULL, "%s", err.text);
    ck_assert(audit_is_ready(audit, &err));
    ck_assert(audit_write(audit, SLICE("{\"a\":1}"), &err));
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0640);
    ck_assert_ptr_nonnull(strstr(content(), "\"event\":\"opened\""));
    ck_assert_ptr_nonnull(strstr(text, "\n{\"a\":1}\n"));
    ck_assert_uint_eq(lines(text), 2);

    ck_assert_int_eq(unlink(path), 0); /* rotated away */
    ck_assert(audit_reopen(audit, &err));
    ck_assert(audit_is_ready(audit, &err));
    ck_assert(audit_write(audit, SLICE("{\"b\":1}"), &err));
    ck_assert_uint_eq(lines(content()), 2);
    audit_close(audit);

    audit = audit_open(path, &err); /* another life goes on where the last one stopped */
    ck_assert_ptr_nonnull(audit);
    ck_assert_uint_eq(lines(content()), 3);
    audit_close(audit);
    end();
}
END_TEST

START_TEST(a_path_that_takes_nothing_is_told_at_once)
{
    struct err err = {0};
    ck_assert_ptr_null(audit_open("/dev/full", &err));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert_ptr_null(audit_open("/nowhere/at/all", &err));
    ck_assert_int_eq(err.kind, ERR_SYSTEM);
}
END_TEST

/* A limit on the size of files stands for a full disk. */
START_TEST(a_full_disk_is_noticed_and_its_end_too)
{
    struct err err = {0};
    struct rlimit old;
    begin();
    (void)signal(SIGXFSZ, SIG_IGN);
    struct audit *audit = audit_open(path, &err);
    ck_assert_ptr_nonnull(audit);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = strlen(content()) + 4, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool is_ready = audit_is_ready(audit, &err); /* as far as the file system can tell */
    bool is_written = audit_write(audit, SLICE("{\"lost\":true}"), &err);
    bool is_ready_after = audit_is_ready(audit, &err);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert(!is_written);
    ck_assert(!is_ready_after);
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert_uint_eq(lines(content()), 1); /* and no half line */
    (void)is_ready;

    ck_assert(audit_is_ready(audit, &err));
    ck_assert(audit_write(audit, SLICE("{\"a\":1}"), &err));
    ck_assert_ptr_nonnull(strstr(content(), "\"event\":\"resumed\",\"lost\":1}\n{\"a\":1}\n"));
    audit_close(audit);
    end();
}
END_TEST

UNIT_TESTS("audit", lines_are_appended_and_survive_reopening,
           a_path_that_takes_nothing_is_told_at_once, a_full_disk_is_noticed_and_its_end_too)
